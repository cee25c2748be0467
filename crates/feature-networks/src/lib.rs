//! Pretrained networks that turn images into features or perceptual distances.
//!
//! - [`inception`]: the network that FID is defined by.
//! - [`vgg`]: VGG16 with LPIPS, differentiable: precision and recall, path lengths, projection.
//! - [`FaceNetwork`]: the layers of our face detector, whose weights are in the program.
//! - [`convert_weights`] brings published files of weights into the cache.
//!
//! Networks compute on a [`Placement`]; without a file their weights can be drawn from a seed. Metrics are not known
//! here.

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
