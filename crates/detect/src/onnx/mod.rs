//! ONNX face models: FaceBoxes, YOLOv5, YOLOv8 and YOLO11, recognized by the shapes of their outputs.
//!
//! Loading runs a model once on a blank image. The shapes of its outputs determine the kind of model, and a model that
//! cannot run is refused before the first image.
//!
//! Files come from untrusted sources, and the runtime (the rten crate) does not check them. Therefore `graph` parses a
//! file, `operators` checks each node against a table, and `program` computes all shapes for each input size within the
//! limits of `budget`. Only then the runtime gets the graph, encoded again by `encode`.

mod budget;
mod defaults;
mod encode;
mod faceboxes;
mod graph;
mod infer;
mod limits;
mod operators;
mod program;
mod runner;
mod schedule;
pub(crate) mod tensor;
mod tensors;
mod wire;
#[cfg(test)]
pub(crate) mod write;
mod yolo;

use std::path::Path;

use image::RgbImage;

use crate::search::{SearchOptions, search};
use crate::{DetectError, DetectOptions, Detector, Face, NamedImage, suppress};
pub(crate) use runner::{Output, Runner};
pub(crate) use tensor::Placing;
use yolo::YoloLayout;

/// A face detector that runs a model from an ONNX file.
#[derive(Debug)]
pub struct OnnxDetector {
    name: String,
    runner: Runner,
    kind: Kind,
}

/// The kind of a model.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// FaceBoxes; the indices of the outputs with box offsets and with scores.
    FaceBoxes { boxes: usize, scores: usize },
    /// YOLO; the index of the output with the candidates, and its layout.
    Yolo { output: usize, layout: YoloLayout },
}

/// Largest accepted model file, in bytes; the largest YOLO11 has 220 MiB.
const MAX_BYTES: u64 = 1 << 30;
/// Default of [`DetectOptions::longest_side`] for FaceBoxes and YOLO models without a fixed input size.
const FACEBOXES_SIDE: u32 = 1024;
const YOLO_SIDE: u32 = 640;

impl OnnxDetector {
    /// Reads a model, runs it once on a blank image and recognizes its kind by its outputs.
    ///
    /// # Errors
    /// [`DetectError::Read`], or [`DetectError::Model`] when the file is not ONNX, uses operators that are not
    /// supported, cannot run, or is not a known face model.
    pub fn load(path: &Path) -> Result<Self, DetectError> {
        let bytes = DetectError::read_model(path, MAX_BYTES)?;
        let wrong = |message: String| DetectError::model(path, message);
        let runner = Runner::load(bytes).map_err(wrong)?;
        let size = runner
            .fixed_size
            .unwrap_or((runner::PROBE_SIDE, runner::PROBE_SIDE));
        let blank = vec![0.0; 3 * size.0 as usize * size.1 as usize];
        let outputs = runner
            .run(blank, size)
            .map_err(|message| wrong(format!("cannot run: {message}")))?;
        let kind = kind_of(&outputs, size, runner.class_names().as_deref()).map_err(wrong)?;
        tracing::debug!(path = %path.display(), ?kind, fixed_size = ?runner.fixed_size, "loaded an ONNX model");
        Ok(Self {
            name: format!("onnx:{}", path.display()),
            runner,
            kind,
        })
    }

    fn find(&self, image: &RgbImage, options: SearchOptions) -> Result<Vec<Face>, String> {
        let (fixed, threshold) = (self.runner.fixed_size, options.threshold);
        match &self.kind {
            Kind::FaceBoxes { boxes, scores } => {
                let input = faceboxes::input(image, fixed, options.longest_side);
                let size = input.placing.canvas;
                let outputs = self.runner.run(input.values, size)?;
                let (boxes, scores) = (pick(&outputs, *boxes)?, pick(&outputs, *scores)?);
                let mut faces = faceboxes::faces(boxes, scores, &input.placing, threshold)?;
                suppress(&mut faces, faceboxes::MAX_IOU);
                Ok(faces)
            }
            Kind::Yolo { output, layout } => {
                let input = yolo::input(image, fixed, options.longest_side);
                let size = input.placing.canvas;
                let outputs = self.runner.run(input.values, size)?;
                let mut faces =
                    yolo::faces(pick(&outputs, *output)?, layout, &input.placing, threshold)?;
                suppress(&mut faces, yolo::MAX_IOU);
                Ok(faces)
            }
        }
    }

    fn default_side(&self) -> u32 {
        match (self.runner.fixed_size, &self.kind) {
            (Some((width, height)), _) => width.max(height),
            (None, Kind::FaceBoxes { .. }) => FACEBOXES_SIDE,
            (None, Kind::Yolo { .. }) => YOLO_SIDE,
        }
    }
}

fn pick(outputs: &[Option<Output>], index: usize) -> Result<&Output, String> {
    let output = outputs.get(index).and_then(Option::as_ref);
    output
        .ok_or_else(|| format!("output {index} is no longer a list of numbers in three dimensions"))
}

/// Recognizes the kind of a model by the outputs of a run with an input of `size` (width, height).
///
/// `names` are the class names in the file, if any. The error says that the outputs are of no known kind.
fn kind_of(
    outputs: &[Option<Output>],
    size: (u32, u32),
    names: Option<&[String]>,
) -> Result<Kind, String> {
    let shaped = || {
        outputs
            .iter()
            .enumerate()
            .filter_map(|(i, output)| Some((i, output.as_ref()?)))
    };
    let n_priors = faceboxes::n_priors(size);
    let find = |columns| {
        shaped()
            .find(|(_, output)| output.shape == [1, n_priors, columns])
            .map(|(i, _)| i)
    };
    if let (Some(boxes), Some(scores)) = (find(4), find(2)) {
        return Ok(Kind::FaceBoxes { boxes, scores });
    }
    for (output, value) in shaped() {
        if let Some(layout) = yolo::layout(value.shape, size, names)? {
            return Ok(Kind::Yolo { output, layout });
        }
    }
    let shapes: Vec<String> = shaped()
        .map(|(_, output)| format!("{:?}", output.shape))
        .collect();
    Err(format!(
        "is no face model that is known: for an input of {} x {} it returns {}; known are FaceBoxes ([1, N, 4] and \
         [1, N, 2]), YOLOv5 ([1, N, 5 + classes]) and YOLOv8 or v11 ([1, 4 + classes, N]), exported without NMS",
        size.0,
        size.1,
        if shapes.is_empty() {
            "nothing in three dimensions".into()
        } else {
            shapes.join(", ")
        },
    ))
}

impl Detector for OnnxDetector {
    fn name(&self) -> &str {
        &self.name
    }

    fn default_threshold(&self) -> f32 {
        match self.kind {
            Kind::FaceBoxes { .. } => faceboxes::THRESHOLD,
            Kind::Yolo { .. } => yolo::THRESHOLD,
        }
    }

    fn detect(
        &self,
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let search_options = SearchOptions {
            longest_side: options
                .longest_side
                .unwrap_or(self.default_side())
                .clamp(1, runner::MAX_SIDE),
            min_face: options.min_face,
            threshold: options.threshold.unwrap_or(self.default_threshold()),
        };
        search(named, options, search_options, |image, options| {
            self.find(image, options)
                .map_err(|message| DetectError::Run {
                    detector: self.name.clone(),
                    image: named.name.to_owned(),
                    message,
                })
        })
    }
}
