//! Autotuning on a GPU: all candidates compute the same numbers, and the choice is kept per shape.

use candle_core::Device;
use half::{bf16, f16};

use super::*;
use crate::cpu::conv::{self, Direction, Scales};
use crate::weight_cache::prepared;

fn gpu() -> CudaDevice {
    match crate::cuda::device::open(0).unwrap() {
        Device::Cuda(device) => device,
        other => panic!("{other:?} is no GPU"),
    }
}

/// Convolutions with channel counts that are and are not multiples of four, groups, strides, 1x1 kernels, one channel.
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

/// The two inputs of a convolution, and its result computed on the CPU.
struct Case<T> {
    a: Vec<T>,
    b: Vec<T>,
    expected: Vec<f32>,
}

fn case<T: CudnnType>(g: &ConvGeometry, convolution: Convolution) -> Case<T> {
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

/// The result of `work` on the inputs of a case; checks that `work` leaves the inputs unchanged.
fn result_of<T: Element + CudnnType>(
    device: &CudaDevice,
    case: &Case<T>,
    work: impl FnOnce(&mut ThreadState, &mut Operands<'_, '_, T>) -> Result<()>,
) -> Result<Vec<T>> {
    let (a, b) = (device.clone_htod(&case.a)?, device.clone_htod(&case.b)?);
    // SAFETY: `work` writes all of it.
    let mut y = unsafe { device.alloc::<T>(case.expected.len())? };
    with_state(device, |state| {
        let mut operands = Operands {
            a: &a.slice(..),
            b: &b.slice(..),
            y: &mut y,
        };
        work(state, &mut operands)
    })?;
    assert!(device.clone_dtoh(&a)? == case.a && device.clone_dtoh(&b)? == case.b);
    device.clone_dtoh(&y)
}

fn assert_near<T: CudnnType>(what: &str, found: &[T], expected: &[f32], tolerance: f64) {
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

/// Compares all candidates of all convolutions with the CPU; returns the number of candidates per layout.
fn every_candidate<T: Element + CudnnType>(device: &CudaDevice, tolerance: f64) -> [usize; 2] {
    let mut counts = [0; 2];
    for g in geometries() {
        for convolution in CONVOLUTIONS {
            let case = case::<T>(&g, convolution);
            let candidates = with_state(device, |state| {
                Ok(Candidate::all::<T>(&state.cudnn, &g, convolution))
            });
            let candidates: Vec<Candidate> = candidates.unwrap().into_iter().flatten().collect();
            assert!(candidates.len() >= 2, "{g:?}");
            for candidate in candidates {
                let what = format!("{candidate:?} {:?} {}", g.x_shape(), T::SUFFIX);
                let found = result_of(device, &case, |state, operands| {
                    state.launch(device, &g, candidate, operands)
                });
                // cuDNN may list an algorithm and still fail to run it.
                let Ok(found) = found else { continue };
                assert_near(&what, &found, &case.expected, tolerance);
                counts[usize::from(candidate.layout == Layout::ChannelsLast)] += 1;
            }
        }
    }
    counts
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn every_candidate_computes_the_same_numbers() {
    let device = gpu();
    let [first, last] = every_candidate::<f32>(&device, 2e-5);
    assert!(first >= 24 && last == 0, "{first} {last}");
    for [first, last] in [
        every_candidate::<f16>(&device, 2e-3),
        every_candidate::<bf16>(&device, 2e-2),
    ] {
        assert!(first >= 24 && last >= 12, "{first} {last}");
    }
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn a_shape_is_tried_once_and_gives_what_its_way_gives() {
    let device = gpu();
    let g = geometries()[0];
    for convolution in CONVOLUTIONS {
        let case = case::<f16>(&g, convolution);
        let run = || {
            result_of(&device, &case, |state, operands| {
                state.run(&device, &g, convolution, operands)
            })
        };
        let left = || with_state(&device, |state| Ok(state.budget)).unwrap();
        let before = left().expect("autotuning is on");
        assert_near("first", &run().unwrap(), &case.expected, 2e-3);
        let after = left().expect("autotuning is on");
        assert!(after < before);
        assert_near("again", &run().unwrap(), &case.expected, 2e-3);
        assert_eq!(left(), Some(after));
    }
    with_state(&device, |state| {
        assert_eq!(state.chosen.len(), CONVOLUTIONS.len());
        // The workspace was shrunk to what the chosen candidates need.
        let needed = state
            .chosen
            .values()
            .map(|candidate| candidate.workspace)
            .max();
        assert_eq!(Some(state.workspace.len()), needed.max(Some(1)));
        Ok(())
    })
    .unwrap();
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn without_autotuning_the_heuristics_choose() {
    let device = gpu();
    let g = geometries()[0];
    let case = case::<f16>(&g, Convolution::Forward);
    for budget in [None, Some(Duration::ZERO)] {
        let found = result_of(&device, &case, |state, operands| {
            state.budget = budget;
            state.chosen.clear();
            state.run(&device, &g, Convolution::Forward, operands)?;
            let cudnn = &state.cudnn;
            let first = Layout::ChannelsFirst;
            let expected = Candidate::by_heuristics::<f16>(cudnn, &g, Convolution::Forward, first)?;
            assert_eq!(state.chosen.values().collect::<Vec<_>>(), [&expected]);
            Ok(())
        });
        assert_near("heuristics", &found.unwrap(), &case.expected, 2e-3);
    }
}

/// Makes the emulated GPU refuse cuDNN algorithms: bit `i` refuses algorithm `i`.
fn refuse(algorithms: u32) {
    // SAFETY: the library is loaded already, and stays; the function has this signature
    // (`emulated-gpu/src/dnn/algorithms.rs`).
    unsafe {
        let library = libc::dlopen(c"libcudnn.so.9".as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let found = libc::dlsym(library, c"emulated_gpu_refuse".as_ptr());
        assert!(
            !found.is_null(),
            "a real GPU does not refuse on demand: run with --skip emulated"
        );
        let refuse: extern "C" fn(u32) = std::mem::transmute(found);
        refuse(algorithms);
    }
}

#[test]
#[ignore = "needs the emulated GPU"]
fn emulated_a_failing_candidate_is_skipped_and_all_failing_is_an_error() {
    let device = gpu();
    let g = geometries()[0];
    for convolution in CONVOLUTIONS {
        let case = case::<f32>(&g, convolution);
        let chosen = |refused: u32| {
            refuse(refused);
            let mut candidate = None;
            let found = result_of(&device, &case, |state, operands| {
                state.chosen.clear();
                state.run(&device, &g, convolution, operands)?;
                candidate = state.chosen.values().next().copied();
                Ok(())
            });
            refuse(0);
            found.map(|found| (found, candidate.expect("one was chosen")))
        };
        // Refuses all algorithms but the first, including the choice of the heuristics.
        let (found, candidate) = chosen(!1).unwrap();
        assert_near("the first", &found, &case.expected, 2e-5);
        assert_eq!(candidate.workspace, 0, "{candidate:?}");
        let error = chosen(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("EXECUTION_FAILED"), "{error}");
        // After the failure the same convolution works.
        assert!(chosen(0).is_ok());
    }
}
