use crate::transfer::LoadReport;

/// What can go wrong between a file and live networks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] interop::Error),
    /// An error with the file that it is about.
    #[error("{file}: {error}")]
    In {
        /// The file.
        file: String,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// The networks cannot be built.
    #[error(transparent)]
    Networks(#[from] networks::Error),
    /// The tensor library.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Settings that one side knows and the other does not.
    #[error("settings of {network}: {reason}")]
    Settings {
        /// `G`, `D` or `G_ema`.
        network: String,
        /// What is wrong.
        reason: String,
    },
    /// A needed network is not in the file.
    #[error("{file} has no {wanted}")]
    NoNetwork {
        /// The file.
        file: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The file does not fit the run.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file was not taken as a start, and what to do.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// Everything that fits and does not.
    pub report: LoadReport,
    /// Ways out, best first.
    pub advice: Vec<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} does not fit the networks of this run", self.file)?;
        for network in self.report.networks.iter().filter(|n| !n.fits()) {
            write!(f, "; {network}")?;
        }
        for (i, advice) in self.advice.iter().enumerate() {
            write!(f, "{}{advice}", if i == 0 { ". " } else { "; " })?;
        }
        Ok(())
    }
}
