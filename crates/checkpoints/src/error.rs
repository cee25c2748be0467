use std::path::PathBuf;

use architecture::pretrained::PRETRAINED;

use crate::refusal::Refusal;

/// Errors between a file and live networks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] interop::Error),
    /// The file cannot be fetched.
    #[error(transparent)]
    Download(#[from] downloads::Error),
    /// A text that names neither a file, nor an address, nor a published network.
    #[error(
        "{}: neither a file, nor an http(s) address, nor one of the presets {}",
        .0.display(),
        PRETRAINED.map(|network| network.name).join(", ")
    )]
    NotFound(PathBuf),
    /// An error with the file that it is about.
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
    /// The tensor library.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A generator where a discriminator is expected, or the reverse.
    #[error("settings of {network}: not those of {wanted}")]
    OtherKind {
        /// `G`, `D` or `G_ema`.
        network: String,
        /// The expected kind of network.
        wanted: &'static str,
    },
    /// A needed network is not in the file.
    #[error("{file} has no {wanted}")]
    NoNetwork {
        /// The file.
        file: String,
        /// The network that was asked for.
        wanted: &'static str,
    },
    /// The file does not fit the networks of the run.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
