//! Where tensors live: `cpu`, `cuda` or `cuda:N`, by name.

use candle_core::Device;

/// A device by its name, not opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card, counted from 0.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// No device is called so.
    Name(String),
    /// The program was built without the feature `cuda`.
    NotBuilt,
    /// There is no driver.
    Driver,
    /// The driver knows fewer cards.
    Card {
        /// The one that was asked for.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// What the driver says.
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
            Self::Card {
                ordinal: _,
                count: 0,
            } => {
                write!(f, "the NVIDIA driver finds no card; use cpu")
            }
            Self::Card { ordinal, count } => write!(
                f,
                "there is no card {ordinal}: the driver knows {count}, counted from 0"
            ),
            Self::Failed(what) => write!(f, "the card cannot be used: {what}"),
        }
    }
}

impl std::error::Error for DeviceError {}

impl std::str::FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let wrong = || DeviceError::Name(name.to_owned());
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            // No signs, no spaces.
            Some(("cuda", ordinal))
                if !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(Self::Cuda(ordinal.parse().map_err(|_| wrong())?))
            }
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// When the program was built without CUDA, or there is no driver or no such card.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda(ordinal) => crate::cuda::card::open(ordinal),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(DeviceError::NotBuilt),
        }
    }
}

/// What is known of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardReport {
    /// The card, as the driver calls it.
    pub name: String,
    /// Compute capability: major and minor.
    pub capability: (i32, i32),
    /// The newest CUDA that the driver knows: 13000 is 13.0.
    pub driver: i32,
    /// Bytes that are free, and all of them.
    pub memory: (usize, usize),
    /// How many of our kernels were loaded.
    pub kernels: usize,
}

/// Asks a card what it is and loads every kernel, so that a run does not find out later; `None` for the CPU.
///
/// # Errors
/// What the driver says.
pub fn inspect(device: &Device) -> candle_core::Result<Option<CardReport>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(card) => crate::cuda::card::inspect(card).map(Some),
        _ => Ok(None),
    }
}

/// The most bytes of a card that tensors have taken since the device was opened, freed ones that are kept for the next
/// included; `None` for the CPU, and for cards that keep none.
///
/// # Errors
/// What the driver says.
pub fn peak_memory(device: &Device) -> candle_core::Result<Option<u64>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(card) => crate::cuda::card::peak_memory(card),
        _ => Ok(None),
    }
}

/// Keeps shapes on a card: see [`layouts_stay`].
#[must_use = "shapes stay while this lives"]
pub struct LayoutsStay(
    #[allow(dead_code, reason = "it is dropped")] Option<Box<dyn std::any::Any>>,
);

/// While the result lives, a card keeps the shapes and strides that this thread's sums, copies and products of views need
/// there, instead of getting them anew with each call.
///
/// candle keeps what it uploads in small pieces as well, and never lets go of it: numbers that differ from call to call
/// must go through [`crate::transfer::upload`] in that time.
pub fn layouts_stay(device: &Device) -> LayoutsStay {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(card) => LayoutsStay(Some(Box::new(card.enable_cuda_graph_htod_cache()))),
        _ => LayoutsStay(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, name) in [
            ("cpu", DeviceName::Cpu),
            ("cuda", DeviceName::Cuda(0)),
            ("cuda:3", DeviceName::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for text in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda: 1",
            "cpu:0",
            "CUDA",
            "cuda:99999999999999999999",
        ] {
            assert_eq!(
                text.parse::<DeviceName>(),
                Err(DeviceError::Name(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn the_cpu_opens_and_has_no_card() {
        let device = DeviceName::Cpu.open().unwrap();
        assert!(device.is_cpu());
        assert_eq!(inspect(&device).unwrap(), None);
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_cuda_says_which_feature_it_lacks() {
        let error = DeviceName::Cuda(0).open().unwrap_err();
        assert!(error.to_string().contains("feature cuda"), "{error}");
    }
}
