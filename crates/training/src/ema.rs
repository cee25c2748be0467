//! `g_ema`, the moving average of the generator's weights. Images are generated with it.

use networks::{Generator, TensorKind};
use ops::update;

use crate::error::Result;

/// The weight of the old average in the update after a batch of `batch` images (the decay of the moving average), 0 to
/// 1.
///
/// The half-life is `ema_kimg` thousand images, and with `rampup` at most `rampup * cur_nimg` images; `cur_nimg` is the
/// number of images seen before the batch. With `rampup` the first decay is therefore 0 and the average equals the
/// generator. As in NVIDIA's StyleGAN2-ADA.
pub fn ema_beta(batch: usize, ema_kimg: f64, rampup: Option<f64>, cur_nimg: u64) -> f64 {
    let half_life = ema_kimg * 1000.0;
    let half_life = rampup.map_or(half_life, |ramp| half_life.min(cur_nimg as f64 * ramp));
    0.5f64.powf(batch as f64 / half_life.max(1e-8))
}

/// Replaces the trainable weights of `average` by `beta * average + (1 - beta) * g`, and copies all other tensors
/// (`w_avg`, noise constants, frozen weights) from `g`.
///
/// # Errors
/// When the tensor library fails.
pub fn update_average(average: &Generator, g: &Generator, beta: f64) -> Result<()> {
    let pairs = average.parameters().iter().zip(g.parameters().iter());
    let (mut averaged, mut copied) = (Vec::new(), Vec::new());
    for ((_, old, _), (_, new, kind)) in pairs {
        let pair = (old.as_tensor(), new.as_tensor());
        match kind {
            TensorKind::Trainable => averaged.push(pair),
            TensorKind::Frozen | TensorKind::Buffer => copied.push(pair),
        }
    }
    update::average(&averaged, beta as f32)?;
    Ok(update::copy(&copied)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_limits_the_half_life() {
        assert_eq!(ema_beta(8, 10.0, Some(0.05), 0), 0.0);
        assert!((ema_beta(10, 10.0, Some(0.05), 200) - 0.5).abs() < 1e-12);
        assert!((ema_beta(20_000, 10.0, None, 0) - 0.25).abs() < 1e-12);
        assert_eq!(
            ema_beta(64, 10.0, Some(0.05), 10_000_000),
            ema_beta(64, 10.0, None, 0)
        );
    }
}
