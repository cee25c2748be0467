//! Alterations of images as they occur on the web: crops, mirrors, tints, smaller copies.

use image::{Rgb, RgbImage, imageops};

/// A change of an image's pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alteration {
    /// Scales both sides by this factor.
    Resize(f32),
    /// Cuts off these shares of the sides, 0 to 1: left, top, right, bottom.
    Crop([f32; 4]),
    /// Swaps left and right.
    Mirror,
    /// Multiplies every channel by this factor.
    Brightness(f32),
    /// Adds a site's name in a corner; its letters are drawn with this seed.
    Watermark(u32),
    /// Keeps luma only: a gray image stored as RGB.
    Gray,
    /// Replaces each pixel by a mixture of two colors according to its luma: the first for black, the second for white.
    Tint([u8; 3], [u8; 3]),
}

impl Alteration {
    /// Returns the changed image.
    pub fn apply(self, image: RgbImage) -> RgbImage {
        match self {
            Self::Resize(factor) => {
                let (width, height) = resized(image.dimensions(), factor);
                imageops::resize(&image, width, height, imageops::FilterType::CatmullRom)
            }
            Self::Crop(shares) => {
                let [x, y, width, height] = cropped(image.dimensions(), shares);
                imageops::crop_imm(&image, x, y, width, height).to_image()
            }
            Self::Mirror => imageops::flip_horizontal(&image),
            Self::Brightness(factor) => mapped(image, |pixel| {
                pixel.map(|v| (f32::from(v) * factor + 0.5).clamp(0.0, 255.0) as u8)
            }),
            Self::Gray => mapped(image, |pixel| [luma(pixel); 3]),
            Self::Tint(dark, light) => mapped(image, |pixel| {
                let y = u16::from(luma(pixel));
                std::array::from_fn(|c| {
                    ((u16::from(dark[c]) * (255 - y) + u16::from(light[c]) * y + 127) / 255) as u8
                })
            }),
            // Painted before the image is finished, see `Image::paint` in `plan`.
            Self::Watermark(_) => image,
        }
    }

    /// A box `[x0, y0, x1, y1]` in pixels after the alteration; `size` is (width, height) of the image before.
    pub fn move_box(self, [x0, y0, x1, y1]: [f32; 4], size: (u32, u32)) -> [f32; 4] {
        match self {
            Self::Resize(factor) => {
                let (width, height) = resized(size, factor);
                let (sx, sy) = (width as f32 / size.0 as f32, height as f32 / size.1 as f32);
                [x0 * sx, y0 * sy, x1 * sx, y1 * sy]
            }
            Self::Crop(shares) => {
                let [x, y, width, height] = cropped(size, shares).map(|v| v as f32);
                [
                    (x0 - x).clamp(0.0, width),
                    (y0 - y).clamp(0.0, height),
                    (x1 - x).clamp(0.0, width),
                    (y1 - y).clamp(0.0, height),
                ]
            }
            Self::Mirror => {
                let width = size.0 as f32;
                [width - x1, y0, width - x0, y1]
            }
            _ => [x0, y0, x1, y1],
        }
    }

    /// Width and height of an image of `size` after the alteration.
    pub fn size(self, size: (u32, u32)) -> (u32, u32) {
        match self {
            Self::Resize(factor) => resized(size, factor),
            Self::Crop(shares) => {
                let [_, _, width, height] = cropped(size, shares);
                (width, height)
            }
            _ => size,
        }
    }
}

fn resized((width, height): (u32, u32), factor: f32) -> (u32, u32) {
    let side = |v: u32| ((v as f32 * factor + 0.5) as u32).max(1);
    (side(width), side(height))
}

fn cropped((width, height): (u32, u32), [left, top, right, bottom]: [f32; 4]) -> [u32; 4] {
    let (w, h) = (width as f32, height as f32);
    let (x, y) = ((w * left) as u32, (h * top) as u32);
    let (r, b) = ((w * right) as u32, (h * bottom) as u32);
    [x, y, (width - x - r).max(1), (height - y - b).max(1)]
}

fn mapped(mut image: RgbImage, map: impl Fn([u8; 3]) -> [u8; 3]) -> RgbImage {
    for Rgb(pixel) in image.pixels_mut() {
        *pixel = map(*pixel);
    }
    image
}

/// Rec. 601 luma of an RGB pixel.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_follow_their_pixels() {
        let mut image = RgbImage::new(200, 100);
        for y in 30..50 {
            for x in 60..90 {
                image.put_pixel(x, y, Rgb([255, 0, 0]));
            }
        }
        for alteration in [
            Alteration::Resize(0.5),
            Alteration::Crop([0.1, 0.05, 0.2, 0.0]),
            Alteration::Mirror,
            Alteration::Brightness(0.8),
        ] {
            let [x0, y0, x1, y1] = alteration.move_box([60.0, 30.0, 90.0, 50.0], (200, 100));
            let altered = alteration.apply(image.clone());
            assert_eq!(altered.dimensions(), alteration.size((200, 100)));
            let red = |x: f32, y: f32| altered.get_pixel(x as u32, y as u32)[0] > 128;
            assert!(
                red(x0 + 1.0, y0 + 1.0) && red(x1 - 2.0, y1 - 2.0),
                "{alteration:?}"
            );
            assert!(
                !red(x0 - 3.0, y0 + 1.0) && !red(x1 + 3.0, y1 - 2.0),
                "{alteration:?}"
            );
        }
    }

    #[test]
    fn gray_and_tinted_images_have_one_dimension_of_color() {
        let image = RgbImage::from_fn(9, 9, |x, y| Rgb([x as u8 * 28, y as u8 * 28, 90]));
        assert!(
            Alteration::Gray
                .apply(image.clone())
                .pixels()
                .all(|p| p[0] == p[1] && p[1] == p[2])
        );
        let tinted = Alteration::Tint([0, 0, 0], [255, 128, 0]).apply(image);
        assert!(tinted.pixels().all(|p| p[2] == 0 && p[1] <= p[0] / 2 + 1));
    }
}
