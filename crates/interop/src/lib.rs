//! Checkpoints of other programs: read without executing anything, written so that others can open them.
//!
//! [`read_checkpoint`] takes official `.pkl` snapshots (PyTorch and TensorFlow), rosinality `.pt` files and our
//! safetensors, and gives a [`Checkpoint`]: networks under the official tensor names with their architecture, which is
//! inferred from the tensors and checked against what the file states. [`write_checkpoint`] goes the other way,
//! [`convert`] does both, [`describe`] summarizes a file, [`read_tensors`] reads any state dict.
//!
//! [`pickle`] is our own reader for Python pickle streams. It represents a short list of constructors as data and
//! calls nothing. No tensor library is involved: a [`Tensor`] is a shape and bytes.

mod checkpoint;
mod convert;
mod describe;
mod error;
mod file;
mod infer;
mod missing;
mod numpy;
mod official;
mod official_write;
mod onnx;
pub mod pickle;
mod rosinality;
mod safetensors;
mod state_dict;
mod tensor;
mod tensorflow;
mod torch;
mod w_avg;

pub use checkpoint::{AugmentPipe, Checkpoint, Format, Network, Provenance, is_noise_assumed};
pub use convert::{Conversion, convert, convert_to_f16, format_of};
pub use describe::{
    Description, NetworkDescription, TensorDescription, describe, weights_checksum,
};
pub use error::{Error, Result};
pub use file::{
    Container, MAX_BYTES, TensorFile, checkpoint_bytes, read_checkpoint, read_checkpoint_bytes,
    read_tensors, read_tensors_bytes, write_checkpoint,
};
pub use onnx::onnx_bytes;
pub use tensor::{DType, Tensor};
