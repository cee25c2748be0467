//! Opens GPUs and queries the driver about them.

use candle_core::cuda_backend::cudarc::driver::{self, sys::CUresult};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Device, Result};

use super::launch::{PTX, function};
use crate::device::{error::DeviceError, report::GpuReport};

/// Opens a GPU. First checks for the driver and the GPU, so that the error names what is missing.
pub(crate) fn open(ordinal: usize) -> std::result::Result<Device, DeviceError> {
    // The CUDA functions linked into the program load the driver at run time, and return this code where there is no
    // driver.
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
    // One stream for all threads. candle's other constructor uses the calling thread's stream at each call, so that one
    // thread could free memory that work enqueued by another thread still reads.
    let device = CudaDevice::new_with_stream(ordinal).map_err(failed)?;
    // SAFETY: there is only one stream, so no work has to wait for that of another. Event tracking would record events
    // for each allocation, which costs time.
    unsafe { device.disable_event_tracking() };
    // An error is ignored: without the setting, allocations are slower, and everything else is the same.
    let _ = keep_memory(&device);
    Ok(Device::Cuda(device))
}

/// Makes the memory pool keep freed memory for later allocations. By default the driver returns it to the system
/// whenever the host synchronizes with the GPU.
fn keep_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let everything = u64::MAX;
    // SAFETY: the attribute is a 64-bit number, which is read during the call.
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

/// The peak size of the memory pool in bytes; `None` where the GPU has no such pool.
pub(crate) fn peak_memory(device: &CudaDevice) -> Result<Option<u64>> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(None);
    }
    let mut bytes = 0u64;
    // SAFETY: the attribute is a 64-bit number, which is written during the call.
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

/// Queries the driver about a GPU, and loads all kernels to check that they work there.
pub(crate) fn inspect(device: &CudaDevice) -> Result<GpuReport> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let mut kernels = 0;
    for entry in PTX.split(".visible .entry ").skip(1) {
        function(device, entry.split('(').next().unwrap_or_default())?;
        kernels += 1;
    }
    let mut driver_version = 0;
    // SAFETY: the call writes one number.
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
