//! Folders of training material, kept encoded in memory and decoded when drawn.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use detect::evaluation::{Truth, load_truth};
use image::RgbImage;
use image::imageops::{FilterType, resize};
use rng::RandomState;

/// A picture and the faces in it.
struct Item {
    picture: Stored,
    truth: Truth,
}

enum Stored {
    /// Small pictures: decoded each time.
    Encoded(Vec<u8>),
    Decoded(RgbImage),
}

/// Pictures that are drawn at random.
#[derive(Default)]
pub struct Source {
    items: Vec<Item>,
}

impl Source {
    /// Adds the crops of a folder, each with its face at the same `shares` of its sides.
    pub fn add_crops(&mut self, dir: &Path, shares: [f32; 4]) -> Result<()> {
        for name in picture_files(dir)? {
            let bytes = read(&dir.join(&name))?;
            let Ok((width, height)) = dimensions(&bytes) else {
                continue;
            };
            let [x0, y0, x1, y1] = shares;
            let (w, h) = (width as f32, height as f32);
            let truth = Truth {
                width,
                height,
                faces: vec![[x0 * w, y0 * h, x1 * w, y1 * h]],
                ignore: Vec::new(),
            };
            let picture = Stored::Encoded(bytes);
            self.items.push(Item { picture, truth });
        }
        Ok(())
    }

    /// Adds the labelled pictures of a folder, shrunk to `longest_side`.
    pub fn add_pictures(&mut self, dir: &Path, labels: &Path, longest_side: u32) -> Result<()> {
        for (name, mut truth) in load_truth(labels)? {
            let Ok(image) = read_picture(&dir.join(&name)) else {
                continue;
            };
            let (image, ratio) = shrunk(image, longest_side);
            for value in truth.faces.iter_mut().chain(&mut truth.ignore).flatten() {
                *value *= ratio;
            }
            (truth.width, truth.height) = image.dimensions();
            let picture = Stored::Decoded(image);
            self.items.push(Item { picture, truth });
        }
        Ok(())
    }

    /// Adds the pictures of a folder that hold no faces, shrunk to `longest_side`.
    pub fn add_backgrounds(&mut self, dir: &Path, longest_side: u32) -> Result<()> {
        for name in picture_files(dir)? {
            let Ok(image) = read_picture(&dir.join(&name)) else {
                continue;
            };
            let (image, _) = shrunk(image, longest_side);
            let truth = Truth {
                width: image.width(),
                height: image.height(),
                ..Truth::default()
            };
            let picture = Stored::Decoded(image);
            self.items.push(Item { picture, truth });
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// A picture that can be decoded, or `None` when there is none.
    pub fn draw(&self, random: &mut RandomState) -> Option<(Cow<'_, RgbImage>, &Truth)> {
        for _ in 0..20 {
            if self.items.is_empty() {
                break;
            }
            let item = &self.items[random.index(self.items.len())];
            match &item.picture {
                Stored::Decoded(image) => return Some((Cow::Borrowed(image), &item.truth)),
                Stored::Encoded(bytes) => {
                    if let Ok(image) = decode(bytes) {
                        return Some((Cow::Owned(image), &item.truth));
                    }
                }
            }
        }
        None
    }
}

/// The pictures of a folder and its subfolders, as sorted names relative to it.
pub fn picture_files(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(dir.join(&folder))
            .with_context(|| format!("cannot read {}", dir.join(&folder).display()))?;
        for entry in entries {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            let is_picture = name.extension().and_then(|e| e.to_str()).is_some_and(|e| {
                ["jpg", "jpeg", "png", "webp"].contains(&e.to_ascii_lowercase().as_str())
            });
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else if is_picture {
                names.extend(name.to_str().map(str::to_owned));
            }
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("no pictures in {}", dir.display());
    }
    Ok(names)
}

/// Reads a picture; transparent ground becomes white.
pub fn read_picture(path: &Path) -> Result<RgbImage> {
    decode(&read(path)?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn dimensions(bytes: &[u8]) -> Result<(u32, u32)> {
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
    Ok(reader.into_dimensions()?)
}

fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let image = image::load_from_memory(bytes)?;
    if !image.color().has_alpha() {
        return Ok(image.into_rgb8());
    }
    let image = image.into_rgba8();
    Ok(RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, a] = image.get_pixel(x, y).0.map(u32::from);
        let on_white = |value| ((value * a + 255 * (255 - a)) / 255) as u8;
        image::Rgb([on_white(r), on_white(g), on_white(b)])
    }))
}

/// Brings the longest side down; also returns new pixels for an old one.
fn shrunk(image: RgbImage, longest_side: u32) -> (RgbImage, f32) {
    let longest = image.width().max(image.height());
    if longest <= longest_side {
        return (image, 1.0);
    }
    let ratio = f64::from(longest_side) / f64::from(longest);
    let side = |length: u32| ((f64::from(length) * ratio).round() as u32).max(1);
    let (width, height) = (side(image.width()), side(image.height()));
    (
        resize(&image, width, height, FilterType::Triangle),
        ratio as f32,
    )
}
