//! Live networks from any checkpoint file or preset name, and transfer of their weights into new ones.
//!
//! [`open`] reads what `interop` reads (official `.pkl` of both programs, rosinality `.pt`, safetensors, or the name of
//! an official network) and gives an [`Opened`]: networks that run, and what the file tells about itself. [`init_from`]
//! makes networks of a wanted architecture that start from those weights, copied by name; what does not fit is refused
//! with the flags that would fix it, unless [`TransferOptions::allow_partial`].

mod advice;
mod convert;
mod error;
mod opened;
mod transfer;

pub use convert::{discriminator_config, generator_config, to_interop_config};
pub use error::{Error, Refusal, Result};
pub use opened::{
    Opened, open, open_file, open_generator, open_generator_file, open_with_progress,
};
pub use transfer::{
    LoadReport, NetworkReport, Start, TransferOptions, check, init_from, load_into,
};
