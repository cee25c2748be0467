//! Real images as the networks take them.

use candle_core::{DType, Device, Tensor};
use ops::transfer::upload;
use rayon::prelude::*;

use crate::error::Result;

/// The number that a byte stands for, -1 to 1.
fn unit_range(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// `u8` to -1..1: `[batch, channels, height, width]`, f32. A card gets the bytes and looks the numbers up.
///
/// # Errors
/// When there are more or fewer bytes than the shape asks for, or the tensor library fails.
pub(crate) fn to_unit_range(
    bytes: Vec<u8>,
    shape: (usize, usize, usize, usize),
    device: &Device,
) -> Result<Tensor> {
    if device.is_cpu() {
        let bytes = bytes.par_iter().with_min_len(1 << 16);
        let values: Vec<f32> = bytes.map(|&byte| unit_range(byte)).collect();
        return Ok(Tensor::from_vec(values, shape, device)?);
    }
    let table: Vec<f32> = (0..=255).map(unit_range).collect();
    let table = upload(table, 256, device)?;
    let n = bytes.len();
    // As indices: candle takes the largest number of their type for "none", and 255 is white.
    let bytes = upload(bytes, n, device)?.to_dtype(DType::U32)?;
    Ok(table.index_select(&bytes, 0)?.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    use ops::device::DeviceName;

    use super::*;

    #[test]
    fn bytes_become_the_same_numbers_on_every_device() {
        let bytes: Vec<u8> = (0..=255).chain(0..=43).collect();
        let shape = (2, 3, 5, 10);
        let expected = to_unit_range(bytes.clone(), shape, &Device::Cpu).unwrap();
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&expected)[..2], [-1.0, 1.0 / 127.5 - 1.0]);
        assert_eq!(values(&expected)[255], 1.0);
        match DeviceName::Cuda(0).open() {
            Ok(card) => {
                let found = to_unit_range(bytes, shape, &card).unwrap();
                assert_eq!(found.dims4().unwrap(), shape);
                assert_eq!(values(&found), values(&expected));
            }
            Err(error) => eprintln!("skipped, no card: {error}"),
        }
    }
}
