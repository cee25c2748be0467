//! Face crops without a dump around them: the images that `drawn64` was trained on.

use std::fs;
use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use rayon::prelude::*;

use crate::draw::Draw;
use crate::dump::DumpError;
use crate::encode::Encoding;
use crate::scene::Scene;

/// Streams of works and of odd files lie below.
const FIRST_STREAM: u32 = 3_000_000;

/// Thin lines are painted this many times larger, then averaged.
const SUPERSAMPLING: u32 = 4;

/// Face crop `index` of a seed: head and shoulders of one character before a plain background, `size` x `size` pixels.
///
/// # Panics
/// When `size` is 0.
pub fn face_crop(seed: u32, index: u32, size: u32) -> RgbImage {
    let mut draw = Draw::new(seed, FIRST_STREAM + index);
    let mut scene = Scene::portrait(size * SUPERSAMPLING, &mut draw);
    scene.background = draw.pick(&["white_background", "gradient_background"]);
    resize(&scene.paint(), size, size, FilterType::Triangle)
}

/// Writes `n` face crops as PNG files of `size` x `size` pixels, in subfolders of 1000. `progress` is called once for
/// each, from several threads.
///
/// # Errors
/// [`DumpError`] naming the file.
///
/// # Panics
/// When `size` is 0.
pub fn write_face_crops(
    dir: &Path,
    seed: u32,
    n: u32,
    size: u32,
    progress: impl Fn() + Sync,
) -> Result<(), DumpError> {
    let written = |path| move |source| DumpError::Write { path, source };
    for folder in 0..n.div_ceil(1000) {
        let folder = dir.join(format!("{folder:05}"));
        fs::create_dir_all(&folder).map_err(written(folder))?;
    }
    (0..n).into_par_iter().try_for_each(|index| {
        let file = dir.join(format!("{:05}/face{index:08}.png", index / 1000));
        let bytes = Encoding::Png.encode(&face_crop(seed, index, size));
        let bytes = bytes.map_err(|source| DumpError::Encode {
            path: file.clone(),
            source,
        })?;
        fs::write(&file, bytes).map_err(written(file))?;
        progress();
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_differ_by_index_and_seed_and_are_written_as_drawn() {
        let folder = tempfile::tempdir().unwrap();
        write_face_crops(folder.path(), 1, 2, 16, || {}).unwrap();
        let read = |index: u32| {
            let file = folder.path().join(format!("00000/face{index:08}.png"));
            image::open(file).unwrap().into_rgb8()
        };
        assert_eq!(read(0), face_crop(1, 0, 16));
        assert_eq!(read(1), face_crop(1, 1, 16));
        assert_ne!(read(0), read(1));
        assert_ne!(read(0), face_crop(2, 0, 16));
    }
}
