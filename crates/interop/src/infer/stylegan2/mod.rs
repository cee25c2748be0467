//! Infers configurations of StyleGAN2 and StyleGAN2-ADA networks.

mod discriminator;
mod generator;
mod shapes;

use architecture::NetworkConfig;

use super::family::Family;

/// The functions of this family.
pub(super) const FAMILY: Family = Family {
    // StyleGAN3 generators have a `synthesis.input` layer; StyleGAN2 generators have none.
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
