//! Pretrained networks that map images to feature vectors or to perceptual distances. The metrics computed from them
//! are in the crate `metrics`.
//!
//! - [`inception`]: the Inception network whose features define FID.
//! - [`vgg`]: VGG16, whose features are used for precision and recall, with the perceptual distance LPIPS, which is
//!   used for perceptual path length and, differentiable, for projection.
//! - [`FaceNetwork`]: layers of this project's face detector, whose weights are embedded in the program.
//! - [`convert_weights`]: converts published weight files to the files in the cache that the networks are loaded from.
//!
//! A [`Placement`] is the device and element type that a network computes in. Inception and VGG16 can also have
//! deterministic random weights, for which no file is needed.
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
