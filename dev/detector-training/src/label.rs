//! Writes pseudo-labels: several detectors vote on the faces of an image. Candidates with enough votes are faces, the
//! others regions to ignore.
//!
//! Also writes the false detections of a trained model on labeled images.

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

/// Score threshold of the teacher's detections.
const MIN_SCORE: f32 = 0.2;
/// The four images on which the teacher votes: longest side in pixels, and whether the image is mirrored.
const TEACHER_SCALES: [(u32, bool); 4] = [(1024, false), (640, false), (1024, true), (1440, false)];
/// Longest side of the image for a pseudo-labeler, and the number of its votes; each scale of the teacher has one vote.
const LABELER_SIDE: u32 = 768;
const LABELER_VOTES: usize = 2;
/// Longest side of the image for the trained model, and the score from which it has as many votes as a pseudo-labeler.
const MODEL_SIDE: u32 = 1024;
const MODEL_SCORE: f32 = 0.4;
/// Score from which the trained model has one vote.
const MODEL_MIN_SCORE: f32 = 0.15;
/// Smallest number of votes for a region to ignore if a trained model votes; otherwise one vote is enough.
const MIN_IGNORE_VOTES: usize = 2;
/// Smallest number of votes for a face.
const MIN_VOTES: usize = 3;
/// Smallest score of a face for which only the teacher voted.
const MIN_TEACHER_SCORE: f32 = 0.6;
/// Boxes whose IoU exceeds this are the same candidate.
const SAME: f32 = 0.45;
/// A region to ignore is dropped when more than this share of its area is inside a face.
const INSIDE: f32 = 0.6;
/// Smallest IoU with a face or a region to ignore at which a detection is not counted as false.
const NEAR_FACE: f32 = 0.2;

/// Labels a folder of whole images and writes the result to `args.out`.
pub fn images(args: &LabelArgs) -> Result<()> {
    let teacher = args.teacher.load()?;
    let labelers: Vec<_> = args
        .pseudo_labelers
        .iter()
        .map(|spec| spec.load())
        .collect::<Result<_, _>>()?;
    let model = args.model.as_deref().map(weights).transpose()?;
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
        let mut ballots = Vec::new();
        for (longest_side, is_mirrored) in TEACHER_SCALES {
            let shown = if is_mirrored {
                &flip_horizontal(&image)
            } else {
                &image
            };
            let mut faces = detect(&*teacher, shown, name, longest_side, Some(MIN_SCORE))?;
            if is_mirrored {
                let width = image.width() as f32;
                for Face { rect, .. } in &mut faces {
                    (rect[0], rect[2]) = (width - rect[2], width - rect[0]);
                }
            }
            for Face { rect, .. } in &mut faces {
                *rect = part(rect, &args.part);
            }
            ballots.push(Ballot {
                votes: 1,
                is_teacher: true,
                faces,
            });
        }
        for labeler in &labelers {
            let faces = detect(&**labeler, &image, name, LABELER_SIDE, None)?;
            ballots.push(Ballot::of_labeler(LABELER_VOTES, faces));
        }
        let mut min_ignore_votes = 1;
        if let Some(model) = &model {
            let faces = detect(model, &image, name, MODEL_SIDE, Some(MODEL_MIN_SCORE))?;
            let (confident, others) = faces.into_iter().partition(|f| f.score >= MODEL_SCORE);
            ballots.push(Ballot::of_labeler(LABELER_VOTES, confident));
            ballots.push(Ballot::of_labeler(1, others));
            min_ignore_votes = MIN_IGNORE_VOTES;
        }
        labels.insert(name.clone(), agreed(&image, &ballots, min_ignore_votes));
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

fn detect(
    detector: &dyn Detector,
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
    Ok(detector.detect(&NamedImage { image, name }, &options)?)
}

/// The detections of one detector on one scale of an image, and the number of votes that each has.
struct Ballot {
    votes: usize,
    is_teacher: bool,
    faces: Vec<Face>,
}

impl Ballot {
    fn of_labeler(votes: usize, faces: Vec<Face>) -> Self {
        Self {
            votes,
            is_teacher: false,
            faces,
        }
    }
}

/// The labels that result from the votes.
///
/// Candidates with at least [`MIN_VOTES`] are faces; their boxes are the means of the teacher's boxes. Candidates with
/// fewer votes, but at least `min_ignore_votes`, become regions to ignore.
fn agreed(image: &RgbImage, ballots: &[Ballot], min_ignore_votes: usize) -> Truth {
    let mut left: Vec<(usize, &Face)> = ballots
        .iter()
        .enumerate()
        .flat_map(|(ballot, of)| of.faces.iter().map(move |face| (ballot, face)))
        .collect();
    // The teacher's boxes first, so that the others are matched with them.
    left.sort_by(|a, b| {
        let is_other = |ballot: usize| !ballots[ballot].is_teacher;
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
        let mut voters: Vec<usize> = same.iter().map(|(ballot, _)| *ballot).collect();
        voters.sort();
        voters.dedup();
        let votes: usize = voters.iter().map(|&ballot| ballots[ballot].votes).sum();
        let is_confirmed = votes > voters.len();
        let of_teacher = |(ballot, _): &&(usize, &Face)| ballots[*ballot].is_teacher;
        let mut faces: Vec<&Face> = same.iter().filter(of_teacher).map(|(_, f)| *f).collect();
        if faces.is_empty() {
            faces = same.iter().map(|(_, face)| *face).collect();
        }
        if votes >= MIN_VOTES && (is_confirmed || seed.score > MIN_TEACHER_SCORE) {
            truth.faces.push(mean(&faces));
        } else if votes >= min_ignore_votes {
            truth.ignore.push(seed.rect);
        }
    }
    let faces = &truth.faces;
    truth
        .ignore
        .retain(|rect| faces.iter().all(|face| covered(rect, face) <= INSIDE));
    truth
}

/// Writes the false detections of a model on labeled images, best score first, in the format of `boxes.json`.
///
/// A detection is false when it is near no face and no region to ignore of `labels`.
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
        let mut faces = detect(&detector, &image, &name, longest_side, Some(threshold))?;
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

/// The part of a box that is given by `shares` `[left, top, right, bottom]` of its width and height.
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
    fn detectors_must_agree() {
        let image = RgbImage::new(100, 100);
        let within = Face {
            rect: [50.0, 30.0, 80.0, 70.0],
            score: 0.3,
        };
        let teacher = |faces| Ballot {
            votes: 1,
            is_teacher: true,
            faces,
        };
        let mut ballots = vec![
            teacher(vec![face(30.0, 0.9), face(0.0, 0.9), within]),
            teacher(vec![face(31.0, 0.8)]),
            teacher(vec![face(32.0, 0.7)]),
            teacher(vec![]),
        ];
        let truth = agreed(&image, &ballots, 1);
        assert_eq!(truth.faces, [[31.0, 30.0, 71.0, 70.0]]);
        assert_eq!(truth.ignore, [[0.0, 30.0, 40.0, 70.0]]);
        // If a trained model votes and finds nothing, one vote is not enough to ignore a region; with its vote it is.
        assert_eq!(
            agreed(&image, &ballots, MIN_IGNORE_VOTES).ignore,
            [[0.0; 4]; 0]
        );
        ballots.push(Ballot::of_labeler(1, vec![face(0.0, 0.2)]));
        let truth = agreed(&image, &ballots, MIN_IGNORE_VOTES);
        assert_eq!(truth.ignore, [[0.0, 30.0, 40.0, 70.0]]);
        ballots.pop();
        // A pseudo-labeler has two votes, which are not enough alone.
        ballots.push(Ballot::of_labeler(2, vec![face(1.0, 0.5), face(60.0, 0.5)]));
        let truth = agreed(&image, &ballots, 1);
        assert_eq!(
            truth.faces,
            [[31.0, 30.0, 71.0, 70.0], [0.0, 30.0, 40.0, 70.0]]
        );
        assert_eq!(truth.ignore, [[60.0, 30.0, 100.0, 70.0]]);
    }
}
