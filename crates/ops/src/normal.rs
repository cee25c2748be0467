//! Counter-based standard normal numbers: each depends only on a key, a stream and its position.
//!
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a counter into four
//! words, and the Box-Muller transform (1958) turns those into four normal numbers. There is no state, so threads and
//! devices can generate any part in any order. The CPU (`cpu/normal.rs`) and GPUs (`cuda/kernels/normal.cu`) compute
//! the same steps, each rounded separately, and therefore give the same bits.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::cpu::normal as cpu;
use crate::transfer::upload;

/// Random keys, one for each image of a batch or fewer (then several images use the same key), on the device that
/// generates the numbers.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `[keys, 2]`, u32: the low and the high half of each key.
    words: Tensor,
}

impl Keys {
    /// Copies at least one key to a device.
    ///
    /// # Errors
    /// When `keys` is empty; also errors of the CUDA driver.
    pub fn new(keys: &[u64], device: &Device) -> Result<Keys> {
        if keys.is_empty() {
            bail!("normal numbers: there is no key");
        }
        let halves = keys
            .iter()
            .flat_map(|&key| [key as u32, (key >> 32) as u32]);
        let words = upload(halves.collect(), (keys.len(), 2), device)?;
        Ok(Keys { words })
    }

    /// Generates independent standard normal numbers; their absolute values are at most about 6.8.
    ///
    /// With `keys` keys, image `i` of the batch uses key `i % keys`, as image number `i / keys` of that key. With one
    /// key per image, the numbers of an image therefore do not depend on its position in the batch. Different values of
    /// `stream` give independent numbers for the same key. Number `n` of image `i` is entry `n % 4` of the four normal
    /// numbers for the counter `[n / 4, stream, i / keys, 0]`.
    ///
    /// # Shapes
    /// - result: `[batch, 1, height, width]`, f32
    ///
    /// # Errors
    /// On a GPU, when `stream` does not fit 31 bits or there are more numbers than one kernel launch can generate; also
    /// errors of the CUDA driver.
    pub fn normal(
        &self,
        stream: u32,
        (batch, height, width): (usize, usize, usize),
    ) -> Result<Tensor> {
        let shape = (batch, 1, height, width);
        let device = self.words.device();
        if shape_is_empty(shape) {
            return Tensor::zeros(shape, DType::F32, device);
        }
        #[cfg(feature = "cuda")]
        if let Device::Cuda(gpu) = device {
            return crate::cuda::normal::normal(gpu, &self.words, stream, shape);
        }
        let planes = cpu::Planes {
            keys: &self.words.flatten_all()?.to_vec1::<u32>()?,
            stream,
            len: height * width,
        };
        Tensor::from_vec(planes.normal(batch), shape, device)
    }
}

fn shape_is_empty((batch, _, height, width): (usize, usize, usize, usize)) -> bool {
    batch * height * width == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(keys: &[u64], stream: u32, shape: (usize, usize, usize)) -> Vec<f32> {
        let keys = Keys::new(keys, &Device::Cpu).unwrap();
        let made = keys.normal(stream, shape).unwrap();
        assert_eq!(made.dims(), [shape.0, 1, shape.1, shape.2]);
        made.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn numbers_depend_on_key_stream_and_position_alone() {
        let both = normal(&[5, 6], 1, (2, 7, 11));
        let one = normal(&[6], 1, (1, 7, 11));
        assert_eq!(both[77..], one);
        assert_ne!(both[..77], one);
        assert_ne!(normal(&[6], 2, (1, 7, 11)), one);
        // The high half of a key matters.
        assert_ne!(normal(&[6 | 1 << 40], 1, (1, 7, 11)), one);
        // A larger plane begins with the same numbers.
        assert_eq!(normal(&[6], 1, (1, 77, 9))[..77], one);
        // With one key for two images, the first image is as if it were alone, and the second differs.
        let shared = normal(&[6], 1, (2, 7, 11));
        assert_eq!(shared[..77], one);
        assert_ne!(shared[77..], one);
        // With two keys for four images, the last two are the second images of the keys.
        let four = normal(&[5, 6], 1, (4, 7, 11));
        assert_eq!(four[..154], both);
        assert_eq!(four[231..], shared[77..]);
    }

    #[test]
    fn there_must_be_a_key_and_there_may_be_no_numbers() {
        let error = Keys::new(&[], &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("no key"), "{error}");
        assert!(normal(&[1], 0, (0, 4, 4)).is_empty());
        assert!(normal(&[1], 0, (2, 0, 4)).is_empty());
    }
}
