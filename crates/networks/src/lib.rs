//! StyleGAN2 generator and discriminator (arXiv:1912.04958), under the reference's names of weights and settings.
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
//! [`Generator`] is a [`MappingNetwork`] and a [`SynthesisNetwork`]; [`Discriminator`] rates its images. Labels,
//! truncation and noise are options of their own `forward` methods. Configurations, names and shapes are those of the
//! crate `architecture`; [`Snapshot`] reads and writes all networks of a file at once.
//!
//! Training computes on `ops::Dual`, in which both are written once: given a tangent, a call (`forward_dual`) carries
//! the directional derivative along, which gradient penalties need. [`Parameters`] holds the weights; networks over the
//! same parameters share them, so a network with gradients and one without are two views ([`Generator::tracked`],
//! [`Generator::detached`]).
//!
//! Nothing here knows losses, optimizers or the files of other programs. Random numbers come from a generator that is
//! passed in. There is no training mode: what it would change (noise, tracking of `w_avg`) is an option of the call.

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
