//! Generators and discriminators as data: configuration, tensor names and shapes, comparison. No tensors.
//!
//! A network is described by a [`NetworkConfig`]. It is read from the reference's keyword arguments
//! ([`GeneratorConfig::from_kwargs`]) or from JSON, and gives the tree of the reference's modules
//! ([`NetworkConfig::modules`]) with all tensor names and shapes ([`NetworkConfig::state_dict`]). `networks` builds live
//! networks from these, `interop` reads and writes files by them. Two architectures are compared by
//! [`NetworkConfig::differences`], and a file with a network by a [`LoadReport`].
//!
//! A family of networks is one module (today [`stylegan2`]) whose configurations implement [`NetworkDefinition`], and
//! one variant of [`NetworkConfig`] for each of its networks.
//!
//! ```
//! use architecture::{GeneratorConfig, NetworkConfig};
//!
//! let generator = NetworkConfig::Generator(GeneratorConfig::new(512, 3));
//! let tensors = generator.state_dict();
//! assert_eq!(tensors[0].name, "synthesis.b4.const");
//! assert_eq!(tensors[0].shape, [512, 4, 4]);
//! ```

mod activation;
mod compare;
mod definition;
mod error;
mod filter;
mod modules;
mod network;
pub mod pretrained;
mod report;
pub mod stylegan2;

pub use activation::Activation;
pub use compare::Difference;
pub use definition::{NetworkDefinition, NetworkKind};
pub use error::{Error, Result};
pub use filter::{DEFAULT_FILTER, filter_buffer};
pub use modules::{Attr, Init, Module, ModuleTensor, TensorKind, TensorSpec};
pub use network::NetworkConfig;
pub use pretrained::Pretrained;
pub use report::{LoadReport, NetworkReport, TensorReport};
pub use stylegan2::{Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig};
