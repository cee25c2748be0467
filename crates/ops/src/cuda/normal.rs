//! Normal numbers that a card makes itself: [`crate::normal`] says which.

#[cfg(feature = "cuda")]
use candle_core::{CudaDevice, DType, Device, Tensor};
use candle_core::{Result, bail};

use super::plan::Params;

/// What the kernel gets for a batch of planes of `len` numbers, of `count` keys.
pub(super) fn params(batch: usize, len: usize, stream: u32, count: usize) -> Result<Params> {
    let counters = len.div_ceil(4);
    let Ok(stream) = i32::try_from(stream) else {
        bail!("normal numbers: {stream} is more than a kernel counts");
    };
    Params::new(
        batch * counters,
        &[counters, len, stream as usize, count],
        &[],
    )
}

/// Numbers `[batch, 1, height, width]`, not empty; `words` are the keys, `[count, 2]`.
#[cfg(feature = "cuda")]
pub(crate) fn on_card(
    device: &CudaDevice,
    words: &Tensor,
    stream: u32,
    shape: (usize, usize, usize, usize),
) -> Result<Tensor> {
    let (batch, _, height, width) = shape;
    let params = params(batch, height * width, stream, words.dim(0)?)?;
    // SAFETY: the kernel writes all of it.
    let numbers = unsafe { Tensor::empty(shape, DType::F32, &Device::Cuda(device.clone()))? };
    super::card::generate(device, "normal", words, &params, &numbers)?;
    Ok(numbers)
}
