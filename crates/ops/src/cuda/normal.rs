//! Standard normal numbers generated on a GPU, as defined in [`crate::normal`].

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::{WrapErr, cudarc::driver::PushKernelArg};
#[cfg(feature = "cuda")]
use candle_core::{CudaDevice, DType, Device, Tensor};
use candle_core::{Result, bail};

#[cfg(feature = "cuda")]
use super::launch::{blocks, function};
use super::plan::Params;
#[cfg(feature = "cuda")]
use super::transfer;

/// The kernel's parameters for `batch` images of `len` numbers each, with `count` keys.
pub(super) fn params(batch: usize, len: usize, stream: u32, count: usize) -> Result<Params> {
    let counters = len.div_ceil(4);
    let Ok(stream) = i32::try_from(stream) else {
        bail!("normal numbers: {stream} does not fit the 31 bits of a kernel's stream");
    };
    Params::new(
        batch * counters,
        &[counters, len, stream as usize, count],
        &[],
    )
}

/// Generates numbers of shape `[batch, 1, height, width]` (not empty), f32. `keys` is `[count, 2]`, u32.
///
/// # Errors
/// When there are more numbers than one launch can generate; also errors of the CUDA driver.
#[cfg(feature = "cuda")]
pub(crate) fn normal(
    device: &CudaDevice,
    keys: &Tensor,
    stream: u32,
    shape: (usize, usize, usize, usize),
) -> Result<Tensor> {
    let (batch, _, height, width) = shape;
    let params = params(batch, height * width, stream, keys.dim(0)?)?;
    // SAFETY: the kernel writes all of it.
    let numbers = unsafe { Tensor::empty(shape, DType::F32, &Device::Cuda(device.clone()))? };
    let function = function(device, "normal_f32")?;
    let stream = device.cuda_stream();
    let from = transfer::address(keys, &stream)?;
    let to = transfer::address(&numbers, &stream)?;
    let null = 0u64;
    let mut arguments = stream.launch_builder(&function);
    arguments.arg(&from).arg(&null).arg(&null);
    arguments.arg(&to).arg(&params);
    // SAFETY: both tensors have the sizes in `params`. Nothing else uses the new tensor yet, and the memory of both is
    // freed in stream order, after the kernel.
    unsafe { arguments.launch(blocks(&params)) }.w()?;
    Ok(numbers)
}
