use architecture::NetworkConfig;

use super::Tensors;
use super::stated::Stated;
use crate::error::Result;

/// Tells the configuration of a network from its tensors and from the settings that the file states.
type Infer = fn(&Tensors, &mut Stated<'_>) -> Result<NetworkConfig>;

/// Recognition of the networks of one family by their tensors.
pub(super) struct Family {
    /// Whether these tensors are those of a network of the family, as far as the names of others do not speak
    /// against it.
    pub recognizes: fn(&Tensors) -> bool,
    /// For generators.
    pub generator: Infer,
    /// For discriminators.
    pub discriminator: Infer,
}
