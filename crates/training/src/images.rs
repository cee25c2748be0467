//! Real images as input of the networks.

use candle_core::{DType, Device, Tensor};
use ops::transfer::upload;
use rayon::prelude::*;

use crate::error::Result;

/// A byte, 0 to 255, as the networks take it: -1 to 1.
fn network_value(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// Images as f32, -1 to 1. A GPU receives the bytes and converts them by a table, so that its numbers are those of the CPU.
///
/// # Shapes
/// - `bytes`: as many as `shape` has elements, `[batch, channels, height, width]`
/// - result: `shape`
///
/// # Errors
/// When the number of bytes does not fit the shape, or the tensor library fails.
pub(crate) fn to_network_range(
    bytes: Vec<u8>,
    shape: (usize, usize, usize, usize),
    device: &Device,
) -> Result<Tensor> {
    if device.is_cpu() {
        let bytes = bytes.par_iter().with_min_len(1 << 16);
        let values: Vec<f32> = bytes.map(|&byte| network_value(byte)).collect();
        return Ok(Tensor::from_vec(values, shape, device)?);
    }
    let table: Vec<f32> = (0..=255).map(network_value).collect();
    let table = upload(table, 256, device)?;
    let n = bytes.len();
    // Indices of type u8 would not do: candle's kernels skip the largest value of the type, and 255 is white.
    let bytes = upload(bytes, n, device)?.to_dtype(DType::U32)?;
    Ok(table.index_select(&bytes, 0)?.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    use ops::device::DeviceName;

    use super::*;

    /// Every byte, as two images.
    fn bytes() -> (Vec<u8>, (usize, usize, usize, usize)) {
        ((0..=255).chain(0..=43).collect(), (2, 3, 5, 10))
    }

    fn values(images: &Tensor) -> Vec<f32> {
        images.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn bytes_go_from_minus_one_to_one() {
        let (bytes, shape) = bytes();
        let expected = to_network_range(bytes, shape, &Device::Cpu).unwrap();
        assert_eq!(values(&expected)[..2], [-1.0, 1.0 / 127.5 - 1.0]);
        assert_eq!(values(&expected)[255], 1.0);
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn a_gpu_gives_the_numbers_of_the_cpu() {
        let gpu = DeviceName::Cuda(0).open().unwrap();
        let (bytes, shape) = bytes();
        let expected = to_network_range(bytes.clone(), shape, &Device::Cpu).unwrap();
        let found = to_network_range(bytes, shape, &gpu).unwrap();
        assert_eq!(found.dims4().unwrap(), shape);
        assert_eq!(values(&found), values(&expected));
    }
}
