//! Ways of convolving, on a card: that all give the same numbers, and which are taken. Without a card they say so and end.

use candle_core::Device;
use half::{bf16, f16};

use super::*;
use crate::cpu::conv::{self, Direction, Scales};
use crate::cuda::card;
use crate::weight_cache::prepared;

fn card() -> Option<CudaDevice> {
    match card::open(0) {
        Ok(Device::Cuda(device)) => Some(device),
        Ok(_) => unreachable!("a card was opened"),
        Err(error) => {
            eprintln!("skipped, no card: {error}");
            None
        }
    }
}

/// Sizes that do and do not divide by four, groups, a stride, kernels of one pixel, one channel.
fn geometries() -> Vec<ConvGeometry> {
    let plain = ConvGeometry {
        n: 2,
        ci: 8,
        co: 4,
        h: 8,
        w: 10,
        kh: 3,
        kw: 3,
        stride: 1,
        padding: 1,
        groups: 1,
        swapped: false,
        gain: 0.75,
    };
    vec![
        plain,
        ConvGeometry {
            ci: 3,
            co: 5,
            stride: 2,
            groups: 2,
            gain: 1.0,
            ..plain
        },
        ConvGeometry {
            kh: 1,
            kw: 1,
            padding: 0,
            ..plain
        },
        ConvGeometry {
            ci: 1,
            co: 1,
            groups: 6,
            ..plain
        },
    ]
}

const CONVOLUTIONS: [Convolution; 3] = [
    Convolution::Forward,
    Convolution::InputGradient,
    Convolution::WeightGradient,
];

/// A convolution's inputs, as numbers of a type, and what the CPU makes of them.
struct Case<T> {
    a: Vec<T>,
    b: Vec<T>,
    expected: Vec<f32>,
}

fn case<T: Number>(g: &ConvGeometry, convolution: Convolution) -> Case<T> {
    let len = |(a, b, c, d): (usize, usize, usize, usize)| a * b * c * d;
    let (x, w, y) = (len(g.x_shape()), len(g.weights_shape()), len(g.y_shape()));
    let numbers = |len: usize, seed: f64| -> Vec<T> {
        let number = |i: usize| T::from_f64((i as f64 * 0.37 + seed).sin());
        (0..len).map(number).collect()
    };
    let (a_len, b_len) = match convolution {
        Convolution::Forward => (x, w),
        Convolution::InputGradient => (y, w),
        Convolution::WeightGradient => (x, y),
    };
    let (a, b) = (numbers(a_len, 0.1), numbers(b_len, 0.7));
    let singles = |v: &[T]| v.iter().map(|v| v.to_f64() as f32).collect::<Vec<_>>();
    let (af, bf) = (singles(&a), singles(&b));
    let expected = match convolution {
        Convolution::Forward => {
            let w = prepared(g, &bf, Direction::Forward);
            conv::forward(g, &af, &bf, &w, Scales::default())
        }
        Convolution::InputGradient => {
            let w = prepared(g, &bf, Direction::InputGradient);
            conv::input_gradient(g, &af, &bf, &w, Scales::default())
        }
        Convolution::WeightGradient => conv::weight_gradient(g, &af, &bf, Scales::default()),
    };
    Case { a, b, expected }
}

/// What `work` makes of a case's inputs, which it leaves as they were.
fn made<T: Element + Number>(
    device: &CudaDevice,
    case: &Case<T>,
    work: impl FnOnce(&mut Kept, &mut Arrays<'_, '_, T>) -> Result<()>,
) -> Result<Vec<T>> {
    let (a, b) = (device.clone_htod(&case.a)?, device.clone_htod(&case.b)?);
    // SAFETY: `work` writes all of it.
    let mut y = unsafe { device.alloc::<T>(case.expected.len())? };
    with_kept(device, |kept| {
        let mut arrays = Arrays {
            a: &a.slice(..),
            b: &b.slice(..),
            y: &mut y,
        };
        work(kept, &mut arrays)
    })?;
    assert!(device.clone_dtoh(&a)? == case.a && device.clone_dtoh(&b)? == case.b);
    device.clone_dtoh(&y)
}

fn assert_near<T: Number>(what: &str, found: &[T], expected: &[f32], tolerance: f64) {
    let largest = expected
        .iter()
        .fold(0f64, |m, &v| m.max(f64::from(v).abs()));
    for (found, &expected) in found.iter().zip(expected) {
        let off = (found.to_f64() - f64::from(expected)).abs() / largest;
        assert!(
            off < tolerance,
            "{what}: {} is not {expected}",
            found.to_f64()
        );
    }
}

/// Tries every way of every convolution; tells how many there were in each layout.
fn every_way<T: Element + Number>(device: &CudaDevice, tolerance: f64) -> [usize; 2] {
    let mut counts = [0; 2];
    for g in geometries() {
        for convolution in CONVOLUTIONS {
            let case = case::<T>(&g, convolution);
            let ways = with_kept(device, |kept| {
                Ok(Way::candidates::<T>(&kept.cudnn, &g, convolution))
            });
            let ways: Vec<Way> = ways.unwrap().into_iter().flatten().collect();
            assert!(ways.len() >= 2, "{g:?}");
            for way in ways {
                let what = format!("{way:?} {:?} {}", g.x_shape(), T::SUFFIX);
                let found = made(device, &case, |kept, arrays| {
                    kept.follow(device, &g, way, arrays)
                });
                // An algorithm may be offered and refuse.
                let Ok(found) = found else { continue };
                assert_near(&what, &found, &case.expected, tolerance);
                counts[usize::from(way.format == Format::ChannelsLast)] += 1;
            }
        }
    }
    counts
}

#[test]
fn every_way_gives_the_same_numbers() {
    let Some(device) = card() else { return };
    let [first, last] = every_way::<f32>(&device, 2e-5);
    assert!(first >= 24 && last == 0, "{first} {last}");
    for [first, last] in [
        every_way::<f16>(&device, 2e-3),
        every_way::<bf16>(&device, 2e-2),
    ] {
        assert!(first >= 24 && last >= 12, "{first} {last}");
    }
}

#[test]
fn a_shape_is_tried_once_and_gives_what_its_way_gives() {
    let Some(device) = card() else { return };
    let g = geometries()[0];
    for convolution in CONVOLUTIONS {
        let case = case::<f16>(&g, convolution);
        let run = || {
            made(&device, &case, |kept, arrays| {
                kept.run(&device, &g, convolution, arrays)
            })
        };
        let left = || with_kept(&device, |kept| Ok(kept.budget)).unwrap();
        let before = left().expect("trials are on");
        assert_near("first", &run().unwrap(), &case.expected, 2e-3);
        let after = left().expect("trials are on");
        assert!(after < before);
        assert_near("again", &run().unwrap(), &case.expected, 2e-3);
        assert_eq!(left(), Some(after));
    }
    with_kept(&device, |kept| {
        assert_eq!(kept.ways.len(), CONVOLUTIONS.len());
        // Ways that were only tried leave no room behind.
        let wanted = kept.ways.values().map(|way| way.workspace).max();
        assert_eq!(Some(kept.workspace.len()), wanted.max(Some(1)));
        Ok(())
    })
    .unwrap();
}

#[test]
fn without_trials_it_is_what_the_heuristics_say() {
    let Some(device) = card() else { return };
    let g = geometries()[0];
    let case = case::<f16>(&g, Convolution::Forward);
    for budget in [None, Some(Duration::ZERO)] {
        let found = made(&device, &case, |kept, arrays| {
            kept.budget = budget;
            kept.ways.clear();
            kept.run(&device, &g, Convolution::Forward, arrays)?;
            let cudnn = &kept.cudnn;
            let first = Format::ChannelsFirst;
            let expected = Way::by_heuristics::<f16>(cudnn, &g, Convolution::Forward, first)?;
            assert_eq!(kept.ways.values().collect::<Vec<_>>(), [&expected]);
            Ok(())
        });
        assert_near("heuristics", &found.unwrap(), &case.expected, 2e-3);
    }
}

/// Lets algorithms fail that are offered; `None` where the card is real.
fn refuse(algorithms: u32) -> Option<()> {
    // SAFETY: the library is loaded already, and stays; the function has this signature
    // (`emulated-card/src/dnn/algorithms.rs`).
    unsafe {
        let library = libc::dlopen(c"libcudnn.so.9".as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let found = libc::dlsym(library, c"emulated_card_refuse".as_ptr());
        if found.is_null() {
            eprintln!("skipped: a real card does not refuse when it is asked to");
            return None;
        }
        let refuse: extern "C" fn(u32) = std::mem::transmute(found);
        refuse(algorithms);
    }
    Some(())
}

#[test]
fn a_way_that_fails_is_skipped_and_all_failing_is_an_error() {
    let Some(device) = card() else { return };
    let g = geometries()[0];
    for convolution in CONVOLUTIONS {
        let case = case::<f32>(&g, convolution);
        let chosen = |refused: u32| {
            refuse(refused)?;
            let mut way = None;
            let found = made(&device, &case, |kept, arrays| {
                kept.ways.clear();
                kept.run(&device, &g, convolution, arrays)?;
                way = kept.ways.values().next().copied();
                Ok(())
            });
            refuse(0)?;
            Some(found.map(|found| (found, way.expect("one was kept"))))
        };
        // All but the first, the one that the heuristics name among them.
        let Some(found) = chosen(!1) else { return };
        let (found, way) = found.unwrap();
        assert_near("the first", &found, &case.expected, 2e-5);
        assert_eq!(way.workspace, 0, "{way:?}");
        let error = chosen(u32::MAX).unwrap().unwrap_err().to_string();
        assert!(error.contains("EXECUTION_FAILED"), "{error}");
        // Nothing is kept of that.
        assert!(chosen(0).unwrap().is_ok());
    }
}
