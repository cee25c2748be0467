//! VGG16 (arXiv:1409.1556) as the metrics use it: features of precision and recall, and the perceptual distance LPIPS
//! (arXiv:1801.03924) of path lengths.

mod distances;
mod network;
mod weights;

pub use network::{Vgg16, VggShape};
pub use weights::{
    FILE_NAME, LPIPS_URL, TORCHSCRIPT_SHA256, TORCHSCRIPT_URL, TORCHVISION_URL, VggSource,
};
pub(crate) use weights::{convert, is_part};
