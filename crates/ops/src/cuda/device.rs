//! Opens GPUs and asks the driver about them.

use candle_core::cuda_backend::cudarc::driver::{self, sys::CUresult};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Result};

use super::launch::{PTX, function};
use crate::device::{error::DeviceError, report::GpuReport};

/// Opens a GPU. Looks first for everything that can be missing, so that the error names it.
pub(crate) fn open(ordinal: usize) -> std::result::Result<Device, DeviceError> {
    // The archives that we link load the driver late and answer with this where there is none.
    const STUB: CUresult = CUresult::CUDA_ERROR_STUB_LIBRARY;
    if let Err(error) = driver::result::init() {
        return Err(match error.0 {
            STUB => DeviceError::Driver,
            CUresult::CUDA_ERROR_NO_DEVICE => DeviceError::Ordinal { ordinal, count: 0 },
            _ => DeviceError::Failed(error.to_string()),
        });
    }
    let count = driver::result::device::get_count();
    let count = count.map_err(|error| DeviceError::Failed(error.to_string()))?;
    let count = usize::try_from(count).unwrap_or(0);
    if ordinal >= count {
        return Err(DeviceError::Ordinal { ordinal, count });
    }
    let failed = |error: candle_core::Error| DeviceError::Failed(error.to_string());
    // One stream for all threads: candle's other constructor takes that of the calling thread at each call, and memory
    // that one thread frees could still be read by what another one enqueued.
    let device = CudaDevice::new_with_stream(ordinal).map_err(failed)?;
    // SAFETY: the stream is the only one, so nothing has to wait for another; events beside each allocation would only
    // cost time.
    unsafe { device.disable_event_tracking() };
    // Where the driver refuses, allocations are slower; nothing else changes.
    let _ = keep_memory(&device);
    Ok(Device::Cuda(device))
}

/// Keeps freed memory for the next allocation. Otherwise the driver returns it to the system whenever the host waits
/// for the GPU.
fn keep_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let everything = u64::MAX;
    // SAFETY: the attribute is a number of 64 bits, which is read during the call.
    unsafe {
        let pool = driver::result::device::get_default_mem_pool(context.cu_device()).w()?;
        driver::result::mem_pool::set_attribute(
            pool,
            driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            (&raw const everything).cast_mut().cast(),
        )
        .w()
    }
}

/// The most bytes that the memory pool has held; `None` where the GPU has no such pool.
pub(crate) fn peak_memory(device: &CudaDevice) -> Result<Option<u64>> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(None);
    }
    let mut bytes = 0u64;
    // SAFETY: the attribute is a number of 64 bits, which is written during the call.
    unsafe {
        let pool = driver::result::device::get_default_mem_pool(context.cu_device()).w()?;
        driver::result::mem_pool::get_attribute(
            pool,
            driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH,
            (&raw mut bytes).cast(),
        )
        .w()?;
    }
    Ok(Some(bytes))
}

/// Asks the driver about a GPU; loads all kernels.
pub(crate) fn inspect(device: &CudaDevice) -> Result<GpuReport> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let mut kernels = 0;
    for entry in PTX.split(".visible .entry ").skip(1) {
        function(device, entry.split('(').next().unwrap_or_default())?;
        kernels += 1;
    }
    let mut driver_version = 0;
    // SAFETY: it writes one number.
    unsafe { driver::sys::cuDriverGetVersion(&mut driver_version) }
        .result()
        .w()?;
    Ok(GpuReport {
        name: context.name().w()?,
        capability: context.compute_capability().w()?,
        driver: driver_version,
        memory: context.mem_get_info().w()?,
        kernels,
    })
}
