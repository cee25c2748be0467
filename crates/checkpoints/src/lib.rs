//! Loads the networks of any checkpoint onto a device, and transfers their weights into the networks of a new training
//! run.
//!
//! [`open`] takes a file, an `http(s)` address or the name of a pretrained network. It reads all formats of the crate
//! `interop`: `.pkl` snapshots of NVIDIA's StyleGAN2-ADA for PyTorch and TensorFlow, `.pt` files of
//! rosinality/stylegan2-pytorch, and safetensors. It returns an [`Opened`]: networks on a device, and their provenance.
//!
//! [`init_from`] creates the networks of a new run and copies the weights of the file into them by name. If the tensors
//! or settings of the file do not fit, it returns an error that names the flags with which they would fit, unless
//! [`TransferOptions::allow_partial`] is set.
//!
//! ```
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/tests/data/official.pkl");
//! let opened = checkpoints::open(path, &candle_core::Device::Cpu)?;
//! let (key, generator) = opened.generator()?;
//! assert_eq!((key, generator.config().img_resolution), ("G_ema", 8));
//! # Ok::<(), checkpoints::Error>(())
//! ```

mod advice;
mod embedded;
mod error;
mod opened;
mod refusal;
mod source;
mod tensors;
mod transfer;

pub use error::{Error, Result};
pub use opened::{
    Opened, open, open_file, open_generator, open_generator_file, open_with_progress,
};
pub use refusal::Refusal;
pub use source::{Location, Resolved, resolve};
pub use transfer::{InitialNetworks, TransferOptions, check, init_from, load_into};
