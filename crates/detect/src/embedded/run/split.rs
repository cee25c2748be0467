//! Space-to-depth of the network's input: each color plane is split into four by the parity of rows and columns.
//!
//! A convolution of even kernel and stride on the image equals one of half the kernel and stride on the split planes.
//! The kernels of the `kernels` crate compute 8 or 16 channels at a time, which the 12 channels of the split input use
//! better than 3.

use image::RgbImage;
use kernels::conv::ConvGeometry;

use super::buffers::Buffers;
use super::{Map, geometry};
use crate::embedded::network::Convolution;

/// Geometry of the first convolution on the planes of [`split_images`]; the padding is already in the planes.
pub(super) fn split_geometry(convolution: &Convolution) -> ConvGeometry {
    let full = geometry(convolution);
    ConvGeometry {
        ci: 4 * full.ci,
        kh: full.kh / 2,
        kw: full.kw / 2,
        stride: full.stride / 2,
        padding: 0,
        ..full
    }
}

/// The input of the network for a batch of images: values in `-1..=1`, split by parity.
///
/// Each image is padded with gray (0) at the right and the bottom to `(width, height)`, and then by `padding` zeros on
/// each side. The result is `[images, 12, (height + 2 * padding) / 2, (width + 2 * padding) / 2]`, both sides rounded
/// up. The index of a channel is `4 * color + 2 * (row parity) + (column parity)`.
pub(super) fn split_images(
    images: &[&RgbImage],
    (width, height): (u32, u32),
    padding: usize,
    buffers: &mut Buffers,
) -> Map {
    let half = |side: u32| (side as usize + 2 * padding).div_ceil(2);
    let (rows, columns) = (half(height), half(width));
    let len = 12 * rows * columns;
    let mut map = Map {
        buffer: buffers.take(images.len() * len),
        images: images.len(),
        channels: 12,
        height: rows,
        width: columns,
    };
    let table: [f32; 256] = std::array::from_fn(|value| (value as f32 - 127.5) / 127.5);
    for (image, values) in images.iter().zip(map.values_mut().chunks_exact_mut(len)) {
        assert!(image.width() <= width && image.height() <= height);
        split_image(image, columns, padding, &table, values);
    }
    map
}

/// Writes one image of [`split_images`] to `values`; `table` maps a color value to the network's input.
fn split_image(
    image: &RgbImage,
    columns: usize,
    padding: usize,
    table: &[f32; 256],
    values: &mut [f32],
) {
    let plane = values.len() / 12;
    let rows = plane / columns;
    let stride = 3 * image.width() as usize;
    for y in 0..2 * rows {
        let pixels = y
            .checked_sub(padding)
            .and_then(|row| image.as_raw().chunks_exact(stride).nth(row));
        for odd in 0..2 {
            // First column of the image that has this parity in the padded image.
            let first = (odd + padding) % 2;
            for channel in 0..3 {
                let at = (channel * 4 + y % 2 * 2 + odd) * plane + y / 2 * columns;
                let to = &mut values[at..at + columns];
                let pixels = pixels
                    .and_then(|pixels| pixels.get(3 * first + channel..))
                    .unwrap_or_default();
                let (left, to) = to.split_at_mut((first + padding) / 2);
                let (to, right) = to.split_at_mut(pixels.len().div_ceil(6).min(to.len()));
                left.fill(0.0);
                for (to, &value) in to.iter_mut().zip(pixels.iter().step_by(6)) {
                    *to = table[usize::from(value)];
                }
                right.fill(0.0);
            }
        }
    }
}

/// Converts kernels `[.., kernel, kernel]` to `[.., 4, kernel / 2, kernel / 2]`, for the planes of [`split_images`].
pub(super) fn split_kernels(weights: &[f32], kernel: usize) -> Vec<f32> {
    let half = kernel / 2;
    let mut split = Vec::with_capacity(weights.len());
    for weights in weights.chunks_exact(kernel * kernel) {
        for (odd_row, odd_column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for row in 0..half {
                for column in 0..half {
                    let at = (2 * row + odd_row) * kernel + 2 * column + odd_column;
                    split.push(weights[at]);
                }
            }
        }
    }
    split
}
