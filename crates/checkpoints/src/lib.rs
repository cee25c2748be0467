//! Live networks from any checkpoint file or name of a published network, and transfer of their weights into new ones.
//!
//! [`open`] reads what `interop` reads (official `.pkl` of both programs, rosinality `.pt`, safetensors), fetched first
//! when it is an address or a published network, and gives an [`Opened`]: networks that run, and the provenance of the
//! file. [`init_from`] makes networks of a wanted architecture that start from those weights, copied by name; a file that
//! does not fit is refused with the flags that would fix it, unless [`TransferOptions::allow_partial`].
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
