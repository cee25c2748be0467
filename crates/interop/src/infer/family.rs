//! The interface by which each family of networks recognizes its tensors.

use architecture::NetworkConfig;

use super::Tensors;
use super::stated::Stated;
use crate::error::Result;

/// Infers the configuration of a network from its tensors and the settings stated in the file.
type Infer = fn(&Tensors, &mut Stated<'_>) -> Result<NetworkConfig>;

/// The functions that recognize the networks of one family (such as StyleGAN2) and infer their configurations.
pub(super) struct Family {
    /// Whether these tensors belong to a network of the family, judged by their names.
    pub recognizes: fn(&Tensors) -> bool,
    /// Infers the configuration of a generator.
    pub generator: Infer,
    /// Infers the configuration of a discriminator.
    pub discriminator: Infer,
}
