//! In-place updates of all weights of a network: Adam steps and parameter averages, on any device.
//!
//! On a GPU each update is one launch for all weights, and rounds exactly as on the CPU.

use candle_core::{DType, Result, Tensor, bail};

#[cfg(feature = "cuda")]
use crate::adam::decay;
pub use crate::adam::{AdamParameter, AdamStep};
use crate::cpu::update as cpu;
#[cfg(feature = "cuda")]
use crate::cuda::update::{Row, update_rows};

/// One Adam step for all parameters, in place: updates the moments `m` and `v`, then
/// `weight -= step_size * m / (sqrt(v) / root_correction + eps)`.
///
/// NaN gradients count as 0, infinite ones as 1e5 with their sign.
///
/// # Errors
/// When the tensors of a parameter differ in shape or device or are not f32, or a tensor to be updated is not
/// contiguous.
pub fn adam_step(parameters: &[AdamParameter<'_>], step: &AdamStep) -> Result<()> {
    for each in parameters {
        // `same_kind` requires its first argument, a tensor to be updated, to be contiguous; moments are updated as
        // well.
        let moments = [each.exp_avg, Some(each.exp_avg_sq)];
        let mut moments = moments.into_iter().flatten();
        moments.try_for_each(|moment| same_kind(moment, each.weight))?;
        same_kind(each.weight, each.gradient.unwrap_or(each.exp_avg_sq))?;
    }
    #[cfg(feature = "cuda")]
    if let Some(first) = parameters.first()
        && first.weight.device().is_cuda()
    {
        let ([b1, c1], [b2, c2]) = (decay(step.beta1), decay(step.beta2));
        let rows = parameters.iter().map(|each| {
            Row::of([
                Some(each.weight),
                each.gradient,
                each.exp_avg,
                Some(each.exp_avg_sq),
            ])
        });
        let floats = [
            b1,
            c1,
            b2,
            c2,
            step.step_size,
            step.root_correction,
            step.eps,
        ];
        return update_rows("update_adam", rows, &floats);
    }
    parameters.iter().try_for_each(|each| cpu::adam(each, step))
}

/// Updates exponential moving averages in place: `old = beta * old + (1 - beta) * new` for each pair `(old, new)`.
///
/// For `beta < 0.5` it is computed as `new + beta * (old - new)`, otherwise as `old - (1 - beta) * (old - new)`, as in
/// PyTorch's `lerp`.
///
/// # Errors
/// When the tensors of a pair differ in shape or device or are not f32, or `old` is not contiguous.
pub fn average(pairs: &[(&Tensor, &Tensor)], beta: f32) -> Result<()> {
    pairwise("update_average", pairs, &[beta], |old, new| {
        cpu::average(old, new, beta)
    })
}

/// Copies the second tensor of each pair into the first, in place.
///
/// # Errors
/// Same as for [`average`].
pub fn copy(pairs: &[(&Tensor, &Tensor)]) -> Result<()> {
    pairwise("update_copy", pairs, &[], cpu::copy)
}

#[cfg_attr(not(feature = "cuda"), allow(unused_variables))]
fn pairwise(
    kernel: &str,
    pairs: &[(&Tensor, &Tensor)],
    floats: &[f32],
    on_cpu: impl Fn(&Tensor, &Tensor) -> Result<()>,
) -> Result<()> {
    for (old, new) in pairs {
        same_kind(old, new)?;
    }
    #[cfg(feature = "cuda")]
    if let Some((old, _)) = pairs.first()
        && old.device().is_cuda()
    {
        let rows = pairs
            .iter()
            .map(|(old, new)| Row::of([Some(*old), Some(*new), None, None]));
        return update_rows(kernel, rows, floats);
    }
    pairs.iter().try_for_each(|(old, new)| on_cpu(old, new))
}

fn same_kind(x: &Tensor, y: &Tensor) -> Result<()> {
    if x.dims() != y.dims() || !x.device().same_device(y.device()) {
        bail!(
            "update: {:?} on {:?} with {:?} on {:?}",
            x.shape(),
            x.device(),
            y.shape(),
            y.device()
        );
    }
    if x.dtype() != DType::F32 || y.dtype() != DType::F32 || !x.is_contiguous() {
        bail!("update: weights are contiguous f32, with f32");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    const STEP: AdamStep = AdamStep {
        beta1: 0.5,
        beta2: 0.75,
        step_size: 0.5,
        root_correction: 0.5,
        eps: 1.0,
    };

    #[test]
    fn adam_tames_wild_gradients() {
        let weight = tensor(&[1.0, -2.0, 0.5, 3.0]);
        let gradient = tensor(&[f32::NAN, f32::NEG_INFINITY, 2.0, 0.0]);
        let (mean, square) = (
            tensor(&[4.0, 1e5, 0.0, 0.0]),
            tensor(&[16.0, 0.0, 12.0, 0.0]),
        );
        let parameter = AdamParameter {
            weight: &weight,
            gradient: Some(&gradient),
            exp_avg: Some(&mean),
            exp_avg_sq: &square,
        };
        adam_step(&[parameter], &STEP).unwrap();
        assert_eq!(mean.to_vec1::<f32>().unwrap(), [2.0, 0.0, 1.0, 0.0]);
        assert_eq!(square.to_vec1::<f32>().unwrap(), [12.0, 2.5e9, 10.0, 0.0]);
        let expected = [
            1.0 - 0.5 * (2.0 / (12f32.sqrt() / 0.5 + 1.0)),
            -2.0,
            0.5 - 0.5 * (1.0 / (10f32.sqrt() / 0.5 + 1.0)),
            3.0,
        ];
        assert_eq!(weight.to_vec1::<f32>().unwrap(), expected);
    }

    #[test]
    fn without_a_mean_the_gradient_is_it_and_none_is_zeros() {
        let (weight, square) = (tensor(&[1.0, 1.0]), tensor(&[0.0, 12.0]));
        let gradient = tensor(&[f32::INFINITY, 2.0]);
        let parameter = |gradient| AdamParameter {
            weight: &weight,
            gradient,
            exp_avg: None,
            exp_avg_sq: &square,
        };
        adam_step(&[parameter(Some(&gradient))], &STEP).unwrap();
        let moved = [
            1.0 - 0.5 * (1e5 / (2.5e9f32.sqrt() / 0.5 + 1.0)),
            1.0 - 0.5 * (2.0 / (10f32.sqrt() / 0.5 + 1.0)),
        ];
        assert_eq!(weight.to_vec1::<f32>().unwrap(), moved);
        adam_step(&[parameter(None)], &STEP).unwrap();
        assert_eq!(weight.to_vec1::<f32>().unwrap(), moved);
        assert_eq!(square.to_vec1::<f32>().unwrap(), [2.5e9 * 0.75, 7.5]);
    }

    #[test]
    fn moments_with_gaps_are_refused() {
        let weight = tensor(&[1.0, 1.0, 1.0]).reshape((3, 1)).unwrap();
        let wide = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        let gaps = wide.narrow(1, 0, 1).unwrap();
        let parameter = AdamParameter {
            weight: &weight,
            gradient: Some(&weight),
            exp_avg: None,
            exp_avg_sq: &gaps,
        };
        let error = adam_step(&[parameter], &STEP).unwrap_err();
        assert!(error.to_string().contains("contiguous"), "{error}");
    }

    #[test]
    fn averages_start_from_the_nearer_end() {
        let new = tensor(&[3.0, 2.0, 0.25]);
        for (beta, expected) in [(0.75, [1.5, -1.0, 0.4375]), (0.25, [2.5, 1.0, 0.3125])] {
            let old = tensor(&[1.0, -2.0, 0.5]);
            average(&[(&old, &new)], beta).unwrap();
            assert_eq!(old.to_vec1::<f32>().unwrap(), expected);
        }
    }

    #[test]
    fn views_are_respected() {
        let x = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap();
        let y = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let part = x.narrow(0, 1, 4).unwrap().reshape((2, 2)).unwrap();
        copy(&[(&part, &y.t().unwrap())]).unwrap();
        let values = x.to_vec1::<f32>().unwrap();
        assert_eq!(values, [0.0, 1.0, 3.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn other_shapes_and_types_are_refused() {
        let x = tensor(&[0.0; 3]);
        assert!(copy(&[(&x, &tensor(&[0.0; 4]))]).is_err());
        let doubles = x.to_dtype(DType::F64).unwrap();
        assert!(copy(&[(&x, &doubles)]).is_err() && copy(&[(&doubles, &x)]).is_err());
        let column = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        let column = column.narrow(1, 0, 1).unwrap();
        let error = average(&[(&column, &x.reshape((3, 1)).unwrap())], 0.5).unwrap_err();
        assert!(error.to_string().contains("contiguous"), "{error}");
    }
}
