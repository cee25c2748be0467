//! The dump, which is written as a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::character::Character;
use crate::draw::Draw;
use crate::kind::Kind;
use crate::options::DumpOptions;
use crate::plan::{Broken, Content, Entry, plan};
use crate::style::Style;
use crate::truth::{Truth, path};

/// Random stream ([`Draw::new`]) of the character that all images show when [`DumpOptions::character`] is set; images
/// have other streams.
pub(crate) const CHARACTER_STREAM: u32 = 4_000_000;

/// A dump of illustrations. It is planned when it is created and painted when it is written.
#[derive(Clone, Debug)]
pub struct Dump {
    entries: Vec<Entry>,
    truth: Truth,
}

/// Progress of writing a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of files written so far.
    pub done: usize,
    /// Number of files of the dump.
    pub total: usize,
}

/// Why a dump cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The operating system refused to write.
    #[error("cannot write '{}': {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An image could not be encoded.
    #[error("cannot encode '{}': {source}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The encoder's error.
        source: image::ImageError,
    },
}

impl Dump {
    /// Number of originals in a dump by [`Dump::new`].
    pub const N_WORKS: usize = 240;

    /// The dump of a seed, with [`Dump::N_WORKS`] originals.
    pub fn new(seed: u32) -> Self {
        Self::with_works(seed, Self::N_WORKS)
    }

    /// The dump of a seed, with `n_works` originals; the numbers of the other files grow in proportion.
    pub fn with_works(seed: u32, n_works: usize) -> Self {
        Self::with_options(&DumpOptions {
            seed,
            n_works,
            style: Style::default(),
            character: None,
        })
    }

    /// The dump with the given options.
    pub fn with_options(options: &DumpOptions) -> Self {
        let mut entries = plan(options.seed, options.n_works);
        let who = options
            .character
            .map(|seed| Character::draw(&mut Draw::new(seed, CHARACTER_STREAM)));
        for entry in &mut entries {
            let is_recolored = entry.kind == Kind::Colors;
            let Some(scene) = entry.scene_mut() else {
                continue;
            };
            scene.style = options.style;
            for (figure, who) in scene.people.iter_mut().zip(who.iter().cycle()) {
                let own = figure.who;
                figure.who = *who;
                if is_recolored {
                    (figure.who.hair, figure.who.eyes) = (own.hair, own.eyes);
                }
            }
        }
        let truth = Truth::new(options, &entries);
        Self { entries, truth }
    }

    /// Everything that is known about the files of the dump.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Writes images to `pictures/`, then `posts.jsonl` (tags), `boxes.jsonl` and `boxes.json` (face boxes) and, last,
    /// `truth.json`.
    ///
    /// The same dump gives the same bytes on every machine and with any number of threads. A folder that holds this
    /// dump already is left as it is. `progress` is called after each file, from several threads.
    ///
    /// # Errors
    /// [`DumpError`] naming the file.
    pub fn write_to(
        &self,
        dir: &Path,
        progress: impl Fn(Progress) + Sync,
    ) -> Result<(), DumpError> {
        let total = self.entries.len();
        if self.is_in(dir) {
            progress(Progress { done: total, total });
            return Ok(());
        }
        let written = |path: PathBuf| move |source| DumpError::Write { path, source };
        let images = dir.join("pictures");
        fs::create_dir_all(&images).map_err(written(images))?;
        let done = AtomicUsize::new(0);
        self.entries.par_iter().try_for_each(|entry| {
            let file = dir.join(path(entry));
            let bytes = entry.content.bytes().map_err(|source| DumpError::Encode {
                path: file.clone(),
                source,
            })?;
            fs::write(&file, bytes).map_err(written(file))?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { done, total });
            Ok(())
        })?;
        for (name, text) in [
            ("posts.jsonl", self.truth.posts_jsonl()),
            ("boxes.jsonl", self.truth.boxes_jsonl()),
            ("boxes.json", self.truth.boxes_json()),
            ("truth.json", self.truth_json()),
        ] {
            let file = dir.join(name);
            files::write_bytes(&file, text.as_bytes()).map_err(written(file))?;
        }
        Ok(())
    }

    /// Whether a folder holds this dump completely: the same `truth.json`, which is written last, and every file.
    pub fn is_in(&self, dir: &Path) -> bool {
        fs::read_to_string(dir.join("truth.json")).is_ok_and(|text| text == self.truth_json())
            && self
                .truth
                .files
                .iter()
                .all(|file| dir.join(&file.file).is_file())
    }

    fn truth_json(&self) -> String {
        let text =
            serde_json::to_string_pretty(&self.truth).expect("strings and numbers serialise");
        text + "\n"
    }
}

impl Content {
    fn bytes(&self) -> image::ImageResult<Vec<u8>> {
        match self {
            Self::Image(image) => image.encoding.encode(&image.paint()),
            Self::Flat((width, height), color) => {
                let image = image::RgbImage::from_pixel(*width, *height, image::Rgb(*color));
                crate::encode::Encoding::Png.encode(&image)
            }
            Self::Broken(broken) => broken.bytes(),
        }
    }
}

impl Broken {
    fn bytes(&self) -> image::ImageResult<Vec<u8>> {
        const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
        Ok(match self {
            Self::Truncated(image, share) => {
                let mut bytes = image.encoding.encode(&image.paint())?;
                bytes.truncate((bytes.len() as f32 * share) as usize);
                bytes
            }
            Self::Empty => Vec::new(),
            Self::Text => b"<html><body>404 Not Found</body></html>\n".to_vec(),
            Self::Noise(seed) => {
                let mut draw = Draw::new(*seed, 0);
                let noise = (0..4000).map(|_| draw.below(256) as u8);
                SIGNATURE.into_iter().chain(noise).collect()
            }
            Self::Bomb => {
                // IHDR of 100,000 x 100,000 RGB with its CRC, and an empty IDAT.
                let mut bytes = SIGNATURE.to_vec();
                let mut ihdr = b"IHDR".to_vec();
                ihdr.extend(100_000_u32.to_be_bytes());
                ihdr.extend(100_000_u32.to_be_bytes());
                ihdr.extend([8, 2, 0, 0, 0]);
                for chunk in [&ihdr[..], b"IDAT", b"IEND"] {
                    bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
                    bytes.extend(chunk);
                    bytes.extend(crc32fast::hash(chunk).to_be_bytes());
                }
                bytes
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sha2::{Digest, Sha256};

    use super::*;

    // Digests of what this code draws; they may change only together with the drawings.
    const TRUTH: &str = "9baf53e5ddef58fd47020ebf9d8e2d1afe719df8e6e39eb1176aee4ffe7fc58e";
    const FACES: &str = "5f7e4937ad5b313daec3220755e9c9916df7c9f7e2701aa1e9453e127ac31bbc";

    fn hex(bytes: &[u8]) -> String {
        files::hex(&Sha256::digest(bytes))
    }

    fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in [dir.to_owned(), dir.join("pictures")] {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    files.insert(
                        path.strip_prefix(dir).unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    );
                }
            }
        }
        files
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
        let written = |threads: usize| {
            let folder = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                Dump::with_works(5, 16)
                    .write_to(folder.path(), |_| {})
                    .unwrap()
            });
            contents(folder.path())
        };
        let one = written(1);
        assert_eq!(one, written(3));
        assert_eq!(one.len(), Dump::with_works(5, 16).truth().files.len() + 4);
        let truth = &one[Path::new("truth.json")];
        assert_eq!(hex(truth), TRUTH, "truth.json");
        let pixels: Vec<u8> = (0..4)
            .flat_map(|seed| crate::face(seed, 64).into_raw())
            .collect();
        assert_eq!(hex(&pixels), FACES, "faces");
    }

    #[test]
    fn a_written_dump_is_recognized_and_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let dump = Dump::with_works(1, 2);
        assert!(!dump.is_in(folder.path()));
        let seen = AtomicUsize::new(0);
        let count = |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        };
        dump.write_to(folder.path(), count).unwrap();
        assert_eq!(seen.swap(0, Ordering::Relaxed), dump.entries.len());
        dump.write_to(folder.path(), count).unwrap();
        assert_eq!(seen.swap(0, Ordering::Relaxed), 1);
        fs::remove_file(folder.path().join(&dump.truth.files[0].file)).unwrap();
        assert!(!dump.is_in(folder.path()));
        dump.write_to(folder.path(), count).unwrap();
        assert!(dump.is_in(folder.path()));
        assert!(!Dump::with_works(2, 2).is_in(folder.path()));
    }

    #[test]
    fn a_style_or_one_character_changes_images_and_leaves_boxes() {
        let plain = DumpOptions {
            seed: 3,
            n_works: 4,
            style: Style::Soft,
            character: None,
        };
        let first = |options: &DumpOptions| {
            let dump = Dump::with_options(options);
            let bytes = dump.entries[0].content.bytes().unwrap();
            (bytes, dump.truth.files[0].faces.clone())
        };
        let (bytes, faces) = first(&plain);
        let print = DumpOptions {
            style: Style::Print,
            ..plain.clone()
        };
        let one = DumpOptions {
            character: Some(1),
            ..plain.clone()
        };
        for other in [print, one] {
            assert_ne!(first(&other).0, bytes);
            assert_eq!(first(&other).1, faces);
            assert_ne!(
                Dump::with_options(&other).truth,
                Dump::with_options(&plain).truth
            );
        }
    }

    #[test]
    fn every_kind_is_there_and_every_copy_names_its_original() {
        let dump = Dump::new(0);
        let truth = dump.truth();
        let kinds: BTreeSet<Kind> = truth.files.iter().map(|file| file.kind).collect();
        assert_eq!(kinds.len(), 20);
        let by_name: BTreeMap<&str, _> = truth
            .files
            .iter()
            .map(|file| (file.file.as_str(), file))
            .collect();
        assert_eq!(by_name.len(), truth.files.len());
        for file in &truth.files {
            let is_derived =
                file.kind.is_copy() || file.kind.is_variant() || file.kind.is_monochrome();
            assert_eq!(is_derived, file.source.is_some(), "{file:?}");
            if let Some(source) = &file.source {
                let source = by_name[source.as_str()];
                assert_eq!((source.kind, source.work), (Kind::Work, file.work));
            }
        }
    }

    #[test]
    fn files_are_what_the_truth_says() {
        for entry in &Dump::with_works(9, 20).entries {
            let bytes = entry.content.bytes().unwrap();
            let read = image::load_from_memory(&bytes);
            // Some decoders accept an incomplete JPEG, and limits on allocation differ.
            if matches!(entry.kind, Kind::Bomb | Kind::Truncated) {
                continue;
            }
            if let Content::Image(image) = &entry.content {
                let read = read.unwrap();
                assert_eq!(
                    (read.width(), read.height()),
                    image.size(),
                    "{:?}",
                    entry.kind
                );
            } else {
                assert_eq!(read.is_ok(), entry.kind == Kind::Blank, "{:?}", entry.kind);
            }
        }
    }
}
