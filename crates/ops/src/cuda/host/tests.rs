//! Compares ops that run as CUDA kernels, compiled for the CPU or on a GPU, with the Rust kernels for the CPU.

use std::cell::RefCell;
use std::collections::VecDeque;

use candle_core::{DType, Var};

use super::*;
use crate::grid_sample::{GridGradient, Sample, Spread};
use crate::op::apply;
use crate::{
    Activation, BiasActOptions, Conv2dOptions, Dual, Filter, ModulatedConv2dOptions,
    UpFirDn2dOptions, Value,
};

/// Pseudorandom numbers in `-scale..scale`.
fn tensor(seed: u64, shape: &[usize], scale: f32) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 24) as f32 * 2.0 - 1.0) * scale
        })
        .collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    placed(&values)
}

thread_local! {
    /// The device on which, and the number type in which, tests create their tensors.
    static PLACEMENT: RefCell<(Device, DType)> = const { RefCell::new((Device::Cpu, DType::F32)) };
}

/// The phase of a test on a GPU, which runs twice: on the CPU for the expected results, then on the GPU to check them.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
enum Phase {
    Expect(VecDeque<Vec<Tensor>>),
    Check(VecDeque<Vec<Tensor>>),
}

thread_local! {
    static GPU_TEST: RefCell<Option<Phase>> = const { RefCell::new(None) };
}

/// [`compare`] for a test that runs on a GPU; `halves` is the tolerance for f16, `None` skips half precision.
fn compare_on_gpu(
    what: &str,
    halves: Option<f64>,
    phase: &mut Phase,
    work: impl Fn() -> Result<Vec<Tensor>>,
) {
    // Tolerances allow for the order of sums, which is not fixed on a GPU.
    let dtype = PLACEMENT.with_borrow(|(_, dtype)| *dtype);
    let tolerance = match (dtype, halves) {
        (DType::F32, _) => 2e-5,
        (DType::F16, Some(halves)) => halves,
        // bf16 has three bits fewer than f16.
        (_, Some(halves)) => 8.0 * halves,
        (_, None) => return,
    };
    let found = work().unwrap_or_else(|error| panic!("{what}, {dtype:?}: {error}"));
    match phase {
        Phase::Expect(list) => list.push_back(found),
        Phase::Check(list) => {
            let expected = list.pop_front().expect("the CPU computed as many");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found.dtype(), dtype, "{what}, result {i}");
                let distance = distance(found, expected);
                assert!(
                    distance < tolerance,
                    "{what}, result {i}, {dtype:?}: {distance:e}"
                );
            }
        }
    }
}

/// `t` on the device and in the number type of [`PLACEMENT`]. On the CPU it is rounded to that type but stays f32.
fn placed(t: &Tensor) -> Tensor {
    PLACEMENT.with_borrow(|(device, dtype)| {
        let rounded = t.to_dtype(*dtype).unwrap();
        match device {
            Device::Cpu => rounded.to_dtype(DType::F32).unwrap(),
            gpu => rounded.to_device(gpu).unwrap(),
        }
    })
}

fn var(seed: u64, shape: &[usize]) -> Var {
    Var::from_tensor(&tensor(seed, shape, 1.0)).unwrap()
}

/// The largest absolute difference, divided by the largest absolute value of `b`; infinite for NaN.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let all = |t: &Tensor| {
        let t = t.to_device(&Device::Cpu).unwrap();
        let t = t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
        t.to_vec1::<f64>().unwrap()
    };
    let (a, b) = (all(a), all(b));
    let largest = b.iter().fold(0f64, |m, v| m.max(v.abs())).max(1e-6);
    let pairs = a.iter().zip(&b);
    pairs.fold(0f64, |m, (a, b)| {
        if (a - b).is_nan() {
            f64::INFINITY
        } else {
            m.max((a - b).abs())
        }
    }) / largest
}

/// Compares the results of `work` through the kernels with those of the CPU: in f32, and stored as f16 unless `halves`,
/// the tolerance for f16, is `None`.
fn compare(what: &str, halves: Option<f64>, work: impl Fn() -> Result<Vec<Tensor>>) {
    if let Some(mut phase) = GPU_TEST.take() {
        compare_on_gpu(what, halves, &mut phase, work);
        GPU_TEST.set(Some(phase));
        return;
    }
    let expected = work().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!expected.is_empty());
    let modes = [(Storage::F32, Some(3e-6)), (Storage::F16, halves)];
    for (storage, tolerance) in modes {
        let Some(tolerance) = tolerance else { continue };
        let found = through_kernels(storage, &work).unwrap_or_else(|e| panic!("{what}: {e}"));
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let distance = distance(found, expected);
            assert!(
                distance < tolerance,
                "{what}, result {i}, {storage:?}: {distance:e}"
            );
        }
    }
}

/// `y`, followed by the gradients of `<y, weights>` with respect to the leaves, for fixed pseudorandom weights.
fn with_gradients(y: &Value, leaves: &[&Var]) -> Result<Vec<Tensor>> {
    let weights = tensor(99, y.dims(), 1.0);
    let grads = y.backward_from(&weights)?;
    let mut all = vec![y.tensor().clone()];
    for leaf in leaves {
        all.push(grads.get(leaf).expect("the value depends on it").clone());
    }
    Ok(all)
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn every_kernel_is_there() {
    let library = library();
    for (name, types) in KERNELS {
        // C++ compilers for the CPU have no bf16.
        for suffix in types.iter().filter(|suffix| **suffix != "bf16") {
            // SAFETY: the library stays open.
            unsafe { symbol(library, &format!("{name}_{suffix}")) };
        }
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn upfirdn2d_of_all_kinds() {
    let wild = Tensor::from_vec(
        (0..15).map(|i| ((i * 7 % 11) as f32) - 4.0).collect(),
        (3, 5),
        &Device::Cpu,
    )
    .unwrap();
    let filters = [
        Filter::resample(),
        Filter::identity(),
        Filter::separable(&[0.5, -1.0, 2.0]),
        Filter::new(&[
            0.1, 0.2, -0.3, 0.7, 1.0, 0.9, 0.3, -0.2, 0.1, 0.1, 0.05, 0.02,
        ]),
        Filter::from_tensor(&wild).unwrap(),
    ];
    for (i, filter) in filters.iter().enumerate() {
        for (up, down) in [
            ([1, 1], [1, 1]),
            ([2, 2], [1, 1]),
            ([1, 1], [2, 2]),
            ([3, 2], [2, 5]),
            ([1, 4], [3, 1]),
        ] {
            for padding in [
                [0, 0, 0, 0],
                [2, 1, 2, 1],
                [9, 0, 3, 8],
                [-2, 3, 4, -1],
                [-1, -2, -1, -1],
            ] {
                for (h, w) in [(1, 1), (7, 9), (16, 13)] {
                    let x = var(i as u64 + 1, &[2, 3, h, w]);
                    let options = UpFirDn2dOptions {
                        up,
                        down,
                        padding,
                        flip_filter: h == 7,
                        gain: 1.5,
                    };
                    // Sizes with an empty result are errors for every implementation.
                    if x.as_tensor().clone().upfirdn2d_fits(filter, &options) {
                        compare(
                            &format!("upfirdn2d {i} {options:?} {h}x{w}"),
                            Some(4e-3),
                            || {
                                let y = Value::from(x.as_tensor()).upfirdn2d(filter, &options)?;
                                with_gradients(&y, &[&x])
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Whether [`upfirdn2d`](crate::upfirdn2d) with a filter gives at least one pixel for an image.
trait Fits {
    fn upfirdn2d_fits(self, filter: &Filter, options: &UpFirDn2dOptions) -> bool;
}

impl Fits for Tensor {
    fn upfirdn2d_fits(self, filter: &Filter, options: &UpFirDn2dOptions) -> bool {
        crate::upfirdn2d(&self.detach(), filter, options).is_ok_and(|y| y.elem_count() > 0)
    }
}

const ACTIVATIONS: [Activation; 9] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Lrelu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Elu,
    Activation::Selu,
    Activation::Softplus,
    Activation::Swish,
];

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn activations_with_first_and_second_derivatives() {
    for (seed, activation) in ACTIVATIONS.into_iter().enumerate() {
        for (clamp, gain) in [
            (None, None),
            (Some(0.4), Some(1.7)),
            (Some(256.0), Some(-0.5)),
        ] {
            for (shape, dim) in [(vec![3, 5, 7, 3], 1), (vec![4, 6], 1), (vec![3, 2, 2], 0)] {
                let x = Var::from_tensor(&tensor(seed as u64 + 5, &shape, 3.0)).unwrap();
                let (b, t) = (var(2, &shape[dim..=dim]), var(3, &shape));
                let options = BiasActOptions {
                    activation,
                    gain,
                    clamp,
                    dim,
                    ..Default::default()
                };
                let what = format!("{activation:?} {clamp:?} {shape:?}");
                compare(&what, None, || {
                    let inputs = Dual::new(x.as_tensor(), t.as_tensor())?;
                    let y = inputs.bias_act(Some(&b.as_tensor().into()), &options)?;
                    let mut all = with_gradients(&y.primal, &[&x, &b])?;
                    // The gradient of the tangent depends on the second derivative.
                    let tangent = y.tangent.expect("a tangent was given");
                    let leaves: &[&Var] = match activation {
                        Activation::Linear | Activation::Relu | Activation::Lrelu => &[&t],
                        _ => &[&t, &x, &b],
                    };
                    all.extend(with_gradients(&tangent, leaves)?);
                    Ok(all)
                });
            }
        }
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn half_precision_activations_away_from_kinks() {
    for (seed, activation) in ACTIVATIONS.into_iter().enumerate() {
        let x = tensor(seed as u64 + 5, &[2, 3, 5, 7], 2.0);
        let options = BiasActOptions {
            activation,
            clamp: Some(1.0),
            ..Default::default()
        };
        let b = tensor(8, &[3], 1.0);
        compare(&format!("{activation:?}"), Some(2e-3), || {
            Ok(vec![crate::bias_act(&x, Some(&b), &options)?])
        });
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn products_and_sums_over_channels() {
    for (n, c, h, w) in [(1, 1, 1, 1), (2, 3, 5, 7), (3, 5, 33, 31), (1, 2, 128, 130)] {
        let (x, z) = (var(1, &[n, c, h, w]), var(2, &[n, c, h, w]));
        let s = var(3, &[n, c]);
        let what = format!("{n}x{c}x{h}x{w}");
        let value = |v: &Var| Value::from(v.as_tensor());
        compare(&format!("scale_channels {what}"), Some(8e-3), || {
            with_gradients(&value(&x).scale_channels(&value(&s))?, &[&x, &s])
        });
        compare(&format!("channel_dot {what}"), Some(8e-3), || {
            with_gradients(&value(&x).channel_dot(&value(&z))?, &[&x, &z])
        });
        compare(&format!("sums {what}"), Some(8e-3), || {
            let y = value(&x).add(&value(&z))?.add(&value(&x))?;
            let mut all = with_gradients(&y, &[&x, &z])?;
            all.push(
                value(&x)
                    .weighted_sum(&x.as_detached_tensor())?
                    .into_tensor(),
            );
            Ok(all)
        });
        for noises in [1, n] {
            let noise = var(5, &[noises, 1, h, w]);
            compare(&format!("add_noise {noises} {what}"), Some(8e-3), || {
                with_gradients(&value(&x).add_noise(&value(&noise))?, &[&x, &noise])
            });
        }
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn sampling_with_points_inside_and_outside() {
    use crate::cpu::grid_sample::GridGeometry;
    for (n, c, h, w, out_h, out_w) in [
        (1, 1, 1, 1, 1, 1),
        (2, 3, 5, 7, 4, 9),
        (3, 2, 16, 12, 17, 11),
    ] {
        let g = GridGeometry {
            n,
            c,
            h,
            w,
            out_h,
            out_w,
        };
        let x = tensor(1, &[n, c, h, w], 1.0);
        let dy = tensor(3, &[n, c, out_h, out_w], 1.0);
        for reach in [0.9, 1.6, 40.0, 1e30] {
            let grid = tensor(2, &[n, out_h, out_w, 2], reach);
            compare(&format!("grid_sample {g:?} {reach}"), None, || {
                Ok(vec![
                    apply([&x, &grid], Sample(g))?,
                    apply([&dy, &grid], Spread(g))?,
                    apply([&x, &grid, &dy], GridGradient(g))?,
                ])
            });
        }
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn nan_and_infinite_points_sample_zero() {
    let x = tensor(1, &[1, 1, 4, 4], 1.0);
    let points = [
        f32::NAN,
        0.0,
        0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let grid = Tensor::from_slice(&points, (1, 1, 3, 2), &Device::Cpu).unwrap();
    let y = through_kernels(Storage::F32, || crate::grid_sample(&x, &grid)).unwrap();
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.0; 3]);
}

/// A layer of the generator, with the derivatives that the path length penalty needs.
#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn modulated_convolutions_with_tangents_and_their_gradients() {
    let filter = Filter::resample();
    for (up, down, size, kernel) in [(1, 1, 7, 3), (2, 1, 5, 3), (1, 2, 8, 3), (1, 1, 6, 1)] {
        let x = var(1, &[2, 3, size, size]);
        let w = var(2, &[5, 3, kernel, kernel]);
        let (s, ds) = (var(3, &[2, 3]), var(4, &[2, 3]));
        let noise = tensor(5, &[2, 1, size * up / down, size * up / down], 1.0);
        let options = ModulatedConv2dOptions {
            up,
            down,
            padding: [kernel as isize / 2; 4],
            filter: Some(&filter),
            ..Default::default()
        };
        compare(
            &format!("modulated {up} {down} {kernel}"),
            Some(3e-2),
            || {
                // A graph can be differentiated once only, so each use builds its own.
                let layer = || {
                    let styles = Dual::new(s.as_tensor(), ds.as_tensor())?;
                    let (x_in, w_in) = (Dual::from(x.as_tensor()), Dual::from(w.as_tensor()));
                    x_in.modulated_conv2d(&w_in, &styles, Some(&(&noise).into()), &options)
                };
                let mut all = with_gradients(&layer()?.primal, &[&x, &w, &s])?;
                let tangent = layer()?.tangent.expect("a tangent was given");
                all.extend(with_gradients(&tangent, &[&x, &w, &s, &ds])?);
                Ok(all)
            },
        );
    }
}

/// Layers of the discriminator with groups and strides, with the derivatives that the R1 penalty needs.
#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn convolutions_with_tangents_and_their_gradients() {
    for (stride, padding, groups, gain) in [
        (1, 1, 1, 1.0),
        (2, 0, 1, 0.3),
        (1, 2, 3, -2.0),
        (3, 1, 3, 1.0),
    ] {
        let (x, dx) = (var(1, &[2, 6, 9, 8]), var(2, &[2, 6, 9, 8]));
        let options = Conv2dOptions {
            stride,
            padding,
            groups,
            gain,
        };
        for transposed in [false, true] {
            let shape = if transposed {
                [6, 2, 3, 3]
            } else {
                [9, 6 / groups, 3, 3]
            };
            let w = var(3, &shape);
            compare(&format!("conv {options:?} {transposed}"), None, || {
                let layer = || {
                    let x_in = Dual::new(x.as_tensor(), dx.as_tensor())?;
                    let w_in = Dual::from(w.as_tensor());
                    let y = match transposed {
                        false => x_in.conv2d(&w_in, &options)?,
                        true => x_in.conv_transpose2d(&w_in, &options)?,
                    };
                    let act = BiasActOptions {
                        activation: Activation::Swish,
                        ..Default::default()
                    };
                    y.bias_act(None, &act)
                };
                let mut all = with_gradients(&layer()?.primal, &[&x, &w])?;
                let tangent = layer()?.tangent.expect("a tangent was given");
                all.extend(with_gradients(&tangent, &[&x, &dx, &w])?);
                Ok(all)
            });
        }
    }
}

#[test]
fn numbers_too_large_for_a_kernel_are_errors() {
    assert!(Params::new(1, &[usize::MAX], &[]).is_err());
    assert!(Params::new(1, &[1 << 31], &[]).is_err());
    assert!(Params::new(1 << 40, &[], &[]).is_err());
    let error = Params::new(1, &[], &[0.0; 97]).err().unwrap().to_string();
    assert!(error.contains("too many taps"), "{error}");
}

mod normal;
#[cfg(feature = "cuda")]
mod on_gpu;
mod transpose;
mod updates;
