//! Pictures as bytes, and PNG files that tell how they were made.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Tensor};

use crate::model::Model;

/// Interleaved bytes, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// 1 to 4.
    pub channels: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    /// All of one value.
    pub fn blank(side: usize, channels: usize) -> Self {
        Self {
            width: side,
            height: side,
            channels,
            pixels: vec![0; side * side * channels],
        }
    }

    /// Images of a network, as the official `generate` rounds them: `trunc(clamp(x * 127.5 + 128, 0, 255))`.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`, about -1 to 1
    pub fn from_images(images: &Tensor) -> anyhow::Result<Vec<Self>> {
        let (batch, channels, height, width) = images.dims4()?;
        let images = images
            .to_dtype(DType::F32)?
            .permute((0, 2, 3, 1))?
            .contiguous()?
            .flatten_all()?
            .to_vec1::<f32>()?;
        ensure!(
            !images.iter().any(|v| v.is_nan()),
            "the network makes images that are no numbers: are its weights damaged? `generate describe` tells"
        );
        let size = channels * height * width;
        Ok((0..batch)
            .map(|i| Self {
                width,
                height,
                channels,
                pixels: images[i * size..(i + 1) * size]
                    .iter()
                    // A cast clamps.
                    .map(|v| (v * 127.5 + 128.0) as u8)
                    .collect(),
            })
            .collect())
    }

    /// Three channels: grey is repeated, opacity is dropped.
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

    /// Writes a PNG; it is complete or not there at all.
    pub fn save(&self, path: &Path, facts: &Facts) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let mut writer = encoder(&mut bytes, self.width, self.height, self.channels, facts)?
            .write_header()
            .context("cannot encode a PNG")?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(files::write_bytes(path, &bytes)?)
    }
}

/// What a PNG tells of its making: keywords and texts.
#[derive(Clone, Debug, Default)]
pub struct Facts(Vec<(&'static str, String)>);

impl Facts {
    /// Program and network.
    pub fn new(model: &Model) -> Self {
        let mut facts = Self::default();
        facts.add("Software", format!("kaogan {}", cli::version()));
        facts.add("network", format!("{} of {}", model.key, model.file));
        if !model.sha256.is_empty() {
            facts.add("checkpoint_sha256", &model.sha256);
        }
        facts.add("weights_sha256", &model.checksum);
        facts
    }

    /// One more.
    pub fn add(&mut self, keyword: &'static str, text: impl ToString) {
        self.0.push((keyword, text.to_string()));
    }

    /// With one more.
    pub fn with(&self, keyword: &'static str, text: impl ToString) -> Self {
        let mut facts = self.clone();
        facts.add(keyword, text);
        facts
    }
}

fn encoder<'a, W: Write>(
    out: W,
    width: usize,
    height: usize,
    channels: usize,
    facts: &Facts,
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
    for (keyword, text) in &facts.0 {
        // Latin-1 or, for all else, UTF-8.
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk((*keyword).to_owned(), text.clone())?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), text.clone())?;
        }
    }
    Ok(encoder)
}

/// The layout of a PNG of equal tiles.
#[derive(Clone, Copy, Debug)]
pub struct Sheet {
    pub cols: usize,
    pub rows: usize,
    /// Side of a tile in pixels.
    pub side: usize,
    pub channels: usize,
}

/// Takes the next row of a sheet; missing tiles at its end stay black.
pub type PutRow<'a> = dyn FnMut(&[Picture]) -> anyhow::Result<()> + Send + 'a;

impl Sheet {
    /// Writes the rows that `fill` gives one by one, so that the size of a sheet is no matter of memory. The file is
    /// complete or not there at all.
    pub fn save(
        &self,
        path: &Path,
        facts: &Facts,
        fill: impl FnOnce(&mut PutRow<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let &Sheet {
            cols,
            rows,
            side,
            channels,
        } = self;
        let line = side * channels;
        let black = vec![0; line];
        files::write_atomic(path, |file| {
            let out = BufWriter::new(file);
            // Errors of the disk and of `fill` name their file themselves.
            let mut writer = encoder(out, cols * side, rows * side, channels, facts)
                .with_context(|| format!("cannot write '{}'", path.display()))?
                .write_header()?;
            let mut out = writer.stream_writer()?;
            fill(&mut |tiles| {
                for y in 0..side {
                    for col in 0..cols {
                        let tile = tiles.get(col);
                        let pixels = tile.map(|tile| &tile.pixels[y * line..(y + 1) * line]);
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
    fn rounding_is_the_official_one() {
        let values = [-1.0f32, -1.01, 0.0, 0.999, 1.0, 7.0, -99.0, -0.996];
        let images = Tensor::new(&values, &Device::Cpu).unwrap();
        let images = images.reshape((1, 2, 2, 2)).unwrap();
        let pictures = Picture::from_images(&images).unwrap();
        // Channels are interleaved.
        assert_eq!(pictures[0].pixels, [0, 255, 0, 255, 128, 0, 255, 1]);
        let damaged = (images * f64::NAN).unwrap();
        assert!(Picture::from_images(&damaged).is_err());
    }
}
