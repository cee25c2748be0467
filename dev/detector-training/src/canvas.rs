//! A square training image into which pieces of other images are drawn.

use image::RgbImage;
use image::imageops::{FilterType, resize};

/// A square RGB image of `side` x `side` pixels, row by row, with values from 0 to 255.
pub struct Canvas {
    pub side: usize,
    pub pixels: Vec<[f32; 3]>,
}

/// An affine map from pixels of a source image to pixels of the canvas: scale each axis, then rotate, then shift.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// The point of the source that is mapped to the point `to` of the canvas.
    pub from: [f32; 2],
    pub to: [f32; 2],
    /// Canvas pixels per source pixel, along x and y of the source; a negative x mirrors.
    pub scale: [f32; 2],
    /// Sine and cosine of the rotation angle.
    pub turn: [f32; 2],
}

impl Placement {
    /// The point of the canvas that a point of the source is mapped to.
    pub fn point(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = (
            (x - self.from[0]) * self.scale[0],
            (y - self.from[1]) * self.scale[1],
        );
        let [sine, cosine] = self.turn;
        [
            self.to[0] + cosine * x - sine * y,
            self.to[1] + sine * x + cosine * y,
        ]
    }

    fn back(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = (x - self.to[0], y - self.to[1]);
        let [sine, cosine] = self.turn;
        [
            self.from[0] + (cosine * x + sine * y) / self.scale[0],
            self.from[1] + (cosine * y - sine * x) / self.scale[1],
        ]
    }

    /// The axis-aligned box on the canvas around the mapped ellipse that is inscribed in a box of the source.
    pub fn rect(&self, [x0, y0, x1, y1]: [f32; 4]) -> [f32; 4] {
        let [x, y] = self.point((x0 + x1) / 2.0, (y0 + y1) / 2.0);
        let (a, b) = (
            (x1 - x0) / 2.0 * self.scale[0],
            (y1 - y0) / 2.0 * self.scale[1],
        );
        let [sine, cosine] = self.turn;
        let (right, down) = ((a * cosine).hypot(b * sine), (a * sine).hypot(b * cosine));
        [x - right, y - down, x + right, y + down]
    }
}

/// Blending of the edge of a pasted image with the canvas.
#[derive(Clone, Copy, Debug)]
pub enum Edge {
    Hard,
    /// Fades out toward the border, over this share of the width and height.
    Soft(f32),
    /// Fades out outside an ellipse: center x, center y, half axes along x and y, in pixels of the source.
    Ellipse([f32; 4]),
}

impl Edge {
    /// Opacity, 0 to 1, at a point of a source of this size (width, height).
    fn alpha(self, x: f32, y: f32, size: [f32; 2]) -> f32 {
        let smooth = |t: f32| {
            let t = t.clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        };
        match self {
            Self::Hard => 1.0,
            Self::Soft(share) => {
                let near = |at: f32, length: f32| at.min(length - at) / (share * length);
                smooth(near(x, size[0]).min(near(y, size[1])))
            }
            Self::Ellipse([cx, cy, a, b]) => {
                let inside = smooth((1.15 - ((x - cx) / a).hypot((y - cy) / b)) / 0.2);
                inside * Self::Soft(0.08).alpha(x, y, size)
            }
        }
    }
}

impl Canvas {
    /// A canvas of `side` x `side` pixels of one color.
    pub fn new(side: usize, color: [f32; 3]) -> Self {
        Self {
            side,
            pixels: vec![color; side * side],
        }
    }

    /// Draws a source image on the canvas.
    pub fn draw(&mut self, source: &Pyramid, placement: &Placement, edge: Edge) {
        let (width, height) = (source.width() as f32, source.height() as f32);
        let (small, factor) = source.level(placement.scale[0].abs().min(placement.scale[1].abs()));
        let corners = [[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]]
            .map(|[x, y]| placement.point(x, y));
        let range = |axis: usize| {
            let (low, high) = corners
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), p| {
                    (low.min(p[axis]), high.max(p[axis]))
                });
            low.floor().clamp(0.0, self.side as f32) as usize
                ..high.ceil().clamp(0.0, self.side as f32) as usize
        };
        let (rows, columns) = (range(1), range(0));
        for row in rows {
            for column in columns.clone() {
                let [x, y] = placement.back(column as f32 + 0.5, row as f32 + 0.5);
                if !(x >= 0.0 && y >= 0.0 && x < width && y < height) {
                    continue;
                }
                let alpha = edge.alpha(x, y, [width, height]);
                if alpha > 0.0 {
                    let color = blended(small, x / factor, y / factor);
                    let pixel = &mut self.pixels[row * self.side + column];
                    for (to, from) in pixel.iter_mut().zip(color) {
                        *to += alpha * (from - *to);
                    }
                }
            }
        }
    }

    /// Fills the pixels inside a box `[x0, y0, x1, y1]` whose centers `covers(x, y)` accepts with a color.
    pub fn fill(
        &mut self,
        [x0, y0, x1, y1]: [f32; 4],
        color: [f32; 3],
        covers: impl Fn(f32, f32) -> bool,
    ) {
        let clamp = |v: f32| v.clamp(0.0, self.side as f32) as usize;
        for row in clamp(y0)..clamp(y1.ceil()) {
            for column in clamp(x0)..clamp(x1.ceil()) {
                if covers(column as f32 + 0.5, row as f32 + 0.5) {
                    self.pixels[row * self.side + column] = color;
                }
            }
        }
    }

    /// Removes detail: shrinks the canvas by this factor and enlarges it to its size again.
    pub fn coarsen(&mut self, factor: f32) {
        let side = self.side as u32;
        let small = ((self.side as f32 / factor).round() as u32).clamp(1, side);
        let shrunk = resize(&self.image(), small, small, FilterType::Triangle);
        let enlarged = resize(&shrunk, side, side, FilterType::Triangle);
        self.show(&enlarged);
    }

    /// Replaces all pixels by those of an image of the same size.
    pub fn show(&mut self, image: &RgbImage) {
        for (to, from) in self.pixels.iter_mut().zip(image.pixels()) {
            *to = from.0.map(f32::from);
        }
    }

    /// The canvas as an 8-bit image, clamped to 0 to 255.
    pub fn image(&self) -> RgbImage {
        RgbImage::from_fn(self.side as u32, self.side as u32, |x, y| {
            image::Rgb(
                self.pixels[y as usize * self.side + x as usize].map(|v| v.clamp(0.0, 255.0) as u8),
            )
        })
    }
}

/// An image and its repeatedly halved copies, from which it is drawn smaller without aliasing.
#[derive(Clone, Debug)]
pub struct Pyramid {
    /// The image itself, then each level of half the size of the one before.
    levels: Vec<RgbImage>,
}

/// A level is halved once more if its shorter side is at least this many pixels.
const MIN_HALVED: u32 = 4;

impl Pyramid {
    pub fn new(source: RgbImage) -> Self {
        let mut levels = vec![source];
        while let Some(last) = levels.last()
            && last.width().min(last.height()) >= MIN_HALVED
        {
            levels.push(halved(last));
        }
        Self { levels }
    }

    pub fn source(&self) -> &RgbImage {
        &self.levels[0]
    }

    pub fn width(&self) -> u32 {
        self.source().width()
    }

    pub fn height(&self) -> u32 {
        self.source().height()
    }

    /// The level to draw from at `scale` canvas pixels per source pixel, and the source pixels per pixel of this level.
    ///
    /// It is the finest level of which a pixel covers at least 0.6 canvas pixels, if there is one.
    fn level(&self, scale: f32) -> (&RgbImage, f32) {
        let (mut index, mut factor) = (0, 1.0);
        while scale * factor < 0.6 && index + 1 < self.levels.len() {
            index += 1;
            factor *= 2.0;
        }
        (&self.levels[index], factor)
    }
}

/// Half the width and height, by averaging 2 x 2 pixels.
fn halved(image: &RgbImage) -> RgbImage {
    let row = 3 * image.width() as usize;
    let (width, height) = (image.width() / 2, image.height() / 2);
    let from = image.as_raw();
    let mut pixels = Vec::with_capacity(3 * (width * height) as usize);
    for y in 0..height as usize {
        for x in 0..width as usize {
            for c in 0..3 {
                let at = 2 * y * row + 6 * x + c;
                let sum = [at, at + 3, at + row, at + row + 3].map(|i| u32::from(from[i]));
                pixels.push(((sum.iter().sum::<u32>() + 2) / 4) as u8);
            }
        }
    }
    RgbImage::from_raw(width, height, pixels).expect("three values for each pixel")
}

/// Bilinear interpolation at `(x, y)`; pixel centers are at `.5`.
fn blended(image: &RgbImage, x: f32, y: f32) -> [f32; 3] {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
    let (column, row) = ((x as usize).min(width - 1), (y as usize).min(height - 1));
    let (right, down) = ((column + 1).min(width - 1), (row + 1).min(height - 1));
    let (fx, fy) = ((x - column as f32).min(1.0), (y - row as f32).min(1.0));
    let from = image.as_raw();
    let pixel = |x: usize, y: usize| &from[3 * (y * width + x)..][..3];
    let (a, b, c, d) = (
        pixel(column, row),
        pixel(right, row),
        pixel(column, down),
        pixel(right, down),
    );
    std::array::from_fn(|i| {
        let [a, b, c, d] = [a[i], b[i], c[i], d[i]].map(f32::from);
        let (top, bottom) = (a + fx * (b - a), c + fx * (d - c));
        top + fy * (bottom - top)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_lands_where_its_placement_says() {
        let source = RgbImage::from_fn(64, 64, |x, _| {
            image::Rgb([if x < 32 { 200 } else { 0 }, 50, 0])
        });
        let source = Pyramid::new(source);
        for scale in [0.25, 1.0, 2.0] {
            let placement = Placement {
                from: [32.0, 32.0],
                to: [100.0, 60.0],
                scale: [-scale, scale],
                turn: [0.0, 1.0],
            };
            let mut canvas = Canvas::new(256, [7.0; 3]);
            canvas.draw(&source, &placement, Edge::Hard);
            let at = |x: f32, y: f32| canvas.pixels[y as usize * 256 + x as usize];
            // Mirrored: the left half of the source is on the right.
            assert_eq!(at(100.0 + 16.0 * scale, 60.0), [200.0, 50.0, 0.0]);
            assert_eq!(at(100.0 - 16.0 * scale, 60.0), [0.0, 50.0, 0.0]);
            assert_eq!(at(100.0 + 34.0 * scale, 60.0), [7.0; 3]);
            assert_eq!(
                placement.rect([0.0, 0.0, 32.0, 64.0]),
                [
                    100.0,
                    60.0 - 32.0 * scale,
                    100.0 + 32.0 * scale,
                    60.0 + 32.0 * scale
                ]
            );
        }
    }
}
