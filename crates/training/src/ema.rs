//! The moving average of the generator: the one that makes the pictures.

use networks::Generator;
use ops::update::Update;

use crate::elementwise::update2;
use crate::error::Result;

/// How much of the old average stays after a batch.
///
/// The half-life is `ema_kimg` thousand images, but at most the share `rampup` of the `cur_nimg` images seen before the
/// batch. In the first step with a ramp the average becomes the generator.
pub fn ema_beta(batch: usize, ema_kimg: f64, rampup: Option<f64>, cur_nimg: u64) -> f64 {
    let half_life = ema_kimg * 1000.0;
    let half_life = rampup.map_or(half_life, |ramp| half_life.min(cur_nimg as f64 * ramp));
    0.5f64.powf(batch as f64 / half_life.max(1e-8))
}

/// Moves the weights of `average` towards `g`, and copies the buffers (`w_avg`).
///
/// # Errors
/// When the tensor library fails.
pub fn update_average(average: &Generator, g: &Generator, beta: f64) -> Result<()> {
    let pairs = average.parameters().iter().zip(g.parameters().iter());
    for ((_, average, _), (_, new, kind)) in pairs {
        let new = new.as_detached_tensor();
        let average_of = Update::Average { beta: beta as f32 };
        match kind {
            // As torch's lerp, which starts from the nearer end.
            networks::TensorKind::Trainable if beta < 0.5 => {
                let beta = beta as f32;
                update2(average, &new, average_of, |old, new| {
                    new + beta * (old - new)
                })?;
            }
            networks::TensorKind::Trainable => {
                let rest = 1.0 - beta as f32;
                update2(average, &new, average_of, |old, new| {
                    old - (old - new) * rest
                })?;
            }
            _ => update2(average, &new, Update::Set, |_, new| new)?,
        }
    }
    Ok(())
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
