//! Converts real images from bytes to the value range of the networks.

use candle_core::{DType, Device, Tensor};
use ops::transfer::upload;
use rayon::prelude::*;

use crate::error::Result;

/// Maps a byte, 0 to 255, linearly to the range of the networks, -1 to 1.
fn network_value(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// Converts image bytes to a tensor of f32 values from -1 to 1. On a GPU the conversion uses a table computed on the
/// host, so that the values equal those of the CPU.
///
/// # Shapes
/// - `bytes`: one byte per element of the result, in row-major order
/// - `shape` and result: `[batch, channels, height, width]`
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
    // The indices cannot be of type u8: candle's kernels skip the largest value of the index type, and 255 is the byte
    // of white.
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
