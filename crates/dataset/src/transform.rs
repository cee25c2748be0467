//! Transforms an image of any size to a sample: scaled, or cropped to its center first.

use serde::{Deserialize, Serialize};

use crate::resample::{Filter, resize};
use decode::Image;

/// Crop of an image before it is resized; the names are those of NVIDIA's `dataset_tool.py`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// No crop; the image is stretched when its aspect ratio differs from that of the sample.
    #[default]
    Scale,
    /// The largest square in the middle.
    CenterCrop,
    /// The middle rows, with black bars above and below that make the sample square. As in NVIDIA's program, the number
    /// of rows is the height that the whole image would have when scaled to the given width. An image is dropped when
    /// it is narrower than the given width or this number is less than the given height.
    CenterCropWide,
}

impl Transform {
    /// Crops an image and resizes it to `width` x `height`; with [`CenterCropWide`](Self::CenterCropWide), black bars
    /// then extend it to `width` x `width`. `None` when the image is dropped.
    ///
    /// # Panics
    /// When a side of the image or of the result is 0, or a wide result is higher than wide.
    pub fn apply(
        self,
        image: &Image,
        width: usize,
        height: usize,
        filter: Filter,
    ) -> Option<Image> {
        match self {
            Self::Scale => Some(resize(image, width, height, filter)),
            Self::CenterCrop => {
                let side = image.width.min(image.height);
                Some(resize(&center(image, side, side), width, height, filter))
            }
            Self::CenterCropWide => {
                assert!(height <= width, "a wide sample is not higher than wide");
                let rows = (width * image.height) as f64 / image.width as f64;
                let rows = rows.round_ties_even() as usize;
                if image.width < width || rows < height {
                    return None;
                }
                let strip = resize(&center(image, image.width, rows), width, height, filter);
                let row_len = width * image.channels;
                let mut pixels = vec![0; row_len * width];
                let above = (width - height) / 2 * row_len;
                pixels[above..above + strip.pixels.len()].copy_from_slice(&strip.pixels);
                Some(Image {
                    width,
                    height: width,
                    channels: image.channels,
                    pixels,
                })
            }
        }
    }
}

/// The middle `width` x `height` pixels of an image; fewer where the image is smaller.
fn center(image: &Image, width: usize, height: usize) -> Image {
    let (width, height) = (width.min(image.width), height.min(image.height));
    let (x, y) = ((image.width - width) / 2, (image.height - height) / 2);
    let channels = image.channels;
    let pixels = image
        .pixels
        .chunks_exact(image.width * channels)
        .skip(y)
        .take(height)
        .flat_map(|row| &row[x * channels..(x + width) * channels])
        .copied()
        .collect();
    Image {
        width,
        height,
        channels,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Image {
        Image {
            width,
            height,
            channels: 1,
            pixels: (0..width * height).map(|i| i as u8).collect(),
        }
    }

    #[test]
    fn the_crop_is_the_middle_square() {
        let cropped = Transform::CenterCrop
            .apply(&ramp(5, 2), 2, 2, Filter::Box)
            .unwrap();
        assert_eq!(cropped.pixels, [1, 2, 6, 7]);
    }

    #[test]
    fn wide_pads_to_a_square_and_drops_what_is_too_small() {
        let wide = Transform::CenterCropWide;
        let sample = wide.apply(&ramp(4, 4), 4, 2, Filter::Box).unwrap();
        assert_eq!(sample.shape(), [1, 4, 4]);
        assert_eq!(
            (&sample.pixels[..4], &sample.pixels[12..]),
            ([0; 4].as_slice(), [0; 4].as_slice())
        );
        assert!(sample.pixels[4..12].iter().all(|&v| v > 0));
        assert_eq!(wide.apply(&ramp(3, 3), 4, 2, Filter::Box), None);
        assert_eq!(wide.apply(&ramp(8, 2), 4, 2, Filter::Box), None);
    }
}
