//! The error type of this crate.

use std::path::PathBuf;

use architecture::pretrained::PRETRAINED;

use crate::refusal::Refusal;

/// Errors of finding a checkpoint, building its networks and copying their weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint file cannot be read.
    #[error(transparent)]
    File(#[from] interop::Error),
    /// The checkpoint file cannot be downloaded.
    #[error(transparent)]
    Download(#[from] downloads::Error),
    /// The text given as a checkpoint is neither an existing file, nor an `http(s)` address, nor the name of a
    /// pretrained network.
    #[error(
        "{}: neither a file, nor an http(s) address, nor one of the presets {}",
        .0.display(),
        PRETRAINED.map(|network| network.name).join(", ")
    )]
    NotFound(PathBuf),
    /// Another error of this enum, with the name of the file that it is about.
    #[error("{file}: {error}")]
    In {
        /// The file.
        file: String,
        /// The error.
        error: Box<Error>,
    },
    /// The settings of a network are impossible, or a downloaded file does not have the architecture published under
    /// its name.
    #[error(transparent)]
    Architecture(#[from] architecture::Error),
    /// The networks of the file cannot be built.
    #[error(transparent)]
    Networks(#[from] networks::Error),
    /// An operation of the tensor library failed, for example for lack of memory.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The file has a generator where a discriminator is expected, or the reverse.
    #[error("settings of {network}: not those of {wanted}")]
    OtherKind {
        /// The key of the network in the file: `G`, `D` or `G_ema`.
        network: String,
        /// The expected kind of network, as `a generator` or `a discriminator`.
        wanted: &'static str,
    },
    /// The file lacks a required network.
    #[error("{file} has no {wanted}")]
    NoNetwork {
        /// The name of the file.
        file: String,
        /// The required network: `G`, `D`, `G_ema` or `generator`.
        wanted: &'static str,
    },
    /// The networks of the file do not fit those of the training run.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
