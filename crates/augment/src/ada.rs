//! The controller of the augmentation probability `p`.

use serde::{Deserialize, Serialize};

use crate::AugmentError;

/// Settings of [`AdaController`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaOptions {
    /// The target for the mean sign of D's output on real images (the target of r_t in the paper), usually 0.6.
    pub target: f64,
    /// The number of iterations between two updates of `p`.
    pub interval: u64,
    /// The number of images, in thousands, over which `p` changes by 1 when all updates have the same direction.
    pub kimg: f64,
    /// The number of images per iteration (the batch size).
    pub batch: usize,
    /// The largest `p` that updates can reach. `None` sets no limit, so `p` may exceed 1, as in NVIDIA's
    /// implementation.
    pub max_p: Option<f64>,
}

impl Default for AdaOptions {
    fn default() -> Self {
        AdaOptions {
            target: 0.6,
            interval: 4,
            kimg: 500.0,
            batch: 64,
            max_p: Some(0.85),
        }
    }
}

/// Adapts the augmentation probability `p`: raises it while the mean sign of D's output on real images is above the
/// target, and lowers it while it is below (ADA, arXiv:2006.06676).
///
/// The struct is the complete state: serializing it with serde saves the controller.
///
/// ```
/// let options = augment::AdaOptions {
///     target: 0.6,
///     interval: 1,
///     kimg: 1.0,
///     batch: 100,
///     ..Default::default()
/// };
/// let mut ada = augment::AdaController::new(options, 0.0)?;
/// ada.report([1.0, 1.0, 1.0, 1.0]);
/// ada.step(1);
/// assert!((ada.p() - 0.1).abs() < 1e-6);
/// # Ok::<(), augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaController {
    /// The settings.
    pub options: AdaOptions,
    p: f32,
    sign_sum: f64,
    n_signs: u64,
    /// The mean sign in the last interval that had reports.
    mean_sign: Option<f64>,
}

/// The values of one update of `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaUpdate {
    /// The mean sign of D's output on real images, -1 to 1.
    pub mean_sign: f64,
    /// The change of `p` before `p` is clamped.
    pub adjust: f64,
    /// The new `p`, after clamping.
    pub p: f64,
}

impl AdaController {
    /// A controller whose `p` starts at the given value.
    ///
    /// # Errors
    /// When `p` is negative or not a number.
    pub fn new(options: AdaOptions, p: f64) -> Result<Self, AugmentError> {
        if !(p.is_finite() && p >= 0.0) {
            return Err(AugmentError::Probability(p));
        }
        Ok(Self {
            options,
            p: p as f32,
            sign_sum: 0.0,
            n_signs: 0,
            mean_sign: None,
        })
    }

    /// The current augmentation probability, at least 0.
    pub fn p(&self) -> f64 {
        f64::from(self.p)
    }

    /// The mean sign in the last interval that had reports (r_t of the paper), -1 to 1; `None` before the first update.
    pub fn mean_sign(&self) -> Option<f64> {
        self.mean_sign
    }

    /// Reports D's logits, or their signs, on real images. Call it in every phase that runs D on real images.
    pub fn report(&mut self, real_logits: impl IntoIterator<Item = f32>) {
        for logit in real_logits {
            self.sign_sum += match logit {
                l if l > 0.0 => 1.0,
                l if l < 0.0 => -1.0,
                _ => 0.0,
            };
            self.n_signs += 1;
        }
    }

    /// Updates `p` if `batch_idx` is a multiple of the interval, else returns `None`. Call it after each iteration,
    /// with the number of iterations so far.
    pub fn step(&mut self, batch_idx: u64) -> Option<AdaUpdate> {
        if !self.is_due(batch_idx) {
            return None;
        }
        self.update()
    }

    /// Whether [`Self::step`] will update `p` after iteration `batch_idx`; report all logits of the interval before
    /// that call.
    pub fn is_due(&self, batch_idx: u64) -> bool {
        batch_idx.is_multiple_of(self.options.interval.max(1))
    }

    /// Updates `p` for one interval and returns the values of this update; `None` before the first report. Without new
    /// reports it uses the previous mean sign.
    pub fn update(&mut self) -> Option<AdaUpdate> {
        if self.n_signs > 0 {
            self.mean_sign = Some(self.sign_sum / self.n_signs as f64);
            (self.sign_sum, self.n_signs) = (0.0, 0);
        }
        let mean_sign = self.mean_sign?;
        let o = &self.options;
        let direction = match mean_sign - o.target {
            d if d > 0.0 => 1.0,
            d if d < 0.0 => -1.0,
            _ => 0.0,
        };
        let images = o.batch as f64 * o.interval as f64;
        let adjust = direction * images / (o.kimg * 1000.0);
        let moved = (self.p + adjust as f32).max(0.0);
        self.p = match o.max_p {
            // A `p` above the limit, e.g. because it started there or the limit was lowered, can only decrease.
            Some(max_p) if adjust > 0.0 => moved.min((max_p as f32).max(self.p)),
            _ => moved,
        };
        Some(AdaUpdate {
            mean_sign,
            adjust,
            p: self.p(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(max_p: Option<f64>, p: f64) -> AdaController {
        let options = AdaOptions {
            kimg: 1.0,
            batch: 64,
            max_p,
            ..AdaOptions::default()
        };
        AdaController::new(options, p).unwrap()
    }

    #[test]
    fn p_follows_the_sign_of_the_mean() {
        let mut ada = controller(None, 0.0);
        assert_eq!(ada.step(4), None);
        ada.report([1.0, 2.5, 0.0, -3.0]);
        assert_eq!(ada.step(5), None);
        let update = ada.step(8).unwrap();
        assert_eq!(
            (update.mean_sign, update.adjust, update.p),
            (0.25, -0.256, 0.0)
        );
        ada.report([1.0; 10]);
        assert_eq!(ada.update().unwrap().p, f64::from(0.256_f32));
        // Without a new report the mean sign stays, and `p` grows beyond 1.
        for _ in 0..5 {
            ada.update();
        }
        assert!((ada.p() - 6.0 * 0.256).abs() < 1e-6);
    }

    #[test]
    fn the_limit_holds_and_only_on_the_way_up() {
        let mut ada = controller(Some(0.85), 0.0);
        ada.report([1.0]);
        for _ in 0..9 {
            ada.update();
        }
        assert_eq!(ada.p(), f64::from(0.85_f32));
        let mut ada = controller(Some(0.85), 2.0);
        ada.report([1.0]);
        assert_eq!(ada.update().unwrap().p, 2.0);
        ada.report([-1.0]);
        assert!((ada.update().unwrap().p - 1.744).abs() < 1e-6);
    }

    #[test]
    fn the_saved_state_goes_on_identically() {
        let mut ada = controller(Some(0.85), 0.1);
        ada.report([1.0, -1.0, 1.0]);
        ada.update();
        ada.report([-1.0, 1.0]);
        let text = serde_json::to_string(&ada).unwrap();
        let mut restored: AdaController = serde_json::from_str(&text).unwrap();
        ada.report([1.0]);
        restored.report([1.0]);
        assert_eq!(ada.update(), restored.update());
        assert_eq!(ada, restored);
    }

    #[test]
    fn a_wrong_start_is_refused() {
        assert!(AdaController::new(AdaOptions::default(), f64::NAN).is_err());
        assert!(AdaController::new(AdaOptions::default(), -0.1).is_err());
    }
}
