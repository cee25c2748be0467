//! A check that second-order gradients are correct in this build.

use candle_core::{Device, Result, Tensor, Var, bail};

use super::Dual;
use crate::bias_act::BiasActOptions;
use crate::conv2d::Conv2dOptions;
use crate::value::Value;

/// Checks that gradients of tangents are correct in this build; call it once before training.
///
/// Computes the gradient of the penalty `|grad_x f|^2` with respect to `w`, for the small function
/// `f = sum(lrelu(conv(x, w)) * swish(conv(x, w)))`, and compares it with finite differences in f64 on the CPU.
///
/// # Errors
/// When the gradient is zero or differs from the finite differences. Training must not start then: its penalties would
/// be wrong without an error.
pub fn self_check() -> Result<()> {
    let device = Device::Cpu;
    let wave = |n: usize, shift: f64| {
        (0..n)
            .map(|i| (i as f64 * 0.7 + shift).sin())
            .collect::<Vec<_>>()
    };
    let x = Tensor::from_vec(wave(32, 0.3), (1, 2, 4, 4), &device)?;
    let weights = wave(36, 1.1);
    let options = Conv2dOptions {
        padding: 1,
        ..Default::default()
    };
    let act = |activation| BiasActOptions {
        activation,
        ..Default::default()
    };
    let forward = |x: &Dual, w: &Dual| -> Result<Dual> {
        let y = x.conv2d(w, &options)?;
        let a = y.bias_act(None, &act(crate::Activation::Lrelu))?;
        let b = y.bias_act(None, &act(crate::Activation::Swish))?;
        a.mul(&b)?.linear(Value::sum_all)
    };
    let input_gradient = |w: &Tensor| -> Result<Tensor> {
        let x = Var::from_tensor(&x)?;
        let mut grads = forward(&x.as_tensor().into(), &w.into())?
            .primal
            .backward()?;
        grads
            .remove(&x)
            .ok_or_else(|| candle_core::Error::Msg("second order: no input gradient".into()))
    };
    let penalty = |values: Vec<f64>| -> Result<f64> {
        let w = Tensor::from_vec(values, (2, 2, 3, 3), &device)?;
        input_gradient(&w)?.sqr()?.sum_all()?.to_scalar()
    };

    let w = Var::from_vec(weights.clone(), (2, 2, 3, 3), &device)?;
    let v = input_gradient(&w.detach())?;
    let along = forward(&Dual::new(x.clone(), v)?, &w.as_tensor().into())?.tangent_or_zeros()?;
    let grads = along.scale(2.0)?.backward()?;
    let exact = grads
        .get(&w)
        .map(|g| g.flatten_all()?.to_vec1::<f64>())
        .transpose()?
        .unwrap_or_default();
    let step = 1e-6;
    for (i, grad) in exact.iter().enumerate().step_by(7) {
        let moved = |by: f64| {
            penalty(
                weights
                    .iter()
                    .enumerate()
                    .map(|(j, w)| if i == j { w + by } else { *w })
                    .collect(),
            )
        };
        let finite = (moved(step)? - moved(-step)?) / (2.0 * step);
        if (finite - grad).abs() > 1e-5 * finite.abs().max(1.0) {
            bail!(
                "second-order gradients are wrong: {grad} where finite differences give {finite}; training would fail silently"
            );
        }
    }
    if exact.is_empty() || exact.iter().all(|g| *g == 0.0) {
        bail!("second-order gradients are zero: training would fail silently");
    }
    Ok(())
}
