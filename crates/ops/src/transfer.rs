//! Copies between host and device. To start a copy to or from a GPU, the host does not wait for earlier work on the
//! GPU.

use candle_core::{DType, Device, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use crate::cuda::transfer as gpu;

/// Creates a tensor on `device` with `values` in row-major order.
///
/// candle's own upload can wait until the GPU has finished its earlier work. This one returns at once: it copies the
/// values into page-locked memory, from which the GPU reads them later.
///
/// # Errors
/// When the shape has another number of elements than `values`; also errors of the CUDA driver.
pub fn upload<T: WithDType>(
    values: Vec<T>,
    shape: impl Into<Shape>,
    device: &Device,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return gpu::upload(&values, shape.into(), device);
    }
    Tensor::from_vec(values, shape.into(), device)
}

/// A copy of a tensor's values to the host, in progress.
#[derive(Debug)]
pub struct Download(Source);

#[derive(Debug)]
enum Source {
    Host(Tensor),
    #[cfg(feature = "cuda")]
    Gpu(gpu::Download),
}

impl Download {
    /// Starts to copy all values of an f32 tensor to the host; later changes of the tensor do not affect the copy.
    ///
    /// # Errors
    /// When the tensor is not f32; also errors of the CUDA driver.
    pub fn of(tensor: &Tensor) -> Result<Download> {
        if tensor.dtype() != DType::F32 {
            bail!("download: {:?} instead of f32", tensor.dtype());
        }
        #[cfg(feature = "cuda")]
        if tensor.device().is_cuda() {
            return Ok(Download(Source::Gpu(gpu::Download::of(tensor)?)));
        }
        Ok(Download(Source::Host(tensor.copy()?)))
    }

    /// Waits until the copy is complete and returns the values in row-major order. Work that was enqueued after
    /// [`Download::of`] is not waited for.
    ///
    /// # Errors
    /// Errors of the CUDA driver, which may come from earlier work on the GPU.
    pub fn wait(self) -> Result<Vec<f32>> {
        match self.0 {
            Source::Host(tensor) => tensor.flatten_all()?.to_vec1(),
            #[cfg(feature = "cuda")]
            Source::Gpu(download) => download.wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks uploads and downloads of several sizes, with other work on the device in between.
    fn assert_round_trip(device: &Device) {
        for len in [1usize, 1000, 300_000] {
            let values: Vec<f32> = (0..len).map(|i| i as f32 - 7.5).collect();
            let x = upload(values.clone(), (1, len), device).unwrap();
            assert_eq!(x.dims(), [1, len]);
            let reading = Download::of(&x).unwrap();
            let doubled = Download::of(&(&x + &x).unwrap()).unwrap();
            drop(Download::of(&x).unwrap());
            drop(x);
            assert_eq!(reading.wait().unwrap(), values);
            let sums: Vec<f32> = values.iter().map(|v| v + v).collect();
            assert_eq!(doubled.wait().unwrap(), sums);
        }
        let bytes = upload((0..=255u8).collect(), (2, 128), device).unwrap();
        assert_eq!(
            bytes
                .to_dtype(DType::U32)
                .unwrap()
                .to_vec2::<u32>()
                .unwrap()[1][127],
            255
        );
        let turned = upload(vec![1f32, 2.0, 3.0, 4.0], (2, 2), device).unwrap();
        let turned = Download::of(&turned.t().unwrap()).unwrap();
        assert_eq!(turned.wait().unwrap(), [1.0, 3.0, 2.0, 4.0]);
        let nothing = upload(Vec::<f32>::new(), (0, 3), device).unwrap();
        assert!(Download::of(&nothing).unwrap().wait().unwrap().is_empty());
        assert!(upload(vec![0f32; 3], (2, 2), device).is_err());
        assert!(Download::of(&bytes).is_err());
    }

    #[test]
    fn values_survive_the_round_trip() {
        assert_round_trip(&Device::Cpu);
    }

    #[test]
    #[cfg(feature = "cuda")]
    #[ignore = "needs a GPU with CUDA"]
    fn values_survive_the_round_trip_on_a_gpu() {
        assert_round_trip(&crate::device::DeviceName::Cuda(0).open().unwrap());
    }
}
