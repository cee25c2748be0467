//! Our own face detector, whose weights are part of the binary.
//!
//! A small network is run on the picture at several sizes: it knows faces of some 10 to 160 pixels, what is larger in one
//! look is smaller in the next, and what several looks see is surer. Small faces are enlarged and looked at again.
//! [`network`] describes the layers; `crates/detect/README.md` says how the weights were trained.

mod decode;
mod glance;
mod graph;
mod merge;
pub mod network;
mod weights;

use image::RgbImage;

use crate::onnx::{Coding, Placing, Runner, place};
use crate::search::{Look, search};
use crate::shrink::fitted_size;
use crate::{DetectError, DetectOptions, Detector, Face, Picture};
use glance::Window;
use merge::{Sighting, merge, without_overlaps};
use network::LEVELS;
use weights::Weights;

/// The detector whose weights are part of the binary.
#[derive(Debug)]
pub struct EmbeddedDetector {
    runner: Runner,
}

/// Trained by `detector-training`, see README.md.
const WEIGHTS: &[u8] = include_bytes!("../../weights/embedded.safetensors");
/// The name that is typed.
const NAME: &str = "embedded";
/// The score from which a face counts.
const THRESHOLD: f32 = 0.65;
/// Overlap from which two boxes are one face.
const MIN_IOU: f32 = 0.5;
const LONGEST_SIDE: u32 = 512;
const MAX_SIDE: u32 = 4096;
/// The coarsest look is at least this large.
const MIN_LOOK: u32 = 96;
/// Faces larger than this, in pixels of a look, are left to the next one.
const LARGEST: f32 = 160.0;
/// Sightings above this are merged even where faces must score higher: several looks, or a second glance, make a face
/// surer.
const DOUBTFUL: f32 = 0.05;
/// Canvases are padded to a multiple of the coarsest stride.
const MULTIPLE: u32 = 32;
/// Input: red, green, blue in `-1..=1` on gray.
const CODING: Coding = Coding {
    order: [0, 1, 2],
    mean: [127.5; 3],
    factor: 1.0 / 127.5,
    fill: [127.5; 3],
};

impl EmbeddedDetector {
    /// The detector with the weights of this build.
    ///
    /// # Errors
    /// [`DetectError::Embedded`] when the weights do not fit the network.
    pub fn new() -> Result<Self, DetectError> {
        Self::from_safetensors(WEIGHTS)
    }

    /// The weights of this build, as [`Self::from_safetensors`] reads them.
    pub fn weights() -> &'static [u8] {
        WEIGHTS
    }

    /// The detector with other weights: safetensors of f16 or f32, named as in [`network::LAYERS`].
    ///
    /// # Errors
    /// [`DetectError::Embedded`] when the weights do not fit the network.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, DetectError> {
        let load = || Runner::load(graph::onnx(&Weights::parse(bytes)?)?);
        let runner = load().map_err(DetectError::Embedded)?;
        Ok(Self { runner })
    }

    /// The faces of a picture: looks at the whole, then second glances at small faces.
    fn find(&self, image: &RgbImage, look: Look) -> Result<Vec<Face>, String> {
        let longest = image.width().max(image.height());
        let finest = longest.min(look.longest_side);
        let threshold = look.threshold.min(DOUBTFUL);
        let mut faces = self.look_at_all_sizes(image, finest, threshold)?;
        let scale = finest as f32 / longest as f32;
        for i in glance::small(&faces, scale, DOUBTFUL) {
            if let Some((window, enlarged)) = Window::around(&faces[i], image) {
                let finest = enlarged.width().max(enlarged.height());
                let seen = self.look_at_all_sizes(&enlarged, finest, threshold)?;
                faces[i] = window.verdict(&seen, &faces[i], scale);
            }
        }
        Ok(without_overlaps(faces))
    }

    /// Faces as looks from `finest` downwards see them.
    fn look_at_all_sizes(
        &self,
        image: &RgbImage,
        finest: u32,
        threshold: f32,
    ) -> Result<Vec<Face>, String> {
        let longest = image.width().max(image.height());
        let mut sightings = Vec::new();
        let sides = looks(finest);
        for (i, &side) in sides.iter().enumerate() {
            let mut faces = Vec::new();
            self.look(image, side, threshold, &mut faces)?;
            if i + 1 < sides.len() {
                // What is larger is left to the next look.
                let most = LARGEST * longest as f32 / side as f32;
                faces.retain(|face| face.width() * face.height() <= most * most);
            }
            sightings.extend(faces.into_iter().map(|face| Sighting { face, look: i }));
        }
        let scale = finest as f32 / longest as f32;
        Ok(merge(sightings, MIN_IOU, scale))
    }

    /// Runs the network on the picture shrunk to `longest_side`.
    fn look(
        &self,
        image: &RgbImage,
        longest_side: u32,
        threshold: f32,
        faces: &mut Vec<Face>,
    ) -> Result<(), String> {
        let size = fitted_size(image.width(), image.height(), longest_side);
        let canvas = (
            size.0.next_multiple_of(MULTIPLE),
            size.1.next_multiple_of(MULTIPLE),
        );
        let input = place(image, size, canvas, (0, 0), &CODING);
        let placing: Placing = input.placing;
        let outputs = self.runner.run(input.values, canvas)?;
        for (level, output) in LEVELS.into_iter().zip(&outputs) {
            let output = output.as_ref().ok_or("a level is no list of numbers")?;
            let columns = canvas.0 as usize / level.stride;
            decode::faces(output, level, columns, &placing, threshold, faces)?;
        }
        Ok(())
    }
}

/// The longest sides at which a picture is looked at: `finest`, its halves, and three quarters of these.
fn looks(finest: u32) -> Vec<u32> {
    let mut sides = vec![finest];
    let mut half = finest / 2;
    while half >= MIN_LOOK {
        sides.extend([half, half / 4 * 3]);
        half /= 2;
    }
    sides.retain(|&side| side >= MIN_LOOK || side == finest);
    sides
}

impl Detector for EmbeddedDetector {
    fn name(&self) -> &str {
        NAME
    }

    fn default_threshold(&self) -> f32 {
        THRESHOLD
    }

    fn detect(
        &self,
        picture: &Picture<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let look = Look {
            longest_side: options
                .longest_side
                .unwrap_or(LONGEST_SIDE)
                .clamp(1, MAX_SIDE),
            min_face: options.min_face,
            threshold: options.threshold.unwrap_or(THRESHOLD),
        };
        search(picture, options, look, |image, look| {
            self.find(image, look).map_err(|message| DetectError::Run {
                detector: NAME.to_owned(),
                picture: picture.name.to_owned(),
                message,
            })
        })
    }
}
