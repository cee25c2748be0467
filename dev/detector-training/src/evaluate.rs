//! Evaluates weights on images with known faces.

use std::path::Path;

use anyhow::{Context, Result};
use detect::embedded::EmbeddedDetector;
use detect::{DetectOptions, Detector, NamedImage};
use detector_evaluation::{Scores, evaluate, load_truth};

use crate::sources::read_image;

/// Evaluates a file of weights on the images of `dir` and its `boxes.json`; prints a table with a row per score
/// threshold.
pub fn run(weights: &Path, dir: &Path, longest_side: u32) -> Result<()> {
    let bytes =
        std::fs::read(weights).with_context(|| format!("cannot read {}", weights.display()))?;
    cli::outln!("| threshold | recall | precision | AP |\n|---|---|---|---|");
    for (threshold, scores) in measure(&bytes, dir, longest_side)? {
        cli::outln!(
            "| {threshold:.2} | {:.3} | {:.3} | {:.3} |",
            scores.recall(),
            scores.precision(),
            scores.average_precision
        );
    }
    Ok(())
}

/// Evaluates weights (safetensors bytes) on the images of `dir` and its `boxes.json`; returns pairs of score threshold
/// and scores.
pub fn measure(weights: &[u8], dir: &Path, longest_side: u32) -> Result<Vec<(f32, Scores)>> {
    let detector = EmbeddedDetector::from_safetensors(weights)?;
    let options = DetectOptions {
        threshold: Some(0.05),
        min_face: 0.0,
        longest_side: Some(longest_side),
        ..DetectOptions::default()
    };
    let mut found = Vec::new();
    for (name, truth) in load_truth(&dir.join("boxes.json"))? {
        let image = read_image(&dir.join(&name))?;
        let named = NamedImage {
            image: &image,
            name: &name,
        };
        found.push((truth, detector.detect(&named, &options)?));
    }
    let scores = |threshold| {
        let pairs = found.iter().map(|(truth, faces)| (truth, faces.as_slice()));
        (threshold, evaluate(pairs, threshold))
    };
    Ok([0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8]
        .map(scores)
        .to_vec())
}
