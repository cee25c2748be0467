//! The parts that are specific to StyleGAN2: synthesis network and discriminator. The mapping network and the dense and
//! convolution layers are outside this module, so that other families of networks can use them.

mod discriminator;
mod epilogue;
mod minibatch_stddev;
mod synthesis;

pub use discriminator::Discriminator;
pub use synthesis::{NoiseMode, SynthesisNetwork, SynthesisOptions};
