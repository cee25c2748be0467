//! Devices by name: `cpu`, `cuda` (the first GPU) or `cuda:N`.

pub(crate) mod error;
pub(crate) mod report;

use candle_core::Device;

pub use self::error::DeviceError;
pub use self::report::GpuReport;

/// The name of a device; the device need not exist.
///
/// ```
/// use ops::device::DeviceName;
///
/// let name: DeviceName = "cpu".parse()?;
/// assert!(name.open()?.is_cpu());
/// assert_eq!("cuda:1".parse(), Ok(DeviceName::Cuda(1)));
/// # Ok::<(), ops::device::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this number, counted from 0.
    Cuda(usize),
}

impl std::str::FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let wrong = || DeviceError::Name(name.to_owned());
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            // Digits only: no sign and no spaces.
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
    /// When the program was built without CUDA, there is no driver, or there is no GPU with this number.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda(ordinal) => crate::cuda::device::open(ordinal),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(DeviceError::NotBuilt),
        }
    }
}

/// Queries the driver about a GPU and loads every kernel, so that a missing kernel fails here and not during training;
/// `None` for the CPU.
///
/// # Errors
/// Errors of the CUDA driver.
pub fn inspect(device: &Device) -> candle_core::Result<Option<GpuReport>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => crate::cuda::device::inspect(gpu).map(Some),
        _ => Ok(None),
    }
}

/// The peak memory of a GPU in bytes since the device was opened: the largest size of the memory pool, including freed
/// memory that it keeps for later tensors. `None` for the CPU, and for GPUs without such a pool.
///
/// # Errors
/// Errors of the CUDA driver.
pub fn peak_memory(device: &Device) -> candle_core::Result<Option<u64>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => crate::cuda::device::peak_memory(gpu),
        _ => Ok(None),
    }
}

/// While this value lives, shapes and strides stay cached on the GPU; see [`cache_layouts`].
#[must_use = "layouts are cached until this is dropped"]
pub struct LayoutCache(
    #[allow(dead_code, reason = "only its drop matters")] Option<Box<dyn std::any::Any>>,
);

/// Starts to cache, on the GPU, the shapes and strides that candle's ops on non-contiguous tensors need. Without the
/// cache, every such call of this thread uploads them again. Caching ends when the result is dropped.
///
/// candle then caches all its other small uploads as well, and never frees them. Values that differ from call to call
/// must be uploaded with [`crate::transfer::upload`] in that time.
pub fn cache_layouts(device: &Device) -> LayoutCache {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => LayoutCache(Some(Box::new(gpu.enable_cuda_graph_htod_cache()))),
        _ => LayoutCache(None),
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
    fn the_cpu_opens_and_is_no_gpu() {
        let device = DeviceName::Cpu.open().unwrap();
        assert!(device.is_cpu());
        assert_eq!(inspect(&device).unwrap(), None);
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_cuda_names_the_missing_feature() {
        let error = DeviceName::Cuda(0).open().unwrap_err();
        assert!(error.to_string().contains("feature cuda"), "{error}");
    }
}
