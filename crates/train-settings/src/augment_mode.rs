//! The augmentation modes of the flag `--aug`.

use serde::{Deserialize, Serialize};

/// The augmentation of the discriminator's images (`--aug`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentMode {
    /// No augmentation. NVIDIA's name: `noaug`.
    Noaug,
    /// Adaptive augmentation: the probability follows the overfitting of the discriminator (arXiv:2006.06676).
    Ada,
    /// Augmentation with a fixed probability.
    Fixed,
}

impl AugmentMode {
    /// NVIDIA's name of the mode: `noaug`, `ada` or `fixed`.
    pub fn name(self) -> &'static str {
        match self {
            AugmentMode::Noaug => "noaug",
            AugmentMode::Ada => "ada",
            AugmentMode::Fixed => "fixed",
        }
    }
}
