//! VGG16 (arXiv:1409.1556): the features of its second dense layer, for precision and recall, and the perceptual
//! distance LPIPS (arXiv:1801.03924), for perceptual path length and, differentiable, for projection.

mod input;
mod lpips;
mod network;
mod shape;
mod weights;

pub use input::{average_down, without_alpha};
pub use network::{LEAST_SIDE, StageFeatures, Vgg16};
pub use shape::VggShape;
pub use weights::{
    FILE_NAME, LPIPS_URL, TORCHSCRIPT_SHA256, TORCHSCRIPT_URL, TORCHVISION_URL, VggSource,
};
pub(crate) use weights::{convert, is_part};
