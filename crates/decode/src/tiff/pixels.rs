//! Converts samples to gray or RGB with straight (not premultiplied) alpha.

use super::directory::{Directory, broken, unsupported};
use super::layout::{Alpha, Color, Layout};
use super::samples::Samples;
use crate::DecodeError;
use image::{DynamicImage, ImageBuffer};

/// Largest accepted floating-point sample. Samples should be 0 to 1, highlights a little more; images in 0 to 255
/// exceed this limit and are refused.
const MAX_FLOAT: f32 = 16.0;

/// Converts samples to an image of 8 or 16 bits, by the tags of the file.
pub fn to_image(
    samples: Samples,
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<DynamicImage, DecodeError> {
    use DynamicImage as D;
    let (width, height) = (layout.width as u32, layout.height as u32);
    let channels = Channels::of(layout);
    let image = match samples {
        Samples::Rgb(values) if layout.color.n_samples() == 1 => {
            let gray = values.into_iter().step_by(3).collect();
            ImageBuffer::from_raw(width, height, gray).map(D::ImageLuma8)
        }
        Samples::Rgb(values) => ImageBuffer::from_raw(width, height, values).map(D::ImageRgb8),
        Samples::Words(values) if layout.color != Color::Palette => {
            let max = (1u32 << layout.bits.min(16)) - 1;
            let full = |v: u16| ((u32::from(v) * 65_535 + max / 2) / max) as u16;
            let values = match max {
                65_535 => values,
                _ => values.into_iter().map(full).collect(),
            };
            let out = channels.compose(&values, layout)?;
            match channels.count() {
                1 => ImageBuffer::from_raw(width, height, out).map(D::ImageLuma16),
                2 => ImageBuffer::from_raw(width, height, out).map(D::ImageLumaA16),
                3 => ImageBuffer::from_raw(width, height, out).map(D::ImageRgb16),
                _ => ImageBuffer::from_raw(width, height, out).map(D::ImageRgba16),
            }
        }
        other => {
            let out = match other {
                Samples::Floats(values) => {
                    if values.iter().any(|v| v.is_nan() || *v > MAX_FLOAT) {
                        return Err(unsupported(
                            "floating-point samples that are not from 0 to 1",
                        ));
                    }
                    let values: Vec<f32> = channels.compose(&values, layout)?;
                    values
                        .into_iter()
                        .map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
                        .collect()
                }
                Samples::Bytes(values) => match layout.color {
                    Color::Palette => {
                        palette(values.into_iter().map(usize::from), directory, layout)?
                    }
                    Color::YCbCr => {
                        let rgb = ycbcr(&values, directory, layout)?;
                        channels.compose(&rgb, layout)?
                    }
                    _ => {
                        let max = (1u32 << layout.bits.min(8)) - 1;
                        let full = |v: u8| ((u32::from(v) * 255 + max / 2) / max) as u8;
                        let values = match max {
                            255 => values,
                            _ => values.into_iter().map(full).collect(),
                        };
                        channels.compose(&values, layout)?
                    }
                },
                Samples::Words(values) => {
                    palette(values.into_iter().map(usize::from), directory, layout)?
                }
                Samples::Rgb(values) => values,
            };
            match channels.count() {
                1 => ImageBuffer::from_raw(width, height, out).map(D::ImageLuma8),
                2 => ImageBuffer::from_raw(width, height, out).map(D::ImageLumaA8),
                3 => ImageBuffer::from_raw(width, height, out).map(D::ImageRgb8),
                _ => ImageBuffer::from_raw(width, height, out).map(D::ImageRgba8),
            }
        }
    };
    image.ok_or_else(|| broken("pixels of another number than its size says"))
}

/// A type of samples whose values span its full range (0 to 1 for f32).
trait Level: Copy {
    /// The sample as a fraction (0 to 1) of the full range.
    fn to_fraction(self) -> f32;
    /// The sample for a fraction (0 to 1) of the full range.
    fn from_fraction(fraction: f32) -> Self;
}

impl Level for u8 {
    fn to_fraction(self) -> f32 {
        f32::from(self) / 255.0
    }

    fn from_fraction(fraction: f32) -> Self {
        (fraction * 255.0).round() as Self
    }
}

impl Level for u16 {
    fn to_fraction(self) -> f32 {
        f32::from(self) / 65_535.0
    }

    fn from_fraction(fraction: f32) -> Self {
        (fraction * 65_535.0).round() as Self
    }
}

impl Level for f32 {
    fn to_fraction(self) -> f32 {
        self
    }

    fn from_fraction(fraction: f32) -> Self {
        fraction
    }
}

/// The channels of the decoded image.
struct Channels {
    n_colors: usize,
    alpha: Option<Alpha>,
}

impl Channels {
    fn of(layout: &Layout) -> Self {
        Self {
            n_colors: layout.n_channels() - usize::from(layout.alpha.is_some()),
            alpha: layout.alpha,
        }
    }

    fn count(&self) -> usize {
        self.n_colors + usize::from(self.alpha.is_some())
    }

    /// Converts pixels of gray, RGB or CMYK samples, scaled to full range, to the channels of the decoded image; alpha
    /// is made straight, other extra samples are dropped.
    fn compose<T: Level>(&self, values: &[T], layout: &Layout) -> Result<Vec<T>, DecodeError> {
        let mut out = Vec::with_capacity(values.len() / layout.samples * self.count());
        for pixel in values.chunks_exact(layout.samples) {
            let start = out.len();
            match layout.color {
                Color::WhiteIsZero => {
                    out.push(T::from_fraction(1.0 - pixel[0].to_fraction()));
                }
                Color::Cmyk => {
                    let paper = 1.0 - pixel[3].to_fraction();
                    out.extend(
                        [0, 1, 2].map(|c| T::from_fraction((1.0 - pixel[c].to_fraction()) * paper)),
                    );
                }
                _ => out.extend_from_slice(&pixel[..self.n_colors]),
            }
            let Some(alpha) = self.alpha else { continue };
            let value = pixel[alpha.at];
            let fraction = value.to_fraction();
            if alpha.is_associated && fraction > 0.0 {
                for color in &mut out[start..] {
                    *color = T::from_fraction((color.to_fraction() / fraction).min(1.0));
                }
            }
            out.push(value);
        }
        Ok(out)
    }
}

/// Looks up the colors of palette indices: RGB or RGBA of 8 bits. Palettes of 16 bits are cut to 8; palettes without a
/// value above 255 are taken as 8 bits.
fn palette(
    values: impl ExactSizeIterator<Item = usize>,
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<Vec<u8>, DecodeError> {
    let map = directory
        .numbers(320)?
        .ok_or_else(|| broken("the palette is missing"))?;
    let length = map.len() / 3;
    if length == 0 {
        return Err(broken("the palette is empty"));
    }
    let shift = if map.iter().any(|&v| v > 255) { 8 } else { 0 };
    let colors: Vec<[u8; 3]> = (0..length)
        .map(|i| [0, 1, 2].map(|c| (map[c * length + i] >> shift) as u8))
        .collect();
    let mut out = Vec::with_capacity(values.len() * 3);
    let mut pixel = [0; 2];
    // Alpha has as many bits as the palette indices.
    let max = (1 << layout.bits) - 1;
    for (i, value) in values.enumerate() {
        let at = i % layout.samples;
        if at == 0 {
            pixel = [value, 0];
        }
        if layout.alpha.is_some_and(|alpha| alpha.at == at) {
            pixel[1] = (value * 255 + max / 2) / max;
        }
        if at + 1 == layout.samples {
            let color = colors
                .get(pixel[0])
                .ok_or_else(|| broken(format!("color {} of {length}", pixel[0])))?;
            out.extend(color);
            out.extend(layout.alpha.map(|_| pixel[1] as u8));
        }
    }
    Ok(out)
}

/// Converts YCbCr to RGB with the coefficients (tag 529) and the range (tag 532) of the file, else with those of ITU-R
/// BT.601 at full range.
fn ycbcr(
    values: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
) -> Result<Vec<u8>, DecodeError> {
    let luma = directory.fractions(529)?;
    let &[red, green, blue] = luma.as_deref().unwrap_or(&[0.299, 0.587, 0.114]) else {
        return Err(broken("the factors of YCbCr are not three"));
    };
    let range = directory.fractions(532)?;
    let &[y0, y1, b0, b1, r0, r1] = range
        .as_deref()
        .unwrap_or(&[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])
    else {
        return Err(broken("the range of YCbCr is not six numbers"));
    };
    if green <= 0.0 || y1 == y0 || b1 == b0 || r1 == r0 {
        return Err(broken("the factors of YCbCr make no colors"));
    }
    let mut out = values.to_vec();
    for pixel in out.chunks_exact_mut(layout.samples) {
        let [y, b, r] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        let y = (y - y0) * 255.0 / (y1 - y0);
        let cb = (b - b0) * 127.0 / (b1 - b0);
        let cr = (r - r0) * 127.0 / (r1 - r0);
        let r = y + cr * (2.0 - 2.0 * red);
        let b = y + cb * (2.0 - 2.0 * blue);
        let g = (y - blue * b - red * r) / green;
        for (value, color) in pixel.iter_mut().zip([r, g, b]) {
            *value = color.round().clamp(0.0, 255.0) as u8;
        }
    }
    Ok(out)
}
