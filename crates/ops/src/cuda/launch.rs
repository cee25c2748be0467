//! Loads the kernels from PTX and enqueues them.

use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{CudaStorage, Layout, Result, bail};

use super::element::Element;
use super::plan::Params;

/// All kernels as PTX, NVIDIA's intermediate code. The driver compiles it once for the GPU that is present.
pub(super) const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));
/// The name under which candle caches the loaded module.
const MODULE: &str = "kaogan";
/// The number of threads per block.
const BLOCK: u32 = 256;

// SAFETY: `Params` has the layout of the kernels' struct and holds plain numbers only.
unsafe impl DeviceRepr for Params {}

/// Enqueues the kernel `name` for the number type `T`.
///
/// `inputs` are at most three arrays; the kernel receives null pointers for missing ones.
pub(super) fn enqueue<T: Element, I, Y>(
    device: &CudaDevice,
    name: &str,
    params: &Params,
    inputs: &[CudaView<I>],
    y: &mut CudaSlice<Y>,
) -> Result<()> {
    if params.n == 0 {
        return Ok(());
    }
    let function = function(device, &format!("{name}_{}", T::SUFFIX))?;
    let null = 0u64;
    let stream = device.cuda_stream();
    let mut arguments = stream.launch_builder(&function);
    for i in 0..3 {
        match inputs.get(i) {
            Some(input) => arguments.arg(input),
            None => arguments.arg(&null),
        };
    }
    arguments.arg(y).arg(params);
    // SAFETY: all kernels take these arguments, and no thread accesses memory beyond the sizes in `params`.
    unsafe { arguments.launch(blocks(params)) }.w()?;
    Ok(())
}

/// A kernel of our module, which is loaded at its first use.
///
/// # Errors
/// Errors of the CUDA driver, with the name of the kernel; for example when the driver is too old for the PTX.
pub(super) fn function(device: &CudaDevice, name: &str) -> Result<CudaFunction> {
    let loaded = device
        .get_or_load_custom_func(name, MODULE, PTX)
        .map_err(|error| error.context(format!("loading the kernel {name}")))?;
    Ok(loaded.into_cuda_function())
}

/// A grid of blocks with at least `params.n` threads.
pub(super) fn blocks(params: &Params) -> LaunchConfig {
    LaunchConfig {
        grid_dim: ((params.n as u64).div_ceil(u64::from(BLOCK)) as u32, 1, 1),
        block_dim: (BLOCK, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// The elements of a contiguous tensor on a GPU; an error for other layouts and types.
pub(super) fn view<'a, T: Element>(
    storage: &'a CudaStorage,
    layout: &Layout,
) -> Result<CudaView<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the tensor is not contiguous");
    };
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::host::KERNELS;

    #[test]
    fn the_module_has_every_kernel_for_every_type() {
        for (name, types) in KERNELS {
            for suffix in *types {
                let entry = format!(".visible .entry {name}_{suffix}(");
                assert!(PTX.contains(&entry), "no {entry}");
            }
        }
        let entries = PTX.matches(".visible .entry ").count();
        let named: usize = KERNELS.iter().map(|(_, types)| types.len()).sum();
        assert_eq!(entries, named, "a kernel is not in the list");
    }
}
