//! The architecture of generators and discriminators as data: settings, and the names and shapes of all tensors. The
//! crate holds no tensor values and depends on no tensor library.
//!
//! A network is described by a [`NetworkConfig`], which is read from the keyword arguments of NVIDIA's StyleGAN2-ADA
//! ([`GeneratorConfig::from_kwargs`]) or from JSON. From it follow the tree of modules that NVIDIA's PyTorch code has
//! ([`NetworkConfig::modules`]) and the names and shapes of all tensors ([`NetworkConfig::state_dict`]). The crate
//! `networks` builds networks from these, the crate `interop` reads and writes checkpoint files with them.
//! [`NetworkConfig::differences`] compares two architectures; a [`LoadReport`] compares the networks of a file with
//! those of a training run.
//!
//! Each family of networks is one module (at present only [`stylegan2`]) whose configurations implement
//! [`NetworkDefinition`]; [`NetworkConfig`] has one variant for each of its networks.
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
