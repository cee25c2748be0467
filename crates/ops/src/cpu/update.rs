//! In-place updates of weights. Every element is updated independently, so results do not depend on the number of
//! threads.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};
use rayon::prelude::*;

use crate::adam::{AdamParameter, AdamStep, decay};

/// The number of elements of one task.
const CHUNK: usize = 1 << 15;
/// The absolute value that replaces an infinite gradient.
const INFINITE_GRADIENT: f32 = 1e5;

/// One Adam step for one weight tensor, in place.
pub(crate) fn adam(parameter: &AdamParameter<'_>, step: &AdamStep) -> Result<()> {
    let zeros;
    let gradient = match parameter.gradient {
        Some(gradient) => gradient,
        None => {
            zeros = parameter.weight.zeros_like()?.detach();
            &zeros
        }
    };
    let [b2, c2] = decay(step.beta2);
    update2(parameter.exp_avg_sq, gradient, |v, g| {
        let g = sane(g);
        v * b2 + g * g * c2
    })?;
    let mean = match parameter.exp_avg {
        Some(mean) => {
            let [b1, c1] = decay(step.beta1);
            update2(mean, gradient, |m, g| m * b1 + sane(g) * c1)?;
            mean
        }
        None => gradient,
    };
    let AdamStep {
        step_size,
        root_correction,
        eps,
        ..
    } = *step;
    update3(parameter.weight, mean, parameter.exp_avg_sq, |x, m, v| {
        x - step_size * (sane(m) / (v.sqrt() / root_correction + eps))
    })
}

/// `old = beta * old + (1 - beta) * new`, in place.
pub(crate) fn average(old: &Tensor, new: &Tensor, beta: f32) -> Result<()> {
    let rest = 1.0 - beta;
    match beta < 0.5 {
        true => update2(old, new, |old, new| new + beta * (old - new)),
        false => update2(old, new, |old, new| old - (old - new) * rest),
    }
}

/// `old = new`, in place.
pub(crate) fn copy(old: &Tensor, new: &Tensor) -> Result<()> {
    update2(old, new, |_, new| new)
}

fn sane(gradient: f32) -> f32 {
    if gradient.is_nan() {
        0.0
    } else if gradient.is_infinite() {
        INFINITE_GRADIENT.copysign(gradient)
    } else {
        gradient
    }
}

/// `x[i] = f(x[i], y[i])` in place; both tensors have the same shape.
fn update2(x: &Tensor, y: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Result<()> {
    x.inplace_op2(&y.contiguous()?, &Update(f))
}

/// `x[i] = f(x[i], y[i], z[i])` in place; all tensors have the same shape.
fn update3(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) -> Result<()> {
    x.inplace_op3(&y.contiguous()?, &z.contiguous()?, &Update(f))
}

struct Update<F>(F);

impl<F: Fn(f32, f32) -> f32 + Sync> InplaceOp2 for Update<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, xl: &Layout, y: &CpuStorage, yl: &Layout) -> Result<()> {
        let y = values(y, yl)?;
        let pairs = values_mut(x, xl)?
            .par_chunks_mut(CHUNK)
            .zip(y.par_chunks(CHUNK));
        pairs.for_each(|(x, y)| {
            for (x, &y) in x.iter_mut().zip(y) {
                *x = self.0(*x, y);
            }
        });
        Ok(())
    }
}

impl<F: Fn(f32, f32, f32) -> f32 + Sync> InplaceOp3 for Update<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        xl: &Layout,
        y: &CpuStorage,
        yl: &Layout,
        z: &CpuStorage,
        zl: &Layout,
    ) -> Result<()> {
        let (y, z) = (values(y, yl)?, values(z, zl)?);
        let triples = values_mut(x, xl)?
            .par_chunks_mut(CHUNK)
            .zip(y.par_chunks(CHUNK))
            .zip(z.par_chunks(CHUNK));
        triples.for_each(|((x, y), z)| {
            for ((x, &y), &z) in x.iter_mut().zip(y).zip(z) {
                *x = self.0(*x, y, z);
            }
        });
        Ok(())
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("weights are updated as contiguous f32"),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("weights are updated as contiguous f32"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_gradients_are_tamed() {
        assert_eq!(sane(f32::NAN), 0.0);
        assert_eq!(sane(f32::INFINITY), 1e5);
        assert_eq!(sane(f32::NEG_INFINITY), -1e5);
        assert_eq!(sane(-3.5), -3.5);
    }
}
