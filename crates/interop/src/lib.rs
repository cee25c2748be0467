//! Reads and writes the checkpoint files of other StyleGAN2 programs, without executing anything in them.
//!
//! [`read_checkpoint`] reads `.pkl` snapshots of NVIDIA's StyleGAN2 and StyleGAN2-ADA (PyTorch and TensorFlow), `.pt`
//! files of rosinality/stylegan2-pytorch and this project's safetensors files. It returns a [`Checkpoint`]: networks
//! whose tensors have the names of NVIDIA's PyTorch code, with their architecture, which is inferred from the shapes of
//! the tensors and checked against the settings in the file. [`write_checkpoint`] writes such files, [`convert`] reads
//! one and writes another, [`describe`] summarizes a file, [`read_tensors`] reads any state dict.
//!
//! "Official" means in this crate: of NVIDIA's PyTorch code (`stylegan2-ada-pytorch`).
//!
//! [`pickle`] is a reader of Python pickle streams. It knows a short list of Python constructors, records their calls
//! as data and never calls them. The crate does not depend on a tensor library: a [`Tensor`] is an element type, a
//! shape and bytes.

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
