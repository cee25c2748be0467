use architecture::NetworkConfig;

use super::Tensors;
use super::stated::Stated;
use crate::error::Result;

/// Infers the configuration of a network from its tensors and the settings in the file.
type Infer = fn(&Tensors, &mut Stated<'_>) -> Result<NetworkConfig>;

/// Recognition of the networks of one family by their tensors.
pub(super) struct Family {
    /// Whether these tensors belong to a network of the family, judged by names that other families do not
    /// have.
    pub recognizes: fn(&Tensors) -> bool,
    /// Infers generators.
    pub generator: Infer,
    /// Infers discriminators.
    pub discriminator: Infer,
}
