//! Reads the target image of a projection.

use std::path::Path;

use anyhow::Context;
use candle_core::{Device, Tensor};
use decode::DecodeOptions;
use image::DynamicImage;
use image::imageops::FilterType;

use crate::output_image::OutputImage;

/// Largest size in bytes of a target image file; `prep` has the same limit.
const MAX_TARGET_BYTES: u64 = 1 << 30;

/// Reads an image, crops its central square and resizes it to `side` pixels, with `channels` channels.
///
/// # Errors
/// When the file cannot be read or decoded.
pub fn read_target(path: &Path, side: usize, channels: usize) -> anyhow::Result<OutputImage> {
    let read = || -> anyhow::Result<DynamicImage> {
        let (bytes, options) = (
            files::read_input(path, MAX_TARGET_BYTES)?,
            DecodeOptions::default(),
        );
        Ok(match channels {
            2 | 4 => decode::decode_with_alpha(&bytes, &options)?,
            // Transparent parts become white, as in `prep`.
            _ => DynamicImage::ImageRgb8(decode::decode(&bytes, &options)?.image),
        })
    };
    let image = read().with_context(|| format!("cannot read the image {}", path.display()))?;
    let short = image.width().min(image.height());
    let (x, y) = ((image.width() - short) / 2, (image.height() - short) / 2);
    let image = image.crop_imm(x, y, short, short);
    let image = image.resize_exact(side as u32, side as u32, FilterType::Lanczos3);
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        2 => image.into_luma_alpha8().into_raw(),
        4 => image.into_rgba8().into_raw(),
        _ => image.into_rgb8().into_raw(),
    };
    Ok(OutputImage {
        width: side,
        height: side,
        channels,
        pixels,
    })
}

/// Converts an image to a tensor, `[1, channels, height, width]`, f32 from -1 to 1.
pub fn to_tensor(image: &OutputImage, device: &Device) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = image
        .pixels
        .iter()
        .map(|&v| f32::from(v) / 127.5 - 1.0)
        .collect();
    let shape = (1, image.height, image.width, image.channels);
    Tensor::from_vec(values, shape, device)?
        .permute((0, 3, 1, 2))?
        .contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_squares_without_transparency() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wide.png");
        let mut wide = image::RgbaImage::from_pixel(40, 20, image::Rgba([200, 0, 0, 255]));
        for x in 10..30 {
            for y in 0..20 {
                wide.put_pixel(x, y, image::Rgba([0, 0, 255, if y < 10 { 255 } else { 0 }]));
            }
        }
        wide.save(&path).unwrap();
        let target = read_target(&path, 10, 3).unwrap();
        assert_eq!(target.pixels.len(), 300);
        assert_eq!(target.pixels[..3], [0, 0, 255]);
        assert_eq!(target.pixels[297..], [255, 255, 255]);
        let error = read_target(&dir.path().join("no.png"), 10, 3).unwrap_err();
        assert!(error.to_string().contains("no.png"));
    }
}
