//! Pretrained networks that turn images into features or perceptual distances.
//!
//! - [`inception`]: the network that defines FID.
//! - [`vgg`]: VGG16 with LPIPS, differentiable: precision and recall, path lengths, projection.
//! - [`FaceNetwork`]: the layers of our face detector, whose weights are embedded.
//! - [`convert_weights`] converts published files of weights for the cache.
//!
//! Networks compute on a [`Placement`]. Deterministic random weights are available without a file. This crate knows no
//! metrics.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use feature_networks::inception::{Inception, InceptionOptions, SeededWeights, Tap};
//!
//! let weights = SeededWeights { seed: None, normalization: false };
//! let options = InceptionOptions { side: 75, tap: Tap::F64 };
//! let network = Inception::seeded(weights, options)?;
//! let images = Tensor::zeros((2, 3, 75, 75), DType::U8, &Device::Cpu)?;
//! let features = network.extract(&images)?.features;
//! assert_eq!((features.len(), features.dim()), (2, 64));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod face_network;
mod features;
pub mod inception;
mod network_input;
mod placement;
mod pool;
mod seeded_weights;
pub mod vgg;
mod weight_files;

pub use error::{Error, Result};
pub use face_network::FaceNetwork;
pub use features::Features;
pub use placement::Placement;
pub use weight_files::{ConvertedWeights, cache_folder, convert_weights};
