use serde::{Deserialize, Serialize};

use crate::definition::{NetworkDefinition, NetworkKind};
use crate::error::Result;
use crate::modules::{Module, TensorSpec};
use crate::stylegan2::{DiscriminatorConfig, GeneratorConfig};

/// The configuration of any network. A family adds a variant for each network of its own.
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
    /// The configuration as its family defines it.
    pub fn definition(&self) -> &dyn NetworkDefinition {
        match self {
            Self::Generator(config) => config,
            Self::Discriminator(config) => config,
        }
    }

    /// Generator or discriminator.
    pub fn kind(&self) -> NetworkKind {
        self.definition().kind()
    }

    /// Width of the label; 0 without labels.
    pub fn c_dim(&self) -> usize {
        self.definition().c_dim()
    }

    /// Image side in pixels.
    pub fn img_resolution(&self) -> usize {
        self.definition().img_resolution()
    }

    /// Checks that such a network can be built.
    ///
    /// # Errors
    /// `Config`, naming the setting.
    pub fn validate(&self) -> Result<()> {
        self.definition().validate()
    }

    /// The reference's tree of modules ([`NetworkDefinition::modules`]).
    pub fn modules(&self) -> Module {
        self.definition().modules()
    }

    /// All tensors in the order of the reference's `state_dict()`.
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
