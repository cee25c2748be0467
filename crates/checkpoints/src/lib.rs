//! Networks loaded from any checkpoint, and transfer of their weights into new networks.
//!
//! [`open`] reads the formats of `interop` (official `.pkl` of both reference programs, rosinality `.pt`, safetensors) from a
//! file, an address or by the name of a published network. It returns an [`Opened`]: networks on a device and their
//! provenance. [`init_from`] creates networks of another run with those weights, copied by name; a file that does not fit is an
//! error with the flags that would fit, unless [`TransferOptions::allow_partial`] is set.
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
