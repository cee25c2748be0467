use architecture::NetworkConfig;
use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::generator::Generator;
use crate::stylegan2::Discriminator;

/// A network of any kind and family, built from its configuration.
#[allow(
    clippy::large_enum_variant,
    reason = "there are three of them in a program"
)]
pub enum LiveNetwork {
    /// A generator.
    Generator(Generator),
    /// A discriminator.
    Discriminator(Discriminator),
}

impl LiveNetwork {
    /// The network of a configuration with given weights, under the reference's names without a prefix.
    ///
    /// # Errors
    /// `Weights`, listing all names that are missing, unexpected or of another shape; `Config`.
    pub fn from_tensors(
        config: &NetworkConfig,
        tensors: impl IntoIterator<Item = (String, Tensor)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        Ok(match config {
            NetworkConfig::Generator(config) => {
                Self::Generator(Generator::from_tensors(config, tensors, dtype, device)?)
            }
            NetworkConfig::Discriminator(config) => {
                Self::Discriminator(Discriminator::from_tensors(config, tensors, dtype, device)?)
            }
        })
    }
}
