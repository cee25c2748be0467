//! StyleGAN2 generator and discriminator (arXiv:1912.04958), under the official names of weights and settings.
//!
//! [`Generator`] is a [`MappingNetwork`] and a [`SynthesisNetwork`]; [`Discriminator`] judges its images. Both are
//! written once, on `ops::Dual`: given a tangent, a call carries the directional derivative along, which gradient
//! penalties need. [`Parameters`] holds the weights; networks over the same parameters share them, so a network with
//! gradients and one without are two views ([`Generator::tracked`], [`Generator::detached`]).
//!
//! Nothing here knows losses, optimizers or the files of other programs. Random numbers come from a generator that is
//! passed in. There is no training mode: what it would change (noise, tracking of `w_avg`) is an option of the call.

mod builder;
mod conv;
mod dense;
mod discriminator;
mod epilogue;
mod error;
mod generator;
mod mapping;
mod minibatch_stddev;
mod parameters;
mod precision;
mod random;
mod snapshot;
mod synthesis;

pub use architecture::{
    Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig, NetworkConfig, TensorKind,
    TensorSpec,
};
pub use discriminator::Discriminator;
pub use error::{Error, Result, WeightsMismatch};
pub use generator::Generator;
pub use mapping::{MappingNetwork, MappingOptions, mix_styles};
pub use parameters::Parameters;
pub use precision::Precision;
pub use random::{NormalSource, noise_key};
pub use snapshot::Snapshot;
pub use synthesis::{NoiseMode, SynthesisNetwork, SynthesisOptions};
