//! Properties of a GPU, from the driver.

/// Properties of a GPU, from the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuReport {
    /// The name that the driver gives it.
    pub name: String,
    /// Compute capability: major and minor.
    pub capability: (i32, i32),
    /// The newest CUDA version that the driver supports: 13000 is 13.0.
    pub driver: i32,
    /// Free and total memory, in bytes.
    pub memory: (usize, usize),
    /// The number of our kernels that were loaded.
    pub kernels: usize,
}
