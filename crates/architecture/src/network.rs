//! The configuration of any network of any family: the enum `NetworkConfig`.

use serde::{Deserialize, Serialize};

use crate::definition::{NetworkDefinition, NetworkKind};
use crate::error::Result;
use crate::modules::{Module, TensorSpec};
use crate::stylegan2::{DiscriminatorConfig, GeneratorConfig};

/// The configuration of a generator or discriminator. Each family of networks has one variant for each of its networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(
    clippy::large_enum_variant,
    reason = "there are three of them in a program"
)]
pub enum NetworkConfig {
    /// A StyleGAN2 generator.
    Generator(GeneratorConfig),
    /// A StyleGAN2 discriminator.
    Discriminator(DiscriminatorConfig),
}

impl NetworkConfig {
    /// The configuration in this variant, as a trait object.
    pub fn definition(&self) -> &dyn NetworkDefinition {
        match self {
            Self::Generator(config) => config,
            Self::Discriminator(config) => config,
        }
    }

    /// Whether this is a generator or a discriminator.
    pub fn kind(&self) -> NetworkKind {
        self.definition().kind()
    }

    /// Number of values of a label `c`; 0 for a network without labels.
    pub fn c_dim(&self) -> usize {
        self.definition().c_dim()
    }

    /// Image side in pixels.
    pub fn img_resolution(&self) -> usize {
        self.definition().img_resolution()
    }

    /// Checks that a network with these settings can be built and trained.
    ///
    /// # Errors
    /// `Config`, naming the first setting that is not possible.
    pub fn validate(&self) -> Result<()> {
        self.definition().validate()
    }

    /// The tree of modules that the network has in NVIDIA's PyTorch code. See [`NetworkDefinition::modules`].
    pub fn modules(&self) -> Module {
        self.definition().modules()
    }

    /// Name, shape and role of every tensor, in the order of `state_dict()` in NVIDIA's PyTorch code.
    pub fn state_dict(&self) -> Vec<TensorSpec> {
        self.modules().state_dict()
    }
}

impl From<GeneratorConfig> for NetworkConfig {
    fn from(config: GeneratorConfig) -> Self {
        Self::Generator(config)
    }
}

impl From<DiscriminatorConfig> for NetworkConfig {
    fn from(config: DiscriminatorConfig) -> Self {
        Self::Discriminator(config)
    }
}
