//! Strips of preview grids that show how the images of a run change during training.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use decode::DecodeOptions;
use image::{DynamicImage, ImageFormat, imageops::FilterType};
use report::Strip;
use run_folder::RunRecord;

/// Largest number of preview grids of a run on the page.
const MAX_FRAMES: usize = 24;
/// Largest number of columns and rows of a preview grid that are shown.
const CELLS: (u32, u32) = (6, 4);
/// Largest side in pixels of an image on the page.
const CELL_SIDE: u32 = 112;

/// Makes a strip from the upper left parts of at most 24 preview grids of a run, evenly distributed over the run.
/// `color` is the index of the run's color on the page.
pub fn strip(run: &RunRecord, name: &str, color: usize) -> anyhow::Result<Strip> {
    let all: Vec<(&u64, &PathBuf)> = run.fakes.iter().collect();
    let n = all.len();
    let mut chosen: Vec<usize> = (0..n.min(MAX_FRAMES))
        .map(|i| {
            if n > 1 {
                i * (n - 1) / (n.min(MAX_FRAMES) - 1).max(1)
            } else {
                0
            }
        })
        .collect();
    chosen.dedup();
    let resolution = run.option(&["training_set_kwargs", "resolution"]).as_u64();
    let mut frames = Vec::new();
    for i in chosen {
        let (kimg, path) = all[i];
        match frame(path, resolution) {
            Ok(jpeg) => frames.push((*kimg, jpeg)),
            // The file may be damaged or still being written. The page works without it.
            Err(error) => tracing::warn!("'{}' is left out: {error:#}", path.display()),
        }
    }
    Ok(Strip {
        name: name.to_owned(),
        color,
        frames,
    })
}

fn frame(path: &Path, resolution: Option<u64>) -> anyhow::Result<Vec<u8>> {
    // The pixel limit for hostile images is lifted, because preview grids can be large and the run folder is the user's
    // own.
    let options = DecodeOptions {
        max_pixels: u64::from(u32::MAX),
        ..DecodeOptions::default()
    };
    const MAX_BYTES: u64 = 1 << 30;
    let bytes = files::read_input(path, MAX_BYTES)?;
    let grid = decode::decode(&bytes, &options)
        .with_context(|| format!("cannot decode '{}'", path.display()))?;
    let grid = DynamicImage::ImageRgb8(grid.image);
    let cell = resolution
        .and_then(|r| u32::try_from(r).ok())
        .filter(|r| *r > 0 && *r <= grid.width());
    let part = match cell {
        Some(cell) => {
            let columns = (grid.width() / cell).min(CELLS.0);
            let rows = (grid.height() / cell).clamp(1, CELLS.1);
            let part = grid.crop_imm(0, 0, columns * cell, rows * cell);
            let side = cell.min(CELL_SIDE);
            part.resize_exact(columns * side, rows * side, FilterType::CatmullRom)
        }
        None => grid.thumbnail(CELLS.0 * CELL_SIDE, CELLS.1 * CELL_SIDE),
    };
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(part.to_rgb8()).write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_read_by_content_and_cut_ones_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fakes000000.jpg");
        let grid = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8, y as u8, 7]));
        grid.save_with_format(&path, ImageFormat::Png).unwrap();
        assert!(frame(&path, Some(8)).is_ok());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = format!("{:#}", frame(&path, Some(8)).unwrap_err());
        assert!(error.contains("ends before"), "{error}");
    }
}
