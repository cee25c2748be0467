//! Reasons why a device cannot be used.

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// No device has this name.
    Name(String),
    /// The program was built without the feature `cuda`.
    NotBuilt,
    /// There is no NVIDIA driver.
    Driver,
    /// There is no GPU of this number.
    Ordinal {
        /// The number that was asked for, counted from 0.
        ordinal: usize,
        /// How many GPUs the driver finds.
        count: usize,
    },
    /// Another error of the driver, in its words.
    Failed(String),
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "no device is called '{name}'; there are cpu, cuda and cuda:N"
            ),
            Self::NotBuilt => write!(
                f,
                "this program was built without the feature cuda; build it with \
                 `cargo build --release --features cuda` (docs/gpu.md), or use cpu"
            ),
            Self::Driver => write!(
                f,
                "no NVIDIA driver was found (libcuda.so.1); install one, or use cpu"
            ),
            Self::Ordinal {
                ordinal: _,
                count: 0,
            } => {
                write!(f, "the NVIDIA driver finds no GPU; use cpu")
            }
            Self::Ordinal { ordinal, count } => write!(
                f,
                "there is no GPU {ordinal}: the driver finds {count}, counted from 0"
            ),
            Self::Failed(what) => write!(f, "the GPU cannot be used: {what}"),
        }
    }
}

impl std::error::Error for DeviceError {}
