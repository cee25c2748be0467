//! Image grids of a run: `reals.png`, `fakes_init.png`, `fakes000200.png`, and the preview of an augmentation pipe.

use std::path::Path;

use augment::{AugmentPipe, Augmentation, BatchShape};
use candle_core::{DType, Device, Tensor};
use dataset::{EncodedImage, Image, ImageDataset, SnapshotGrid, encode_png};
use networks::{Generator, MappingOptions, SynthesisOptions};

use crate::draws::{normal, stream};
use crate::error::{Error, Result};

/// The grid of real images, and the fixed latents with which every grid of generated images is made.
pub(crate) struct Preview {
    grid: SnapshotGrid,
    z: Tensor,
    c: Option<Tensor>,
    /// Images in one forward pass.
    batch: usize,
}

impl Preview {
    /// Chooses the images of the grid and draws the latents, which depend on `seed` only. `size` are columns and rows;
    /// `None` for the size that NVIDIA's StyleGAN2-ADA chooses from the resolution. `batch` is the number of images
    /// generated at once.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn new(
        dataset: &ImageDataset,
        size: Option<[usize; 2]>,
        z_dim: usize,
        seed: u64,
        batch: usize,
        device: &Device,
    ) -> Result<Self> {
        let grid = match size {
            Some([columns, rows]) => SnapshotGrid::sized(dataset, columns, rows),
            None => SnapshotGrid::new(dataset),
        };
        let z = normal(
            &mut stream(seed, "preview"),
            &[grid.indices.len(), z_dim],
            device,
        )?;
        let labels: Vec<f32> = grid
            .indices
            .iter()
            .flat_map(|&idx| dataset.label(idx).into_owned())
            .collect();
        let c = match dataset.label_dim() {
            0 => None,
            dim => Some(Tensor::from_vec(labels, (grid.indices.len(), dim), device)?),
        };
        Ok(Self { grid, z, c, batch })
    }

    /// Writes the grid of real images as a PNG.
    ///
    /// # Errors
    /// When an image cannot be read, or the file cannot be written.
    pub fn write_reals(&self, dataset: &ImageDataset, path: &Path) -> Result<()> {
        let images = self
            .grid
            .indices
            .iter()
            .map(|&idx| Ok(dataset.image(idx)?.to_chw()));
        let images = images.collect::<Result<Vec<_>>>()?;
        write_grid(&self.grid, &images, dataset.shape(), path)
    }

    /// Writes the images that a generator makes from the fixed latents as a PNG, without truncation, with constant
    /// noise.
    ///
    /// # Errors
    /// When the tensor library fails, or the file cannot be written.
    pub fn write_fakes(&self, g: &Generator, path: &Path) -> Result<()> {
        let mut images = Vec::new();
        let n = self.grid.indices.len();
        let mut shape = [0; 3];
        let _weights_stay = ops::weight_cache::scope();
        for start in (0..n).step_by(self.batch) {
            let len = self.batch.min(n - start);
            let z = self.z.narrow(0, start, len)?;
            let c = self
                .c
                .as_ref()
                .map(|c| c.narrow(0, start, len))
                .transpose()?;
            let options = SynthesisOptions::default();
            let img = g.forward(&z, c.as_ref(), &MappingOptions::default(), options)?;
            let (_, channels, height, width) = img.dims4()?;
            shape = [channels, height, width];
            let values = img.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            images.extend(
                values
                    .chunks_exact(channels * height * width)
                    .map(|img| img.iter().map(|v| to_u8(*v)).collect::<Vec<u8>>()),
            );
        }
        write_grid(&self.grid, &images, shape, path)
    }
}

/// Writes a PNG with augmented images as the discriminator sees them. Each row starts with an image of the dataset; the
/// other columns show independent augmentations of it, each transform applied with probability `p` times its strength.
/// `seed` determines the choice of the images and the augmentations.
///
/// # Errors
/// When `p` is negative or not finite, an image cannot be read, the pipe cannot be applied to the images, or the file
/// cannot be written.
pub fn write_augment_preview(
    dataset: &ImageDataset,
    pipe: &AugmentPipe,
    p: f64,
    [columns, rows]: [usize; 2],
    seed: u64,
    path: &Path,
) -> Result<()> {
    let mut random = stream(seed, "augment-preview");
    let [channels, height, width] = dataset.shape();
    let order = random.permutation(dataset.len());
    let mut images = Vec::new();
    for &idx in order.iter().cycle().take(rows) {
        let image = dataset.image(idx)?.to_chw();
        let shape = (1, channels, height, width);
        let values = image.iter().map(|&v| f32::from(v) / 127.5 - 1.0);
        let x = Tensor::from_iter(values, &Device::Cpu)?.reshape(shape)?;
        images.push(image);
        for _ in 1..columns {
            let draws = pipe.draw(&mut random, p, BatchShape::of(&x)?)?;
            let augmented = Augmentation::new(draws)?.apply(&(&x).into())?.primal;
            let values = augmented.tensor().flatten_all()?.to_vec1::<f32>()?;
            images.push(values.into_iter().map(to_u8).collect());
        }
    }
    let grid = SnapshotGrid {
        columns,
        rows,
        indices: order,
    };
    let png = grid_png(&grid, &images, dataset.shape())?;
    // Mark the file as an output of this program, because the user chooses its path.
    files::write_bytes(path, &files::mark::mark_png(png.bytes())).map_err(Error::file(path))
}

/// Maps -1..1 linearly to 0..255, rounded half to even; values outside are clamped.
fn to_u8(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round_ties_even().clamp(0.0, 255.0) as u8
}

/// Writes the PNG made by [`grid_png`] to `path`.
fn write_grid(
    grid: &SnapshotGrid,
    images: &[Vec<u8>],
    shape: [usize; 3],
    path: &Path,
) -> Result<()> {
    let png = grid_png(grid, images, shape)?;
    files::write_bytes(path, png.bytes()).map_err(Error::file(path))
}

/// Encodes images of shape `[channels, height, width]` as one PNG, arranged in the rows and columns of `grid`.
fn grid_png(
    grid: &SnapshotGrid,
    images: &[Vec<u8>],
    [channels, height, width]: [usize; 3],
) -> Result<EncodedImage> {
    let row_len = grid.columns * width * channels;
    let mut pixels = vec![0; grid.rows * height * row_len];
    for (i, image) in images.iter().enumerate() {
        let (row, column) = (i / grid.columns, i % grid.columns);
        for y in 0..height {
            let start = (row * height + y) * row_len + column * width * channels;
            let out = &mut pixels[start..start + width * channels];
            for (x, pixel) in out.chunks_exact_mut(channels).enumerate() {
                for (c, value) in pixel.iter_mut().enumerate() {
                    *value = image[(c * height + y) * width + x];
                }
            }
        }
    }
    let image = Image {
        width: grid.columns * width,
        height: grid.rows * height,
        channels,
        pixels,
    };
    Ok(encode_png(&image, 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_and_kept_in_range() {
        // Origin: numpy, rint((x + 1) * 127.5).
        let cases = [(-1.0, 0), (1.0, 255), (0.0, 128), (-7.0, 0), (9.0, 255)];
        for (value, pixel) in cases {
            assert_eq!(to_u8(value), pixel, "{value}");
        }
    }
}
