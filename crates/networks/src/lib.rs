//! The generator and discriminator of StyleGAN2 (arXiv:1912.04958), with the names that NVIDIA's PyTorch code has for
//! weights and settings.
//!
//! A network is built from a [`candle_nn::VarBuilder`] and a configuration ([`Generator::load`],
//! [`Discriminator::load`]), and is a [`candle_core::Module`]:
//!
//! ```
//! # use networks::{MappingConfig, Snapshot};
//! # let folder = std::env::temp_dir().join(format!("networks-example-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("network-snapshot.safetensors");
//! # let tiny = GeneratorConfig {
//! #     z_dim: 8, w_dim: 8, channel_base: 64, mapping: MappingConfig::new(8), ..GeneratorConfig::new(16, 3)
//! # };
//! # let g = Generator::new(&tiny, &mut rng::RandomState::new(0), &Device::Cpu)?;
//! # Snapshot { g_ema: Some(g), ..Default::default() }.save(&path)?;
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::VarBuilder;
//! use networks::{Generator, GeneratorConfig, read_generator_config};
//!
//! let device = Device::Cpu;
//! let config: GeneratorConfig = read_generator_config(&path, "G_ema")?;
//! let vb = unsafe { VarBuilder::from_mmaped_safetensors(&[&path], DType::F32, &device)? };
//! let generator = Generator::load(vb.pp("G_ema"), &config)?;
//!
//! let z = Tensor::randn(0f32, 1f32, (1, config.z_dim), &device)?;
//! let image = z.apply(&generator)?; // [1, 3, resolution, resolution], about -1 to 1
//! let pixels = ((image.clamp(-1f32, 1f32)? + 1.0)? * 127.5)?.to_dtype(DType::U8)?;
//! assert_eq!(pixels.dims(), [1, 3, 16, 16]);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Generator`] consists of a [`MappingNetwork`] and a [`SynthesisNetwork`]; a [`Discriminator`] maps images to
//! logits. The `Module` implementations take one tensor; labels, truncation and noise are arguments of the `forward`
//! methods of the types themselves. Configurations and the names and shapes of tensors come from the crate
//! `architecture`. A [`Snapshot`] reads and writes all networks of a file at once.
//!
//! Training calls `forward_dual`, whose inputs and outputs are [`ops::Dual`]: a value and optionally its tangent, that
//! is, its derivative along one direction. Gradient penalties need this derivative. [`Parameters`] holds the weights.
//! Networks over the same parameters share them, so one set of weights can have a network with gradients
//! ([`Generator::tracked`]) and one without ([`Generator::detached`]).
//!
//! This crate contains no losses and no optimizers, and reads no files of other programs. Random numbers come from a
//! generator that the caller passes in. Networks have no training mode: the settings that differ in training (noise,
//! update of `w_avg`) are options of each call.

mod conv;
mod dense;
mod error;
mod generator;
mod live_network;
mod mapping;
mod parameters;
mod precision;
mod random;
mod snapshot;
mod stylegan2;

pub use architecture::{
    Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig, NetworkConfig, TensorKind,
    TensorSpec,
};
pub use error::{Error, Result, WeightsMismatch};
pub use generator::Generator;
pub use live_network::LiveNetwork;
pub use mapping::{MappingNetwork, MappingOptions, mix_styles};
pub use parameters::Parameters;
pub use precision::Precision;
pub use random::{NormalSource, noise_key};
pub use snapshot::{Snapshot, read_generator_config};
pub use stylegan2::{Discriminator, NoiseMode, SynthesisNetwork, SynthesisOptions};
