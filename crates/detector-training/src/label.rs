//! Boxes from a teacher that looks more than once: what it sees nearly every time is a face, else ignored.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use detect::evaluation::Truth;
use detect::{DetectOptions, Detector, Face, Picture, intersection_over_union};
use image::RgbImage;
use image::imageops::flip_horizontal;

use crate::args::LabelArgs;
use crate::sources::{picture_files, read_picture};

/// Below this nothing is seen.
const DOUBTFUL: f32 = 0.2;
/// Longest sides at which whole pictures are shown, and whether mirrored.
const LOOKS: [(u32, bool); 4] = [(1024, false), (640, false), (1024, true), (1440, false)];
/// A face in a whole picture must be seen in this many looks.
const MIN_LOOKS: usize = 3;
const SAME: f32 = 0.45;

/// Labels a folder of whole pictures.
pub fn pictures(args: &LabelArgs) -> Result<()> {
    let teacher = args.teacher.load()?;
    let files = listed(args)?;
    let mut labels = BTreeMap::new();
    for name in &files {
        let image = match read_picture(&args.dir.join(name)) {
            Ok(image) => image,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                continue;
            }
        };
        let mut looks = Vec::new();
        for (longest_side, is_mirrored) in LOOKS {
            let shown = if is_mirrored {
                &flip_horizontal(&image)
            } else {
                &image
            };
            let mut faces = see(&*teacher, shown, name, longest_side)?;
            if is_mirrored {
                let width = image.width() as f32;
                for Face { rect, .. } in &mut faces {
                    (rect[0], rect[2]) = (width - rect[2], width - rect[0]);
                }
            }
            looks.push(faces);
        }
        labels.insert(name.clone(), agreed(&image, &looks));
    }
    let count = |of: fn(&Truth) -> usize| labels.values().map(of).sum::<usize>();
    eprintln!(
        "{} pictures, {} faces, {} ignored",
        labels.len(),
        count(|truth| truth.faces.len()),
        count(|truth| truth.ignore.len())
    );
    write(&args.out, &labels)
}

fn listed(args: &LabelArgs) -> Result<Vec<String>> {
    let mut files = picture_files(&args.dir)?;
    files.retain(|name| !args.skip.iter().any(|part| name.contains(part.as_str())));
    Ok(files)
}

fn write(path: &Path, labels: &BTreeMap<String, Truth>) -> Result<()> {
    let text = serde_json::to_vec(labels)?;
    files::write_bytes(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

fn see(
    teacher: &dyn Detector,
    image: &RgbImage,
    name: &str,
    longest_side: u32,
) -> Result<Vec<Face>> {
    let options = DetectOptions {
        threshold: Some(DOUBTFUL),
        min_face: 0.0,
        longest_side: Some(longest_side),
        ..DetectOptions::default()
    };
    Ok(teacher.detect(&Picture { image, name }, &options)?)
}

/// Faces that enough looks found; those that fewer found are ignored.
fn agreed(image: &RgbImage, looks: &[Vec<Face>]) -> Truth {
    let mut left: Vec<(usize, &Face)> = looks
        .iter()
        .enumerate()
        .flat_map(|(look, faces)| faces.iter().map(move |face| (look, face)))
        .collect();
    left.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut truth = Truth {
        width: image.width(),
        height: image.height(),
        ..Truth::default()
    };
    while let Some(&(_, seed)) = left.first() {
        let (same, other): (Vec<_>, Vec<_>) = left
            .iter()
            .partition(|(_, face)| intersection_over_union(&seed.rect, &face.rect) > SAME);
        left = other;
        let mut looks: Vec<usize> = same.iter().map(|(look, _)| *look).collect();
        looks.dedup();
        looks.sort();
        looks.dedup();
        let faces: Vec<&Face> = same.iter().map(|(_, face)| *face).collect();
        if looks.len() >= MIN_LOOKS && seed.score > 0.6 {
            truth.faces.push(mean(&faces));
        } else {
            truth.ignore.push(seed.rect);
        }
    }
    truth
}

fn mean(faces: &[&Face]) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for face in faces {
        for (sum, value) in sum.iter_mut().zip(face.rect) {
            *sum += value / faces.len() as f32;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, score: f32) -> Face {
        Face {
            rect: [x, 30.0, x + 40.0, 70.0],
            score,
        }
    }

    #[test]
    fn looks_must_agree() {
        let image = RgbImage::new(100, 100);
        let looks = vec![
            vec![face(30.0, 0.9), face(0.0, 0.9)],
            vec![face(31.0, 0.8)],
            vec![face(32.0, 0.7)],
            vec![],
        ];
        let truth = agreed(&image, &looks);
        assert_eq!(truth.faces, [[31.0, 30.0, 71.0, 70.0]]);
        assert_eq!(truth.ignore, [[0.0, 30.0, 40.0, 70.0]]);
    }
}
