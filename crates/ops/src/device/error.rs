//! The error type of [`super::DeviceName`].

/// The reason why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// The name is none of `cpu`, `cuda` and `cuda:N`; the value is that name.
    Name(String),
    /// A GPU was requested, but the program was built without the feature `cuda`.
    NotBuilt,
    /// The NVIDIA driver is not installed.
    Driver,
    /// There is no GPU with this number.
    Ordinal {
        /// The number that was requested, counted from 0.
        ordinal: usize,
        /// The number of GPUs that the driver finds.
        count: usize,
    },
    /// Any other error; the value is the driver's message.
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
