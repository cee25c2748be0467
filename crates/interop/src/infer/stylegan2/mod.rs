//! StyleGAN2 and StyleGAN2-ADA.

mod discriminator;
mod generator;
mod shapes;

use architecture::NetworkConfig;

use super::family::Family;

/// The networks of this family.
pub(super) const FAMILY: Family = Family {
    // Other generators start from an `input` layer.
    recognizes: |tensors| {
        !tensors
            .keys()
            .any(|name| name.starts_with("synthesis.input."))
    },
    generator: |tensors, stated| {
        generator::generator(tensors, stated).map(NetworkConfig::Generator)
    },
    discriminator: |tensors, stated| {
        discriminator::discriminator(tensors, stated).map(NetworkConfig::Discriminator)
    },
};
