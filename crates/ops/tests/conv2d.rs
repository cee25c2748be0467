//! The convolution ops against a simple loop, for every algorithm and instruction set.

mod common;

use candle_core::{Device, Result, Tensor, Var};
use common::{noise, worst};
use ops::{
    Conv2dOptions, ConvAlgorithm, Isa, conv_transpose2d, conv2d, conv2d_weight_gradient, force_isa,
    set_conv_algorithm,
};
use std::sync::Mutex;

/// A lock for tests that change process-wide settings, so that they run one at a time.
static SETTINGS: Mutex<()> = Mutex::new(());

/// The slow reference: `y[n, o, y, x] = sum w[o, c, ky, kx] x[n, c, y * s + ky - p, x * s + kx - p]`.
fn slow_conv2d(x: &Tensor, w: &Tensor, o: &Conv2dOptions) -> Result<Tensor> {
    let (n, c, h, wd) = x.dims4()?;
    let (co, ci, kh, kw) = w.dims4()?;
    let (oh, ow) = (
        (h + 2 * o.padding - kh) / o.stride + 1,
        (wd + 2 * o.padding - kw) / o.stride + 1,
    );
    let (xs, ws) = (
        x.flatten_all()?.to_vec1::<f64>()?,
        w.flatten_all()?.to_vec1::<f64>()?,
    );
    let mut y = Vec::new();
    for n in 0..n {
        for out in 0..co {
            let first = out / (co / o.groups) * ci;
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut sum = 0.0;
                    for i in 0..ci {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (iy, ix) = (oy * o.stride + ky, ox * o.stride + kx);
                                if iy < o.padding
                                    || ix < o.padding
                                    || iy - o.padding >= h
                                    || ix - o.padding >= wd
                                {
                                    continue;
                                }
                                let at = ((n * c + first + i) * h + iy - o.padding) * wd + ix
                                    - o.padding;
                                sum += xs[at] * ws[((out * ci + i) * kh + ky) * kw + kx];
                            }
                        }
                    }
                    y.push(sum * o.gain);
                }
            }
        }
    }
    Tensor::from_vec(y, (n, co, oh, ow), &Device::Cpu)
}

/// Checks the f64 op against the loop, and the f32 op with its gradients against the f64 op.
fn check(
    shape: (usize, usize, usize, usize, usize),
    kernel: (usize, usize),
    o: &Conv2dOptions,
    tolerance: f64,
) -> Result<()> {
    let (n, ci, co, h, w) = shape;
    let x = noise(&[n, ci * o.groups, h, w], 1)?;
    let k = noise(&[co * o.groups, ci, kernel.0, kernel.1], 2)?;
    let slow = slow_conv2d(&x, &k, o)?;
    assert!(
        worst(&conv2d(&x, &k, o)?, &slow)? < 1e-12,
        "f64 {shape:?} {kernel:?} {o:?}"
    );

    let (x64, k64) = (Var::from_tensor(&x)?, Var::from_tensor(&k)?);
    let dy = noise(slow.dims(), 3)?;
    let grads = (conv2d(&x64, &k64, o)? * &dy)?.sum_all()?.backward()?;
    let single = candle_core::DType::F32;
    let (x32, k32) = (
        Var::from_tensor(&x.to_dtype(single)?)?,
        Var::from_tensor(&k.to_dtype(single)?)?,
    );
    let y = conv2d(&x32, &k32, o)?;
    let fast = (&y * dy.to_dtype(single)?)?.sum_all()?.backward()?;
    for (name, got, want) in [
        ("y", y.clone(), slow.clone()),
        (
            "dx",
            fast.get(&x32).unwrap().clone(),
            grads.get(&x64).unwrap().clone(),
        ),
        (
            "dw",
            fast.get(&k32).unwrap().clone(),
            grads.get(&k64).unwrap().clone(),
        ),
        (
            "transposed",
            conv_transpose2d(&dy.to_dtype(single)?, &k.to_dtype(single)?, o)?,
            conv_transpose2d(&dy, &k, o)?,
        ),
    ] {
        let error = worst(&got, &want)?;
        assert!(
            error < tolerance,
            "{name} {shape:?} {kernel:?} {o:?} {:?} {:?}: {error:e}",
            ops::isa(),
            ops::conv_algorithm()
        );
    }
    // <conv(x), dy> = <x, conv^T(dy)>: the f64 transpose is the adjoint of the f64 forward.
    let left = (&slow * &dy)?.sum_all()?.to_scalar::<f64>()?;
    let back = grads.get(&x64).unwrap();
    let right = (&x * back)?.sum_all()?.to_scalar::<f64>()?;
    assert!((left - right).abs() < 1e-9 * left.abs().max(1.0));
    let right = (&k * grads.get(&k64).unwrap())?
        .sum_all()?
        .to_scalar::<f64>()?;
    assert!((left - right).abs() < 1e-9 * left.abs().max(1.0));
    Ok(())
}

#[test]
fn every_algorithm_and_instruction_set_agrees_with_the_loop() -> Result<()> {
    let _turn = SETTINGS.lock().unwrap();
    let options = |stride, padding, groups, gain| Conv2dOptions {
        stride,
        padding,
        groups,
        gain,
    };
    for isa in Isa::available() {
        force_isa(Some(isa));
        for (algorithm, tolerance) in [
            (ConvAlgorithm::Direct, 2e-6),
            (ConvAlgorithm::Winograd2, 3e-6),
            (ConvAlgorithm::Winograd4, 3e-5),
        ] {
            set_conv_algorithm(algorithm);
            for (shape, padding) in [
                ((2, 32, 48, 16, 16), 1),
                ((1, 8, 9, 5, 7), 1),
                ((3, 16, 16, 4, 4), 1),
                ((2, 33, 17, 9, 21), 1),
                ((5, 16, 24, 8, 8), 1),
                ((1, 64, 80, 7, 34), 0),
                ((1, 12, 12, 6, 6), 2),
            ] {
                check(shape, (3, 3), &options(1, padding, 1, 0.7), tolerance)?;
            }
            check((2, 10, 12, 9, 8), (3, 3), &options(1, 1, 2, 1.0), tolerance)?;
        }
        set_conv_algorithm(ConvAlgorithm::default());
        for (shape, kernel, o) in [
            ((2, 16, 20, 17, 17), (3, 3), options(2, 0, 1, 1.0)),
            ((2, 5, 3, 12, 9), (3, 3), options(2, 1, 1, 1.0)),
            ((2, 40, 70, 8, 8), (1, 1), options(1, 0, 1, 0.5)),
            ((9, 3, 16, 10, 10), (1, 1), options(1, 0, 1, 1.0)),
            ((1, 6, 4, 9, 9), (1, 1), options(2, 0, 1, 1.0)),
            ((1, 4, 6, 12, 11), (5, 5), options(1, 2, 2, 1.0)),
            ((1, 4, 6, 12, 11), (2, 2), options(2, 1, 1, 1.0)),
            ((1, 4, 6, 13, 14), (3, 2), options(3, 1, 1, 1.0)),
            ((1, 17, 6, 4, 70), (3, 3), options(2, 1, 1, 1.0)),
        ] {
            check(shape, kernel, &o, 3e-6)?;
        }
    }
    force_isa(None);
    Ok(())
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() -> Result<()> {
    let _turn = SETTINGS.lock().unwrap();
    let single = candle_core::DType::F32;
    let run = |threads: usize| -> Result<Vec<Vec<f32>>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut out = Vec::new();
            for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 0), (1, 1, 0)] {
                let x = Var::from_tensor(&noise(&[5, 24, 20, 20], 1)?.to_dtype(single)?)?;
                let w = Var::from_tensor(&noise(&[40, 24, kernel, kernel], 2)?.to_dtype(single)?)?;
                let y = conv2d(
                    &x,
                    &w,
                    &Conv2dOptions {
                        stride,
                        padding,
                        ..Default::default()
                    },
                )?;
                let grads = y.sqr()?.sum_all()?.backward()?;
                for t in [&y, grads.get(&x).unwrap(), grads.get(&w).unwrap()] {
                    out.push(t.flatten_all()?.to_vec1::<f32>()?);
                }
            }
            Ok(out)
        })
    };
    let one = run(1)?;
    for threads in [2, 3, 7] {
        assert!(one == run(threads)?, "{threads} threads");
    }
    Ok(())
}

#[test]
fn cached_transforms_give_the_same_numbers() -> Result<()> {
    let _turn = SETTINGS.lock().unwrap();
    let single = candle_core::DType::F32;
    let x = noise(&[2, 16, 12, 12], 1)?.to_dtype(single)?;
    let w = Var::from_tensor(&noise(&[16, 16, 3, 3], 2)?.to_dtype(single)?)?;
    let o = Conv2dOptions {
        padding: 1,
        ..Default::default()
    };
    let plain = conv2d(&x, &w, &o)?.flatten_all()?.to_vec1::<f32>()?;
    {
        let _scope = ops::weight_cache::scope();
        for _ in 0..3 {
            assert_eq!(plain, conv2d(&x, &w, &o)?.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    // Outside a scope, a change of the weight takes effect at once.
    w.set(&w.affine(2.0, 0.0)?)?;
    let doubled = conv2d(&x, &w, &o)?.flatten_all()?.to_vec1::<f32>()?;
    assert!(
        plain
            .iter()
            .zip(&doubled)
            .all(|(a, b)| (a * 2.0 - b).abs() <= 1e-5 * b.abs().max(1.0))
    );
    Ok(())
}

#[test]
fn gradients_only_for_what_tracks_them() -> Result<()> {
    let x = noise(&[1, 8, 6, 6], 1)?;
    let w = Var::from_tensor(&noise(&[8, 8, 3, 3], 2)?)?;
    let grads = conv2d(&x, &w, &Conv2dOptions::default())?
        .sum_all()?
        .backward()?;
    assert!(grads.get(&x).is_none());
    assert!(grads.get(&w).is_some());
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_errors() -> Result<()> {
    let x = noise(&[1, 8, 6, 6], 1)?;
    let w = noise(&[8, 7, 3, 3], 2)?;
    assert!(conv2d(&x, &w, &Conv2dOptions::default()).is_err());
    let w = noise(&[8, 8, 9, 9], 2)?;
    assert!(conv2d(&x, &w, &Conv2dOptions::default()).is_err());
    let half = x.to_dtype(candle_core::DType::F16)?;
    let w = noise(&[8, 8, 3, 3], 2)?;
    assert!(conv2d(&half, &w, &Conv2dOptions::default()).is_err());
    // Sizes of 0 would underflow, or reach kernels that cannot take them.
    let x = noise(&[1, 2, 4, 4], 3)?;
    let options = Conv2dOptions::default();
    for kernel in [(0, 3), (3, 0)] {
        let dy = noise(&[1, 2, 5 - kernel.0, 5 - kernel.1], 4)?;
        assert!(conv2d_weight_gradient(&x, &dy, kernel, &options).is_err());
        let w = Tensor::zeros((2, 2, kernel.0, kernel.1), x.dtype(), &Device::Cpu)?;
        assert!(conv2d(&x, &w, &options).is_err());
        assert!(conv_transpose2d(&x, &w, &options).is_err());
    }
    let w = noise(&[2, 2, 3, 3], 5)?;
    for shape in [(0, 2, 4, 4), (1, 2, 0, 4), (1, 2, 4, 0)] {
        let empty = Tensor::zeros(shape, x.dtype(), &Device::Cpu)?;
        assert!(conv2d(&empty, &w, &options).is_err());
        assert!(conv_transpose2d(&empty, &w, &options).is_err());
        assert!(conv2d_weight_gradient(&empty, &empty, (1, 1), &options).is_err());
    }
    Ok(())
}

#[test]
fn short_types_are_computed_in_f32_and_rounded_once() -> Result<()> {
    use candle_core::DType;
    let (x, w) = (noise(&[1, 8, 6, 6], 1)?, noise(&[8, 8, 3, 3], 2)?);
    for dtype in [DType::F16, DType::BF16] {
        let (x, w) = (x.to_dtype(dtype)?, w.to_dtype(dtype)?);
        let y = conv2d(&x, &w, &Conv2dOptions::default())?;
        let (x, w) = (x.to_dtype(DType::F32)?, w.to_dtype(DType::F32)?);
        let expected = conv2d(&x, &w, &Conv2dOptions::default())?.to_dtype(dtype)?;
        let values = |t: Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        assert_eq!(y.dtype(), dtype);
        assert_eq!(values(y)?, values(expected)?);
    }
    Ok(())
}
