use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::modules::Module;

/// Generator or discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Latents to images.
    Generator,
    /// Images to logits.
    Discriminator,
}

impl NetworkKind {
    /// `generator` or `discriminator`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }
}

/// The configuration of one network of any family: what every family of networks has to provide.
pub trait NetworkDefinition {
    /// Generator or discriminator.
    fn kind(&self) -> NetworkKind;

    /// Width of the label; 0 without labels.
    fn c_dim(&self) -> usize;

    /// Image side in pixels.
    fn img_resolution(&self) -> usize;

    /// Checks that such a network can be built.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    fn validate(&self) -> Result<()>;

    /// Checks only what [`NetworkDefinition::modules`] divides by and counts to. A file can describe a network that
    /// cannot be built here, and is still read, described and converted.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    fn check_counts(&self) -> Result<()>;

    /// The reference's tree of modules, with the names and shapes of all tensors. Needs
    /// [`NetworkDefinition::check_counts`].
    fn modules(&self) -> Module;
}
