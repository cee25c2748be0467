//! Generates images as input of metrics, during a run and afterwards.
//!
//! [`FakeImages`] generates a sequence of images, and pairs of images on latent paths for the path length metric; each
//! depends only on the seed and its position. [`measure_diversity`] is the diversity check of training.
//!
//! ```
//! use candle_core::Device;
//! use fakes::FakeImages;
//! use networks::{Generator, GeneratorConfig};
//! use rng::RandomState;
//!
//! let config = GeneratorConfig {
//!     channel_base: 64,
//!     channel_max: 8,
//!     ..GeneratorConfig::new(8, 3)
//! };
//! let generator = Generator::new(&config, &mut RandomState::new(1), &Device::Cpu)?;
//! let mut fakes = FakeImages::new(&generator, None, 0)?;
//! assert_eq!(fakes.batch(2)?.dims(), [2, 3, 8, 8]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod fake_images;
mod paths;
mod streams;

pub use error::{Error, Result};
pub use fake_images::{FakeImages, measure_diversity, to_u8};
