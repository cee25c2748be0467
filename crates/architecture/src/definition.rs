//! The trait `NetworkDefinition`, which the configurations of all networks implement.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::modules::Module;

/// The two kinds of networks of a GAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Maps latents to images.
    Generator,
    /// Maps images to logits: high for real, low for generated.
    Discriminator,
}

impl NetworkKind {
    /// The English word: `generator` or `discriminator`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }
}

/// The interface of a network configuration, which every family of networks implements for its generator and its
/// discriminator.
pub trait NetworkDefinition {
    /// Whether this is a generator or a discriminator.
    fn kind(&self) -> NetworkKind;

    /// Number of values of a label `c`; 0 for a network without labels.
    fn c_dim(&self) -> usize;

    /// Image side in pixels.
    fn img_resolution(&self) -> usize;

    /// Checks that a network with these settings can be built and trained.
    ///
    /// # Errors
    /// `Config`, naming the first setting that is not possible.
    fn validate(&self) -> Result<()>;

    /// Checks only the settings with which [`NetworkDefinition::modules`] could panic or run for very long: resolution,
    /// number of mapping layers, number of filter taps. Unlike [`NetworkDefinition::validate`], it accepts networks
    /// that cannot be built here but whose files can be read, described and converted.
    ///
    /// # Errors
    /// `Config`, naming the setting that is out of range.
    fn check_counts(&self) -> Result<()>;

    /// The tree of modules that the network has in NVIDIA's PyTorch code, with the names and shapes of all tensors. May
    /// panic when [`NetworkDefinition::check_counts`] returns an error.
    fn modules(&self) -> Module;
}
