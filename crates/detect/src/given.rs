//! Detectors without a model: one returns boxes from a file, one the whole image.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::search::finish;
use crate::{DetectError, DetectOptions, Detector, Face, NamedImage};

/// A detector that returns boxes from a JSONL file, which another program has written.
///
/// The file has one line for each image, `{"file": "a/b.png", "boxes": [[x0, y0, x1, y1], ...], "scores": [0.9, ...]}`,
/// with boxes in source pixels; without `scores` they are 1. The line of an image is looked up by the whole name, then
/// by the file name without folders if that is unique in the file. An image without a line has no faces.
#[derive(Debug)]
pub struct GivenBoxes {
    name: String,
    images: HashMap<String, Vec<Face>>,
    /// For each file name without folders the key of `images`, or `None` when several images have it.
    by_file_name: HashMap<String, Option<String>>,
}

#[derive(Deserialize)]
struct Line {
    file: String,
    boxes: Vec<[f32; 4]>,
    scores: Option<Vec<f32>>,
}

/// Largest accepted box file, in bytes; a million images take about a tenth of it.
const MAX_BYTES: u64 = 1 << 30;

impl GivenBoxes {
    /// Reads a box file.
    ///
    /// # Errors
    /// [`DetectError::Read`]; [`DetectError::Boxes`] with the number of the invalid line; [`DetectError::Model`] when
    /// the file is too large or not UTF-8.
    pub fn load(path: &Path) -> Result<Self, DetectError> {
        let bytes = DetectError::read_limited(path, MAX_BYTES)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| DetectError::model(path, "is not UTF-8 text"))?;
        let mut images = HashMap::new();
        let mut by_file_name = HashMap::new();
        for (index, text) in text
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty())
        {
            let wrong = |message: String| DetectError::Boxes {
                path: path.to_owned(),
                line: index + 1,
                message,
            };
            let line: Line =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            let faces = faces_of(&line).map_err(wrong)?;
            let key = normal(&line.file);
            by_file_name
                .entry(file_name(&key).to_owned())
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some(key.clone()));
            if images.insert(key, faces).is_some() {
                return Err(wrong(format!("a second line for {:?}", line.file)));
            }
        }
        Ok(Self {
            name: format!("boxes:{}", path.display()),
            images,
            by_file_name,
        })
    }
}

/// Largest accepted number of boxes of an image; a crowd has some hundreds of faces.
const MAX_BOXES: usize = 10_000;

fn faces_of(line: &Line) -> Result<Vec<Face>, String> {
    if let Some(scores) = &line.scores
        && scores.len() != line.boxes.len()
    {
        return Err(format!(
            "{} boxes but {} scores",
            line.boxes.len(),
            scores.len()
        ));
    }
    if line.boxes.len() > MAX_BOXES {
        return Err(format!(
            "{} boxes for one image, and at most {MAX_BOXES} are read",
            line.boxes.len()
        ));
    }
    let mut faces = Vec::with_capacity(line.boxes.len());
    for (index, &rect) in line.boxes.iter().enumerate() {
        let score = line.scores.as_ref().map_or(1.0, |scores| scores[index]);
        let [x0, y0, x1, y1] = rect;
        if !(x0 < x1 && y0 < y1 && rect.iter().all(|v| v.is_finite()) && score.is_finite()) {
            return Err(format!(
                "box {index} is {rect:?}: x0 < x1 and y0 < y1 are needed"
            ));
        }
        faces.push(Face { rect, score });
    }
    Ok(faces)
}

fn normal(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches("./").to_owned()
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

impl Detector for GivenBoxes {
    fn name(&self) -> &str {
        &self.name
    }

    fn default_threshold(&self) -> f32 {
        0.0
    }

    fn detect(
        &self,
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let key = normal(named.name);
        let alone = || {
            self.images
                .get(self.by_file_name.get(file_name(&key))?.as_ref()?)
        };
        let faces = self
            .images
            .get(&key)
            .or_else(alone)
            .cloned()
            .unwrap_or_default();
        let threshold = options.threshold.unwrap_or(f32::NEG_INFINITY);
        Ok(finish(faces, named.image.dimensions(), options, threshold))
    }
}

/// The detector `none`, for images that are faces already: returns the whole image as one face of score 1, whatever the
/// options.
#[derive(Clone, Copy, Debug)]
pub struct WholeImage;

impl Detector for WholeImage {
    fn name(&self) -> &str {
        "none"
    }

    fn default_threshold(&self) -> f32 {
        0.0
    }

    fn detect(
        &self,
        named: &NamedImage<'_>,
        _options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let (width, height) = named.image.dimensions();
        let whole = Face {
            rect: [0.0, 0.0, width as f32, height as f32],
            score: 1.0,
        };
        Ok(if width == 0 || height == 0 {
            Vec::new()
        } else {
            vec![whole]
        })
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn loaded(text: &str) -> Result<GivenBoxes, DetectError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.jsonl");
        std::fs::write(&path, text).unwrap();
        GivenBoxes::load(&path)
    }

    #[test]
    fn images_are_found_by_path_and_by_unique_file_name() {
        let detector = loaded(
            "{\"file\":\"a/x.png\",\"boxes\":[[1,2,40,50]],\"scores\":[0.5]}\n\n\
             {\"file\":\"b/x.png\",\"boxes\":[]}\n{\"file\":\"./b/y.png\",\"boxes\":[[0,0,30,30],[10,10,90,90]]}\n",
        )
        .unwrap();
        let image = RgbImage::new(80, 80);
        let options = DetectOptions::default();
        let found = |name| {
            detector
                .detect(
                    &NamedImage {
                        image: &image,
                        name,
                    },
                    &options,
                )
                .unwrap()
        };
        assert_eq!(
            found("a/x.png"),
            [Face {
                rect: [1.0, 2.0, 40.0, 50.0],
                score: 0.5
            }]
        );
        assert_eq!(found("b/x.png"), []);
        assert_eq!(found("x.png"), []);
        assert_eq!(found("elsewhere/y.png").len(), 2);
        assert_eq!(found("y.png")[1].rect, [10.0, 10.0, 80.0, 80.0]);
        assert_eq!(found("unknown.png"), []);
    }

    #[test]
    fn wrong_lines_are_named() {
        let good = "{\"file\":\"a\",\"boxes\":[]}\n";
        for bad in [
            "not json",
            "{\"file\":\"b\"}",
            "{\"file\":\"b\",\"boxes\":[[1,2,3]]}",
            "{\"file\":\"b\",\"boxes\":[[5,2,3,9]]}",
            "{\"file\":\"b\",\"boxes\":[[1,2,3,9]],\"scores\":[]}",
            "{\"file\":\"a\",\"boxes\":[]}",
            &format!(
                "{{\"file\":\"b\",\"boxes\":[{}[1,2,3,9]]}}",
                "[1,2,3,9],".repeat(300_000)
            ),
        ] {
            let error = loaded(&format!("{good}{bad}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2: "), "{error}");
        }
    }

    #[test]
    fn none_takes_the_image_whatever_its_size() {
        let image = RgbImage::new(8, 9);
        let options = DetectOptions {
            min_face: 100.0,
            ..DetectOptions::default()
        };
        let faces = WholeImage
            .detect(
                &NamedImage {
                    image: &image,
                    name: "a",
                },
                &options,
            )
            .unwrap();
        assert_eq!(
            faces,
            [Face {
                rect: [0.0, 0.0, 8.0, 9.0],
                score: 1.0
            }]
        );
    }
}
