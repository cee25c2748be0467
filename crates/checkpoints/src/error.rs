//! Errors of checkpoints.

use std::path::PathBuf;

use architecture::pretrained::PRETRAINED;

use crate::refusal::Refusal;

/// Errors when networks are loaded from a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] interop::Error),
    /// The file cannot be downloaded.
    #[error(transparent)]
    Download(#[from] downloads::Error),
    /// The source is neither a file, nor an address, nor the name of a published network.
    #[error(
        "{}: neither a file, nor an http(s) address, nor one of the presets {}",
        .0.display(),
        PRETRAINED.map(|network| network.name).join(", ")
    )]
    NotFound(PathBuf),
    /// An error with the name of its file.
    #[error("{file}: {error}")]
    In {
        /// The file.
        file: String,
        /// The error.
        error: Box<Error>,
    },
    /// The settings of a network are impossible, or the file is not the published network of its name.
    #[error(transparent)]
    Architecture(#[from] architecture::Error),
    /// The networks cannot be built.
    #[error(transparent)]
    Networks(#[from] networks::Error),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The file has a generator where a discriminator is expected, or the reverse.
    #[error("settings of {network}: not those of {wanted}")]
    OtherKind {
        /// `G`, `D` or `G_ema`.
        network: String,
        /// The expected kind of network.
        wanted: &'static str,
    },
    /// The file does not have a required network.
    #[error("{file} has no {wanted}")]
    NoNetwork {
        /// The file.
        file: String,
        /// The required network.
        wanted: &'static str,
    },
    /// The networks of the file do not fit those of the run.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
