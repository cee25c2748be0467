//! Boxes from a teacher that looks more than once: what it sees nearly every time is a face, else ignored. And places
//! that a trained detector takes for faces though they are none.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use detect::embedded::EmbeddedDetector;
use detect::{DetectOptions, Detector, Face, NamedImage, intersection_over_union};
use detector_evaluation::{Truth, load_truth};
use image::RgbImage;
use image::imageops::flip_horizontal;

use crate::args::LabelArgs;
use crate::material::covered;
use crate::sources::{image_files, read_image};

/// Below this nothing is seen.
const DOUBTFUL: f32 = 0.2;
/// Longest sides at which whole images are shown, and whether mirrored.
const LOOKS: [(u32, bool); 4] = [(1024, false), (640, false), (1024, true), (1440, false)];
/// The longest side at which a witness looks, and how many looks of the teacher its word is worth.
const WITNESS_SIDE: u32 = 768;
const WITNESS_WORTH: usize = 2;
/// The longest side at which a student looks, and the score from which its word counts as a witness's.
const STUDENT_SIDE: u32 = 1024;
const STUDENT_SURE: f32 = 0.4;
/// What a student scores above this supports others who saw it.
const STUDENT_UNSURE: f32 = 0.15;
/// Where a student was asked, a place that looks of less worth saw is no face; without one, any sighting is a doubt.
const MIN_DOUBT: usize = 2;
/// A face in a whole image must be seen in looks worth this much.
const MIN_WORTH: usize = 3;
/// The teacher alone must be this sure once.
const SURE: f32 = 0.6;
const SAME: f32 = 0.45;
/// A doubtful box with this share of itself in a face is no other face.
const INSIDE: f32 = 0.6;
/// What overlaps a face or a doubtful place by this much is no mistake.
const NEAR_FACE: f32 = 0.2;

/// Labels a folder of whole images.
pub fn images(args: &LabelArgs) -> Result<()> {
    let teacher = args.teacher.load()?;
    let witnesses: Vec<_> = args
        .witness
        .iter()
        .map(|spec| spec.load())
        .collect::<Result<_, _>>()?;
    let student = args.student.as_deref().map(weights).transpose()?;
    let files = listed(args)?;
    let mut labels = BTreeMap::new();
    for name in &files {
        let image = match read_image(&args.dir.join(name)) {
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
            let mut faces = see(&*teacher, shown, name, longest_side, Some(DOUBTFUL))?;
            if is_mirrored {
                let width = image.width() as f32;
                for Face { rect, .. } in &mut faces {
                    (rect[0], rect[2]) = (width - rect[2], width - rect[0]);
                }
            }
            for Face { rect, .. } in &mut faces {
                *rect = part(rect, &args.part);
            }
            looks.push(Look {
                worth: 1,
                is_teacher: true,
                faces,
            });
        }
        for witness in &witnesses {
            let faces = see(&**witness, &image, name, WITNESS_SIDE, None)?;
            looks.push(Look::of_witness(WITNESS_WORTH, faces));
        }
        let mut min_doubt = 1;
        if let Some(student) = &student {
            let faces = see(student, &image, name, STUDENT_SIDE, Some(STUDENT_UNSURE))?;
            let (sure, unsure) = faces.into_iter().partition(|f| f.score >= STUDENT_SURE);
            looks.push(Look::of_witness(WITNESS_WORTH, sure));
            looks.push(Look::of_witness(1, unsure));
            min_doubt = MIN_DOUBT;
        }
        labels.insert(name.clone(), agreed(&image, &looks, min_doubt));
    }
    let count = |of: fn(&Truth) -> usize| labels.values().map(of).sum::<usize>();
    eprintln!(
        "{} images, {} faces, {} ignored",
        labels.len(),
        count(|truth| truth.faces.len()),
        count(|truth| truth.ignore.len())
    );
    write(&args.out, &labels)
}

fn weights(path: &Path) -> Result<EmbeddedDetector> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    EmbeddedDetector::from_safetensors(&bytes).with_context(|| format!("{}", path.display()))
}

fn listed(args: &LabelArgs) -> Result<Vec<String>> {
    let mut files = image_files(&args.dir)?;
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
    threshold: Option<f32>,
) -> Result<Vec<Face>> {
    let options = DetectOptions {
        threshold,
        min_face: 0.0,
        longest_side: Some(longest_side),
        ..DetectOptions::default()
    };
    Ok(teacher.detect(&NamedImage { image, name }, &options)?)
}

/// What one detector saw at one size of an image.
struct Look {
    worth: usize,
    is_teacher: bool,
    faces: Vec<Face>,
}

impl Look {
    fn of_witness(worth: usize, faces: Vec<Face>) -> Self {
        Self {
            worth,
            is_teacher: false,
            faces,
        }
    }
}

/// Faces that looks of enough worth found; those that fewer found, but at least `min_doubt`, are ignored. Boxes are the
/// mean of the teacher's.
fn agreed(image: &RgbImage, looks: &[Look], min_doubt: usize) -> Truth {
    let mut left: Vec<(usize, &Face)> = looks
        .iter()
        .enumerate()
        .flat_map(|(look, of)| of.faces.iter().map(move |face| (look, face)))
        .collect();
    // The teacher's boxes first: the others are matched to them.
    left.sort_by(|a, b| {
        let is_other = |look: usize| !looks[look].is_teacher;
        is_other(a.0)
            .cmp(&is_other(b.0))
            .then(b.1.score.total_cmp(&a.1.score))
    });
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
        let mut seen: Vec<usize> = same.iter().map(|(look, _)| *look).collect();
        seen.sort();
        seen.dedup();
        let worth: usize = seen.iter().map(|&look| looks[look].worth).sum();
        let is_witnessed = worth > seen.len();
        let of_teacher = |(look, _): &&(usize, &Face)| looks[*look].is_teacher;
        let mut faces: Vec<&Face> = same.iter().filter(of_teacher).map(|(_, f)| *f).collect();
        if faces.is_empty() {
            faces = same.iter().map(|(_, face)| *face).collect();
        }
        if worth >= MIN_WORTH && (is_witnessed || seed.score > SURE) {
            truth.faces.push(mean(&faces));
        } else if worth >= min_doubt {
            truth.ignore.push(seed.rect);
        }
    }
    let faces = &truth.faces;
    truth
        .ignore
        .retain(|rect| faces.iter().all(|face| covered(rect, face) <= INSIDE));
    truth
}

/// Writes the places that weights take for faces and that are none, largest score first, as `boxes.json`.
pub fn mistakes(
    weights: &Path,
    dir: &Path,
    labels: &Path,
    out: &Path,
    longest_side: u32,
    threshold: f32,
) -> Result<()> {
    let detector = self::weights(weights)?;
    let mut found = BTreeMap::new();
    for (name, truth) in load_truth(labels)? {
        let image = read_image(&dir.join(&name))?;
        let mut faces = see(&detector, &image, &name, longest_side, Some(threshold))?;
        let known: Vec<_> = truth.faces.iter().chain(&truth.ignore).collect();
        faces.retain(|face| {
            known
                .iter()
                .all(|rect| intersection_over_union(rect, &face.rect) < NEAR_FACE)
        });
        let mistaken = Truth {
            width: truth.width,
            height: truth.height,
            faces: faces.iter().map(|face| face.rect).collect(),
            ignore: Vec::new(),
        };
        found.insert(name, mistaken);
    }
    let n: usize = found.values().map(|truth| truth.faces.len()).sum();
    eprintln!("{n} mistakes in {} images", found.len());
    write(out, &found)
}

/// The part of a box from `shares` of its sides.
fn part([x0, y0, x1, y1]: &[f32; 4], shares: &[f32; 4]) -> [f32; 4] {
    let (width, height) = (x1 - x0, y1 - y0);
    [
        x0 + shares[0] * width,
        y0 + shares[1] * height,
        x0 + shares[2] * width,
        y0 + shares[3] * height,
    ]
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
        let within = Face {
            rect: [50.0, 30.0, 80.0, 70.0],
            score: 0.3,
        };
        let teacher = |faces| Look {
            worth: 1,
            is_teacher: true,
            faces,
        };
        let mut looks = vec![
            teacher(vec![face(30.0, 0.9), face(0.0, 0.9), within]),
            teacher(vec![face(31.0, 0.8)]),
            teacher(vec![face(32.0, 0.7)]),
            teacher(vec![]),
        ];
        let truth = agreed(&image, &looks, 1);
        assert_eq!(truth.faces, [[31.0, 30.0, 71.0, 70.0]]);
        assert_eq!(truth.ignore, [[0.0, 30.0, 40.0, 70.0]]);
        // Where a student was asked and saw nothing, one look is no doubt; what it is unsure of is one.
        assert_eq!(agreed(&image, &looks, MIN_DOUBT).ignore, [[0.0; 4]; 0]);
        looks.push(Look::of_witness(1, vec![face(0.0, 0.2)]));
        let truth = agreed(&image, &looks, MIN_DOUBT);
        assert_eq!(truth.ignore, [[0.0, 30.0, 40.0, 70.0]]);
        looks.pop();
        // A witness makes up for two looks, and is not believed alone.
        looks.push(Look::of_witness(2, vec![face(1.0, 0.5), face(60.0, 0.5)]));
        let truth = agreed(&image, &looks, 1);
        assert_eq!(
            truth.faces,
            [[31.0, 30.0, 71.0, 70.0], [0.0, 30.0, 40.0, 70.0]]
        );
        assert_eq!(truth.ignore, [[60.0, 30.0, 100.0, 70.0]]);
    }
}
