//! The modes of augmentation.

use serde::{Deserialize, Serialize};

/// The augmentation of the discriminator's images (`--aug`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentMode {
    /// No augmentation.
    Noaug,
    /// With an adaptive probability.
    Ada,
    /// With a fixed probability.
    Fixed,
}

impl AugmentMode {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            AugmentMode::Noaug => "noaug",
            AugmentMode::Ada => "ada",
            AugmentMode::Fixed => "fixed",
        }
    }
}
