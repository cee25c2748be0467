//! The enum `LiveNetwork`: a generator or a discriminator with its weights, ready to be evaluated.

use architecture::NetworkConfig;
use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::generator::Generator;
use crate::stylegan2::Discriminator;

/// A generator or discriminator that was built from a [`NetworkConfig`].
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
    /// Builds the network of a configuration from copies of given tensors, converted to `dtype`. Their names are those
    /// of NVIDIA's PyTorch code without a prefix. The weights get no gradients.
    ///
    /// # Errors
    /// `Weights`, listing all tensors that are missing, unexpected or of the wrong shape; `Config` when the settings
    /// are impossible.
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
