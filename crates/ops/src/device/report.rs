//! Properties of a GPU, as the driver reports them.

/// Properties of a GPU, as the driver reports them; see [`inspect`](super::inspect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuReport {
    /// The name of the GPU model.
    pub name: String,
    /// The compute capability, as `(major, minor)`.
    pub capability: (i32, i32),
    /// The newest CUDA version that the driver supports, as `1000 major + 10 minor`: 13000 is 13.0.
    pub driver: i32,
    /// Free and total memory, as `(free, total)` in bytes.
    pub memory: (usize, usize),
    /// The number of kernels of this crate that were loaded.
    pub kernels: usize,
}
