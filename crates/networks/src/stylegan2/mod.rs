//! The parts that are StyleGAN2's own: synthesis network and discriminator. The mapping network and the layers are
//! shared with other families.

mod discriminator;
mod epilogue;
mod minibatch_stddev;
mod synthesis;

pub use discriminator::Discriminator;
pub use synthesis::{NoiseMode, SynthesisNetwork, SynthesisOptions};
