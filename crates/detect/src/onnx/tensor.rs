//! Places an image in the input of a network, and converts detected boxes back to pixels of the image.

use image::RgbImage;

use crate::Face;
use crate::shrink::resize_rgb;

/// Position and scale of the image in the network's input, which may be larger (padded).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placing {
    /// Width and height of the network's input.
    pub canvas: (u32, u32),
    /// Position of the image's upper left corner in the input.
    pub offset: (u32, u32),
    /// Number of source pixels per pixel of the input, along x and y.
    pub scale: (f32, f32),
}

impl Placing {
    /// The placing of an image that was resized from `source` to `size` and is in the upper left corner of the input.
    pub fn in_corner(source: (u32, u32), size: (u32, u32), canvas: (u32, u32)) -> Self {
        Self {
            canvas,
            offset: (0, 0),
            scale: (
                source.0 as f32 / size.0 as f32,
                source.1 as f32 / size.1 as f32,
            ),
        }
    }

    /// Converts a box from pixels of the network's input to source pixels.
    pub fn face(&self, [x0, y0, x1, y1]: [f32; 4], score: f32) -> Face {
        let x = |x: f32| (x - self.offset.0 as f32) * self.scale.0;
        let y = |y: f32| (y - self.offset.1 as f32) * self.scale.1;
        Face {
            rect: [x(x0), y(y0), x(x1), y(y1)],
            score,
        }
    }
}

/// Conversion of 8-bit colors to the values of a network's input: `(color - mean) * factor`.
pub(crate) struct Coding {
    /// For each plane of the input, the index of its color channel (0 red, 1 green, 2 blue).
    pub order: [usize; 3],
    /// Subtracted from the colors of each plane.
    pub mean: [f32; 3],
    /// Multiplied after the subtraction.
    pub factor: f32,
    /// Color of the padding, 0 to 255, in the order of the planes.
    pub fill: [f32; 3],
}

/// The input of a network, `[1, 3, height, width]`, and the position of the image in it.
pub(crate) struct Input {
    pub values: Vec<f32>,
    pub placing: Placing,
}

/// Resizes an image to `size` and places it at `offset` in an input of the size `canvas`.
///
/// Sizes are (width, height) in pixels; `offset` is the position of the image's upper left corner in the input.
pub(crate) fn place(
    image: &RgbImage,
    size: (u32, u32),
    canvas: (u32, u32),
    offset: (u32, u32),
    coding: &Coding,
) -> Input {
    let resized;
    let shown = if image.dimensions() == size {
        image
    } else {
        resized = resize_rgb(image, size.0, size.1);
        &resized
    };
    let (width, height) = (canvas.0 as usize, canvas.1 as usize);
    let mut values = Vec::with_capacity(3 * width * height);
    for plane in 0..3 {
        let code = |value: f32| (value - coding.mean[plane]) * coding.factor;
        let table: [f32; 256] = std::array::from_fn(|value| code(value as f32));
        let start = values.len();
        values.resize(start + width * height, code(coding.fill[plane]));
        let rows = values[start..]
            .chunks_exact_mut(width)
            .skip(offset.1 as usize);
        for (row, pixels) in rows.zip(shown.as_raw().chunks_exact(3 * size.0 as usize)) {
            for (value, pixel) in row[offset.0 as usize..]
                .iter_mut()
                .zip(pixels.chunks_exact(3))
            {
                *value = table[usize::from(pixel[coding.order[plane]])];
            }
        }
    }
    let placing = Placing {
        offset,
        ..Placing::in_corner(image.dimensions(), size, canvas)
    };
    Input { values, placing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_placed_coded_and_found_again() {
        let image = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let coding = Coding {
            order: [2, 1, 0],
            mean: [1.0, 0.0, 0.0],
            factor: 2.0,
            fill: [1.0, 10.0, 20.0],
        };
        let input = place(&image, (2, 1), (3, 2), (1, 1), &coding);
        let planes = [
            [0.0, 0.0, 0.0, 0.0, 4.0, 10.0],
            [20.0, 20.0, 20.0, 20.0, 4.0, 10.0],
            [40.0, 40.0, 40.0, 40.0, 2.0, 8.0],
        ];
        assert_eq!(input.values, planes.concat());
        let face = input.placing.face([1.0, 1.0, 3.0, 2.0], 0.5);
        assert_eq!(face.rect, [0.0, 0.0, 2.0, 1.0]);
    }
}
