//! Images as bytes, and PNG files that contain the settings of their generation.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Tensor};

use crate::args::SamplingArgs;
use crate::model::Model;

/// An 8-bit image with interleaved channels, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputImage {
    pub width: usize,
    pub height: usize,
    /// Number of channels, 1 to 4.
    pub channels: usize,
    pub pixels: Vec<u8>,
}

impl OutputImage {
    /// A square image of zeros: black, and transparent if it has an alpha channel.
    pub fn blank(side: usize, channels: usize) -> Self {
        Self {
            width: side,
            height: side,
            channels,
            pixels: vec![0; side * side * channels],
        }
    }

    /// Converts images of a generator to bytes as `generate.py` of NVIDIA's StyleGAN2-ADA does:
    /// `trunc(clamp(x * 127.5 + 128, 0, 255))`. Fails when a value is NaN.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`, values of about -1 to 1
    pub fn from_tensor(images: &Tensor) -> anyhow::Result<Vec<Self>> {
        let (batch, channels, height, width) = images.dims4()?;
        let images = images
            .to_dtype(DType::F32)?
            .permute((0, 2, 3, 1))?
            .contiguous()?
            .flatten_all()?
            .to_vec1::<f32>()?;
        ensure!(
            !images.iter().any(|v| v.is_nan()),
            "the images of the network are NaN: are its weights damaged? `generate describe` shows"
        );
        let size = channels * height * width;
        Ok((0..batch)
            .map(|i| Self {
                width,
                height,
                channels,
                pixels: images[i * size..(i + 1) * size]
                    .iter()
                    // The cast clamps to 0..255 and truncates.
                    .map(|v| (v * 127.5 + 128.0) as u8)
                    .collect(),
            })
            .collect())
    }

    /// The pixels as interleaved RGB: gray is repeated, alpha is dropped.
    pub fn into_rgb(self) -> Vec<u8> {
        match self.channels {
            3 => self.pixels,
            4 => self
                .pixels
                .chunks_exact(4)
                .flat_map(|p| [p[0], p[1], p[2]])
                .collect(),
            n => self
                .pixels
                .chunks_exact(n)
                .flat_map(|p| [p[0]; 3])
                .collect(),
        }
    }

    /// Writes the image as a PNG. The file gets its name only when it is complete.
    pub fn save(&self, path: &Path, texts: &PngTexts) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let mut writer = encoder(&mut bytes, self.width, self.height, self.channels, texts)?
            .write_header()
            .context("cannot encode a PNG")?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(files::write_bytes(path, &bytes)?)
    }
}

/// Text chunks of a PNG, as pairs of keyword and text, which record how the image was generated.
#[derive(Clone, Debug, Default)]
pub struct PngTexts(Vec<(&'static str, String)>);

impl PngTexts {
    /// Texts with the version of the program and the name and checksums of the network.
    pub fn new(model: &Model) -> Self {
        let mut texts = Self::default();
        texts.add("Software", format!("kaogan {}", cli::version()));
        texts.add("network", format!("{} of {}", model.key, model.file));
        if !model.sha256.is_empty() {
            texts.add("checkpoint_sha256", &model.sha256);
        }
        texts.add("weights_sha256", &model.checksum);
        texts
    }

    /// Adds a text.
    pub fn add(&mut self, keyword: &'static str, text: impl ToString) {
        self.0.push((keyword, text.to_string()));
    }

    /// Adds the sampling flags: truncation, noise and label.
    pub fn add_sampling(&mut self, model: &Model, args: &SamplingArgs) {
        self.add("truncation_psi", args.truncation_psi);
        self.add("noise_mode", args.noise_mode.name());
        if let Some(class) = model.class(args.class) {
            self.add("class", class);
        }
    }

    /// A copy with one more text.
    pub fn with(&self, keyword: &'static str, text: impl ToString) -> Self {
        let mut texts = self.clone();
        texts.add(keyword, text);
        texts
    }
}

fn encoder<'a, W: Write>(
    out: W,
    width: usize,
    height: usize,
    channels: usize,
    texts: &PngTexts,
) -> anyhow::Result<png::Encoder<'a, W>> {
    let side = |n: usize| u32::try_from(n).context("the image is too large for a PNG");
    let mut encoder = png::Encoder::new(out, side(width)?, side(height)?);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match channels {
        1 => png::ColorType::Grayscale,
        2 => png::ColorType::GrayscaleAlpha,
        3 => png::ColorType::Rgb,
        4 => png::ColorType::Rgba,
        n => bail!("a PNG has 1 to 4 channels, not {n}"),
    });
    encoder.set_compression(png::Compression::Balanced);
    for (keyword, text) in &texts.0 {
        // Latin-1 chunks where the text allows it, otherwise UTF-8.
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk((*keyword).to_owned(), text.clone())?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), text.clone())?;
        }
    }
    Ok(encoder)
}

/// The layout of a grid of images of one size.
#[derive(Clone, Copy, Debug)]
pub struct ImageGrid {
    pub cols: usize,
    pub rows: usize,
    /// Width and height of an image in pixels.
    pub side: usize,
    pub channels: usize,
}

/// A function that receives the images of the next row of a grid; missing images at the end of the row become black.
pub type PutRow<'a> = dyn FnMut(&[OutputImage]) -> anyhow::Result<()> + Send + 'a;

impl ImageGrid {
    /// Writes a PNG of the grid. `fill` calls its argument once for each row, so that only one row is in memory. The
    /// file gets its name only when it is complete.
    pub fn save(
        &self,
        path: &Path,
        texts: &PngTexts,
        fill: impl FnOnce(&mut PutRow<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let &Self {
            cols,
            rows,
            side,
            channels,
        } = self;
        let line = side * channels;
        let black = vec![0; line];
        files::write_atomic(path, |file| {
            let out = BufWriter::new(file);
            // The errors of writing and of `fill` already name their files.
            let mut writer = encoder(out, cols * side, rows * side, channels, texts)
                .with_context(|| format!("cannot write '{}'", path.display()))?
                .write_header()?;
            let mut out = writer.stream_writer()?;
            fill(&mut |images| {
                for y in 0..side {
                    for col in 0..cols {
                        let image = images.get(col);
                        let pixels = image.map(|image| &image.pixels[y * line..(y + 1) * line]);
                        out.write_all(pixels.unwrap_or(&black))?;
                    }
                }
                Ok(())
            })?;
            out.finish()?;
            writer.finish()?;
            anyhow::Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn rounding_is_official() {
        let values = [-1.0f32, -1.01, 0.0, 0.999, 1.0, 7.0, -99.0, -0.996];
        let images = Tensor::new(&values, &Device::Cpu).unwrap();
        let images = images.reshape((1, 2, 2, 2)).unwrap();
        let converted = OutputImage::from_tensor(&images).unwrap();
        // Channels are interleaved.
        assert_eq!(converted[0].pixels, [0, 255, 0, 255, 128, 0, 255, 1]);
        let damaged = (images * f64::NAN).unwrap();
        assert!(OutputImage::from_tensor(&damaged).is_err());
    }
}
