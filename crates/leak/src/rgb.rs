//! The image type of descriptors and transforms.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};

/// An RGB image with values from 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Rgb {
    pub height: usize,
    pub width: usize,
    /// `[3, height, width]`
    pub values: Vec<f32>,
}

impl Rgb {
    pub fn plane(&self, c: usize) -> &[f32] {
        let n = self.height * self.width;
        &self.values[c * n..(c + 1) * n]
    }

    /// The luma of each pixel, 0 to 1, with the weights of Rec. 709 applied to the gamma-encoded values.
    pub fn luma(&self) -> Vec<f32> {
        let (r, g, b) = (self.plane(0), self.plane(1), self.plane(2));
        (0..r.len())
            .map(|i| 0.2126 * r[i] + 0.7152 * g[i] + 0.0722 * b[i])
            .collect()
    }
}

/// Splits a batch into images; gray images get three equal channels.
///
/// # Shapes
/// - `images`: `u8`, `[n, 1 or 3, height, width]`, at least 16 x 16
///
/// # Errors
/// `Images` when `images` has another shape or type.
pub(crate) fn images_of(images: &Tensor) -> Result<Vec<Rgb>> {
    let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
    let (_, c, height, width) = images.dims4().map_err(|_| form())?;
    if images.dtype() != DType::U8 || !matches!(c, 1 | 3) || height < 16 || width < 16 {
        return Err(form());
    }
    let pixels: Vec<u8> = images.flatten_all()?.to_vec1()?;
    Ok(pixels
        .chunks_exact(c * height * width)
        .map(|chunk| {
            let values: Vec<f32> = chunk.iter().map(|v| f32::from(*v) / 255.0).collect();
            Rgb {
                height,
                width,
                values: if c == 1 { values.repeat(3) } else { values },
            }
        })
        .collect())
}
