//! Numbers between the host and a device. On a card the host does not wait for what the card still has to do.

use candle_core::{DType, Device, Result, Shape, Tensor, WithDType, bail};

#[cfg(feature = "cuda")]
use crate::cuda::transfer as card;

/// A tensor of these numbers.
///
/// Unlike candle's, which waits for the card where there are many, it returns at once: the numbers are copied into memory
/// that the card reads when their turn comes.
///
/// # Errors
/// When the shape asks for another number of them; what the driver says.
pub fn upload<T: WithDType>(
    values: Vec<T>,
    shape: impl Into<Shape>,
    device: &Device,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(card) = device {
        return card::upload(&values, shape.into(), card);
    }
    Tensor::from_vec(values, shape.into(), device)
}

/// Numbers on their way to the host.
#[derive(Debug)]
pub struct Download(Source);

#[derive(Debug)]
enum Source {
    Host(Tensor),
    #[cfg(feature = "cuda")]
    Card(card::Download),
}

impl Download {
    /// Asks for all numbers of a tensor of f32, in their order, as they are now.
    ///
    /// # Errors
    /// When the tensor is not f32; what the driver says.
    pub fn of(tensor: &Tensor) -> Result<Download> {
        if tensor.dtype() != DType::F32 {
            bail!("download: {:?} instead of f32", tensor.dtype());
        }
        #[cfg(feature = "cuda")]
        if tensor.device().is_cuda() {
            return Ok(Download(Source::Card(card::Download::of(tensor)?)));
        }
        Ok(Download(Source::Host(tensor.copy()?)))
    }

    /// The numbers. Waits until what the device had to do before [`Download::of`] is done, and for nothing later.
    ///
    /// # Errors
    /// What the driver says, of all that was asked of the card before.
    pub fn wait(self) -> Result<Vec<f32>> {
        match self.0 {
            Source::Host(tensor) => tensor.flatten_all()?.to_vec1(),
            #[cfg(feature = "cuda")]
            Source::Card(download) => download.wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of several sizes, back again, with the device busy in between.
    fn there_and_back(device: &Device) {
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
    fn numbers_go_there_and_back() {
        there_and_back(&Device::Cpu);
    }

    #[test]
    #[cfg(feature = "cuda")]
    fn numbers_go_there_and_back_on_a_card() {
        match crate::device::DeviceName::Cuda(0).open() {
            Ok(card) => there_and_back(&card),
            Err(error) => eprintln!("skipped, no card: {error}"),
        }
    }
}
