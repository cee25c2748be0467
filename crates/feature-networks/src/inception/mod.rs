//! The Inception network `inception-2015-12-05`, whose features define FID, computed with the convolutions of the crate
//! `ops`.

mod convolutions;
mod half;
mod network;
mod torchscript;
mod weights;

pub use half::HALF_TOLERANCE;
pub use network::{Inception, InceptionOptions, InceptionOutput, Tap, softmax};
pub use weights::{
    CLASSES, FILE_NAME, STATE_DICT_SHA256_START, STATE_DICT_URL, SeededWeights, tensor_names,
};
pub(crate) use weights::{is_inception, pick, write};
