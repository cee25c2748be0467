//! Folders of images for training; an image is decoded when it is first drawn at random and then kept in memory.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use detector_evaluation::{Truth, load_truth};
use image::RgbImage;
use image::imageops::{FilterType, resize};
use rng::RandomState;

use crate::canvas::Pyramid;

/// A decoded image and its labels; all boxes are in its pixels.
pub struct Item {
    pub image: Pyramid,
    pub truth: Truth,
    /// Boxes that a trained detector took for faces by mistake.
    pub mistaken: Vec<[f32; 4]>,
}

/// An image file; `item` is empty until it is first drawn, and `None` when it cannot be decoded.
struct Entry {
    path: PathBuf,
    longest_side: u32,
    label: Label,
    item: OnceLock<Option<Item>>,
}

enum Label {
    /// One face, at these shares `[left, top, right, bottom]` of the image's width and height.
    Shares([f32; 4]),
    /// Faces and regions to ignore, and boxes that were mistaken for faces, in pixels of the file.
    Known(Truth, Vec<[f32; 4]>),
}

/// A collection of images from which one is drawn at random.
#[derive(Default)]
pub struct Source {
    entries: Vec<Entry>,
}

impl Source {
    /// Adds the face crops of a folder, shrunk to `longest_side`; the face is at the same `shares`
    /// `[left, top, right, bottom]` of width and height in all of them.
    pub fn add_crops(&mut self, dir: &Path, shares: [f32; 4], longest_side: u32) -> Result<()> {
        for name in image_files(dir)? {
            self.add(dir.join(name), Label::Shares(shares), longest_side);
        }
        Ok(())
    }

    /// Adds the images of a folder that the file `labels` lists, shrunk to `longest_side`.
    ///
    /// `labels` and `mistakes` (false detections) are files in the format of `boxes.json`.
    pub fn add_images(
        &mut self,
        dir: &Path,
        labels: &Path,
        mistakes: Option<&Path>,
        longest_side: u32,
    ) -> Result<()> {
        let mut mistakes = mistakes.map(load_truth).transpose()?.unwrap_or_default();
        for (name, truth) in load_truth(labels)? {
            let mistaken = mistakes.remove(&name).unwrap_or_default().faces;
            self.add(dir.join(name), Label::Known(truth, mistaken), longest_side);
        }
        Ok(())
    }

    /// Adds the images of a folder, none of which has a face, shrunk to `longest_side`.
    pub fn add_backgrounds(&mut self, dir: &Path, longest_side: u32) -> Result<()> {
        for name in image_files(dir)? {
            let label = Label::Known(Truth::default(), Vec::new());
            self.add(dir.join(name), label, longest_side);
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, label: Label, longest_side: u32) {
        self.entries.push(Entry {
            path,
            longest_side,
            label,
            item: OnceLock::new(),
        });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A random image. `None` when the collection is empty, or when 20 images in a row cannot be decoded.
    pub fn draw(&self, random: &mut RandomState) -> Option<&Item> {
        for _ in 0..20 {
            if self.entries.is_empty() {
                break;
            }
            let entry = &self.entries[random.index(self.entries.len())];
            if let Some(item) = entry.item.get_or_init(|| entry.load().ok()) {
                return Some(item);
            }
        }
        None
    }
}

impl Entry {
    fn load(&self) -> Result<Item> {
        let (image, ratio) = shrunk(read_image(&self.path)?, self.longest_side);
        let scaled = |rects: &[[f32; 4]]| rects.iter().map(|r| r.map(|v| v * ratio)).collect();
        let (w, h) = (image.width() as f32, image.height() as f32);
        let (faces, ignore, mistaken) = match &self.label {
            Label::Shares([x0, y0, x1, y1]) => {
                let face = [x0 * w, y0 * h, x1 * w, y1 * h];
                (vec![face], Vec::new(), Vec::new())
            }
            Label::Known(truth, mistaken) => (
                scaled(&truth.faces),
                scaled(&truth.ignore),
                scaled(mistaken),
            ),
        };
        let truth = Truth {
            width: image.width(),
            height: image.height(),
            faces,
            ignore,
        };
        Ok(Item {
            image: Pyramid::new(image),
            truth,
            mistaken,
        })
    }
}

/// The JPEG, PNG and WebP files of a folder and its subfolders, as sorted paths relative to it; an error when there are
/// none.
pub fn image_files(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(dir.join(&folder))
            .with_context(|| format!("cannot read {}", dir.join(&folder).display()))?;
        for entry in entries {
            let entry = entry?;
            let name = folder.join(entry.file_name());
            let is_image = name.extension().and_then(|e| e.to_str()).is_some_and(|e| {
                ["jpg", "jpeg", "png", "webp"].contains(&e.to_ascii_lowercase().as_str())
            });
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else if is_image {
                names.extend(name.to_str().map(str::to_owned));
            }
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("no images in {}", dir.display());
    }
    Ok(names)
}

/// Reads an image file; transparent pixels are blended with white.
pub fn read_image(path: &Path) -> Result<RgbImage> {
    decode(&read(path)?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
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

/// The image shrunk so that its longest side is at most `longest_side`, and the ratio of the new size to the old one.
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
