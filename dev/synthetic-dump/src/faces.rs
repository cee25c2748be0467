//! Single face crops: those on which the network `drawn64` was trained, and those of `cargo xtask study`.

use std::fs;
use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use rayon::prelude::*;

use crate::character::Character;
use crate::draw::Draw;
use crate::dump::{CHARACTER_STREAM, DumpError};
use crate::encode::Encoding;
use crate::scene::Scene;
use crate::style::Style;

/// Random stream ([`Draw::new`]) of the first face crop; the streams of works and of odd files are below.
const FIRST_STREAM: u32 = 3_000_000;

/// Crops are painted this many times larger and then averaged, for the sake of thin lines.
const SUPERSAMPLING: u32 = 4;

/// A series of face crops, which differ only by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaceCrops {
    /// Seed of all random choices.
    pub seed: u32,
    /// Side of a crop in pixels, at least 1.
    pub size: u32,
    /// The drawing style.
    pub style: Style,
    /// Seed of one character that all crops show; `None` for different characters.
    pub character: Option<u32>,
}

impl FaceCrops {
    /// Crop number `index`: head and shoulders of one character in front of a plain background, `size` x `size` pixels.
    pub fn crop(&self, index: u32) -> RgbImage {
        let mut draw = Draw::new(self.seed, FIRST_STREAM + index);
        let mut scene = Scene::portrait(self.size * SUPERSAMPLING, &mut draw);
        scene.background = draw.pick(&["white_background", "gradient_background"]);
        scene.style = self.style;
        if let Some(seed) = self.character {
            let who = Character::draw(&mut Draw::new(seed, CHARACTER_STREAM));
            scene.people.iter_mut().for_each(|figure| figure.who = who);
        }
        resize(&scene.paint(), self.size, self.size, FilterType::Triangle)
    }

    /// Writes the first `n` crops as PNG files, in subfolders of 1000 files. `progress` is called once for each file,
    /// from several threads.
    ///
    /// # Errors
    /// [`DumpError`] naming the file.
    pub fn write_to(
        &self,
        dir: &Path,
        n: u32,
        progress: impl Fn() + Sync,
    ) -> Result<(), DumpError> {
        let written = |path| move |source| DumpError::Write { path, source };
        for folder in 0..n.div_ceil(1000) {
            let folder = dir.join(format!("{folder:05}"));
            fs::create_dir_all(&folder).map_err(written(folder))?;
        }
        (0..n).into_par_iter().try_for_each(|index| {
            let file = dir.join(format!("{:05}/face{index:08}.png", index / 1000));
            let bytes = Encoding::Png.encode(&self.crop(index));
            let bytes = bytes.map_err(|source| DumpError::Encode {
                path: file.clone(),
                source,
            })?;
            fs::write(&file, bytes).map_err(written(file))?;
            progress();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_differ_by_index_seed_and_style_and_are_written_as_drawn() {
        let crops = FaceCrops {
            seed: 1,
            size: 16,
            style: Style::Soft,
            character: None,
        };
        let folder = tempfile::tempdir().unwrap();
        crops.write_to(folder.path(), 2, || {}).unwrap();
        let read = |index: u32| {
            let file = folder.path().join(format!("00000/face{index:08}.png"));
            image::open(file).unwrap().into_rgb8()
        };
        assert_eq!(read(0), crops.crop(0));
        assert_eq!(read(1), crops.crop(1));
        assert_ne!(read(0), read(1));
        let others = [
            FaceCrops {
                seed: 2,
                ..crops.clone()
            },
            FaceCrops {
                style: Style::Print,
                ..crops.clone()
            },
            FaceCrops {
                character: Some(3),
                ..crops
            },
        ];
        for other in others {
            assert_ne!(other.crop(0), read(0), "{other:?}");
        }
    }
}
