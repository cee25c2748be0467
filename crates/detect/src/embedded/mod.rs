//! Our own face detector; its weights are part of the binary.
//!
//! A small network runs on an image pyramid. At each scale it detects faces of about 10 to 160 pixels; larger faces are
//! detected at coarser scales. A face that several scales detect gets a higher score. Scales finer than the base scale
//! are searched for small faces only. A refinement pass detects small faces again in enlarged windows of the image.
//!
//! [`network`] describes the layers and [`walk`] computes them with any backend; `crates/detect/README.md` says how the
//! weights were trained.

mod decode;
#[cfg(test)]
mod graph;
mod merge;
pub mod network;
mod refine;
mod run;
pub mod walk;
mod weights;

use std::borrow::Cow;

use image::RgbImage;

use crate::onnx::Placing;
use crate::search::{SearchOptions, search};
use crate::shrink::{fitted_size, resize_rgb};
use crate::{DetectError, DetectOptions, Detector, Face, NamedImage};
use merge::{Candidate, merge, without_overlaps};
use network::LEVELS;
use refine::Window;
use run::Network;
use weights::Weights;

/// Our own face detector, with the weights in the binary or with other weights for the same network.
#[derive(Debug)]
pub struct EmbeddedDetector {
    network: Network,
}

/// The weights, trained by `detector-training`; see README.md.
const WEIGHTS: &[u8] = include_bytes!("../../weights/embedded.safetensors");
/// Name of the detector on the command line.
const NAME: &str = "embedded";
/// Default score threshold.
const THRESHOLD: f32 = 0.65;
/// Smallest IoU at which two candidates belong to the same face.
const MIN_IOU: f32 = 0.5;
const LONGEST_SIDE: u32 = 768;
const MAX_SIDE: u32 = 4096;
/// Lower limit for the longest side of a scale, in pixels; a smaller image is searched only at its own size.
const MIN_SCALE: u32 = 96;
/// Faces whose side exceeds this many pixels of a scale are dropped there; a coarser scale detects them. Not used at
/// the coarsest scale.
const MAX_FACE: f32 = 160.0;
/// Longest side in pixels of the base scale, the finest scale that is searched for faces of all sizes.
///
/// If half of `longest_side` is more, that is used instead. The base scale is never larger than the image or
/// `longest_side`.
const BASE_SCALE: u32 = 512;
/// Longest sides in pixels of the scales finer than the base scale. They are searched for small faces only, because at
/// these scales the network finds false faces within large ones.
const FINER_SCALES: [u32; 6] = [768, 1024, 1536, 2048, 3072, 4096];
/// Faces whose side exceeds this many pixels of a finer scale are dropped there.
const MAX_FACE_IN_FINER: f32 = 32.0;
/// Smallest ratio of the longest side of a finer scale to that of the scale before it.
const MIN_FINER: f32 = 1.25;
/// An image whose longest side is at least this many times that of the finest scale is first shrunk to twice the finest
/// scale, to save time.
const SHRINK_FROM: u32 = 3;
/// Faces are dropped as unreliable when the shorter side of their part inside the image is below this many pixels.
const MIN_SIDE: f32 = 16.0;
/// Candidates with at least this score are merged and refined even if the threshold is higher, because merging and
/// refining can raise the score.
const MIN_CANDIDATE_SCORE: f32 = 0.05;
/// Candidates below this score are dropped even if the threshold is lower; an image has thousands of them.
const NOISE: f32 = 0.01;
// Half a window is below the smallest scale, so a single scale suffices for the windows of the refinement pass.
const _: () = assert!(refine::WINDOW / 2 < MIN_SCALE);
/// Width and height of the network's input are padded to a multiple of this, the coarsest stride.
const MULTIPLE: u32 = 32;

impl EmbeddedDetector {
    /// Loads the detector with the weights of this build.
    ///
    /// # Errors
    /// [`DetectError::Embedded`] when the weights do not fit the network.
    pub fn new() -> Result<Self, DetectError> {
        Self::from_safetensors(WEIGHTS)
    }

    /// The weights of this build, as a safetensors file that [`Self::from_safetensors`] reads.
    pub fn weights() -> &'static [u8] {
        WEIGHTS
    }

    /// The detector with other weights, from a safetensors file of f16 or f32.
    ///
    /// Tensors are named `NAME.weight` and `NAME.bias` for each convolution `NAME` of [`network::LAYERS`].
    ///
    /// # Errors
    /// [`DetectError::Embedded`] when the weights do not fit the network.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, DetectError> {
        let load = || Network::new(&Weights::parse(bytes)?);
        let network = load().map_err(DetectError::Embedded)?;
        Ok(Self { network })
    }

    /// Finds the faces of an image: searches the pyramid, then refines small faces.
    fn find(&self, image: &RgbImage, options: SearchOptions) -> Result<Vec<Face>, String> {
        let longest = image.width().max(image.height());
        let finest = longest.min(options.longest_side);
        let base = finest.min(BASE_SCALE.max(options.longest_side / 2));
        let relative = |side: u32| side as f32 / longest as f32;
        let mut scales = common_scales(base);
        let finer = finer_scales(base, finest)
            .filter(|&side| options.min_face * relative(side) <= MAX_FACE_IN_FINER);
        scales.extend(finer.map(|longest_side| Scale {
            longest_side,
            max_face: MAX_FACE_IN_FINER,
        }));
        let threshold = options.threshold.clamp(NOISE, MIN_CANDIDATE_SCORE);
        // Resizing to each scale reads all pixels, so a large image is shrunk once beforehand.
        let shrunk = (longest / SHRINK_FROM >= finest).then(|| {
            let size = fitted_size(image.width(), image.height(), finest * 2);
            resize_rgb(image, size.0, size.1)
        });
        let view = View {
            pixels: shrunk.as_ref().unwrap_or(image),
            source: image.dimensions(),
        };
        let mut faces = self.search_pyramid(view, &scales, relative(base), threshold)?;
        self.refine(image, &mut faces, relative(base), threshold)?;
        let visible = |low: f32, high: f32, length: u32| high.min(length as f32) - low.max(0.0);
        faces.retain(|Face { rect, .. }| {
            let (width, height) = image.dimensions();
            visible(rect[0], rect[2], width) >= MIN_SIDE
                && visible(rect[1], rect[3], height) >= MIN_SIDE
        });
        Ok(without_overlaps(faces))
    }

    /// Detects small faces again in enlarged windows of the image and replaces each by the combination of both
    /// detections.
    ///
    /// `base_scale` is as in [`merge()`].
    fn refine(
        &self,
        image: &RgbImage,
        faces: &mut [Face],
        base_scale: f32,
        threshold: f32,
    ) -> Result<(), String> {
        let windows: Vec<(usize, Window, RgbImage)> =
            refine::small(faces, base_scale, MIN_CANDIDATE_SCORE)
                .into_iter()
                .filter_map(|i| {
                    let (window, enlarged) = Window::around(&faces[i], image)?;
                    Some((i, window, enlarged))
                })
                .collect();
        // Each window is searched at one scale, its own size.
        let views = windows.iter().map(|(.., enlarged)| View::of(enlarged));
        let views: Vec<(View, u32)> = views.map(|view| (view, view.longest())).collect();
        let found = self.run_network(&views, threshold)?;
        for ((i, window, _), found) in windows.iter().zip(found) {
            let candidates = found.into_iter().map(|face| Candidate { face, scale: 0 });
            let refined = merge(candidates.collect(), MIN_IOU, 1.0);
            faces[*i] = window.combine(&refined, &faces[*i], base_scale);
        }
        Ok(())
    }

    /// Searches all scales of the pyramid and merges the candidates. `base_scale` is as in [`merge()`].
    fn search_pyramid(
        &self,
        view: View,
        scales: &[Scale],
        base_scale: f32,
        threshold: f32,
    ) -> Result<Vec<Face>, String> {
        let views: Vec<(View, u32)> = scales.iter().map(|s| (view, s.longest_side)).collect();
        let found = self.run_network(&views, threshold)?;
        let mut candidates = Vec::new();
        for (scale, (size, mut faces)) in scales.iter().zip(found).enumerate() {
            let max_side = size.max_face * view.longest() as f32 / size.longest_side as f32;
            faces.retain(|face| face.width() * face.height() <= max_side * max_side);
            candidates.extend(faces.into_iter().map(|face| Candidate { face, scale }));
        }
        Ok(merge(candidates, MIN_IOU, base_scale))
    }

    /// Runs the network on each image after shrinking it to the given longest side, and returns the faces of each.
    ///
    /// Faces are in pixels of the original image. Images whose padded sizes are equal run as one batch.
    fn run_network(&self, views: &[(View, u32)], threshold: f32) -> Result<Vec<Vec<Face>>, String> {
        let canvas = |&(view, side): &(View, u32)| {
            let size = fitted_size(view.source.0, view.source.1, side);
            (
                size.0.next_multiple_of(MULTIPLE),
                size.1.next_multiple_of(MULTIPLE),
            )
        };
        let mut found: Vec<Vec<Face>> = views.iter().map(|_| Vec::new()).collect();
        let mut order: Vec<usize> = (0..views.len()).collect();
        order.sort_by_key(|&i| canvas(&views[i]));
        for group in order.chunk_by(|&i, &j| canvas(&views[i]) == canvas(&views[j])) {
            let canvas = canvas(&views[group[0]]);
            let resized: Vec<Cow<RgbImage>> = group
                .iter()
                .map(|&i| {
                    let (view, side) = views[i];
                    let size = fitted_size(view.source.0, view.source.1, side);
                    if view.pixels.dimensions() == size {
                        Cow::Borrowed(view.pixels)
                    } else {
                        Cow::Owned(resize_rgb(view.pixels, size.0, size.1))
                    }
                })
                .collect();
            let images: Vec<&RgbImage> = resized.iter().map(AsRef::as_ref).collect();
            let results = self.network.run(&images, canvas);
            for ((&i, image), outputs) in group.iter().zip(&images).zip(&results) {
                let placing = Placing::in_corner(views[i].0.source, image.dimensions(), canvas);
                for (level, output) in LEVELS.into_iter().zip(outputs) {
                    let columns = canvas.0 as usize / level.stride;
                    decode::faces(output, level, columns, &placing, threshold, &mut found[i])?;
                }
            }
        }
        Ok(found)
    }
}

/// An image or a smaller copy of it; detected faces are given in pixels of the original.
#[derive(Clone, Copy)]
struct View<'a> {
    /// The original or a smaller copy of it.
    pixels: &'a RgbImage,
    /// Width and height of the original.
    source: (u32, u32),
}

impl<'a> View<'a> {
    fn of(pixels: &'a RgbImage) -> Self {
        Self {
            pixels,
            source: pixels.dimensions(),
        }
    }

    fn longest(self) -> u32 {
        self.source.0.max(self.source.1)
    }
}

/// A scale of the image pyramid.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    /// Longest side of the image at this scale, in pixels.
    longest_side: u32,
    /// Faces whose side exceeds this many pixels of this scale are dropped at this scale.
    max_face: f32,
}

/// The scales that are searched for faces of all sizes: `finest`, its half, quarter and so on, and three quarters of
/// each of these except `finest`. Scales below [`MIN_SCALE`] are left out, but never `finest`.
fn common_scales(finest: u32) -> Vec<Scale> {
    let mut sides = vec![finest];
    let mut half = finest / 2;
    while half >= MIN_SCALE {
        sides.extend([half, half / 4 * 3]);
        half /= 2;
    }
    sides.retain(|&side| side >= MIN_SCALE || side == finest);
    let coarsest = sides.len() - 1;
    let scale = |(i, longest_side)| Scale {
        longest_side,
        max_face: if i == coarsest {
            f32::INFINITY
        } else {
            MAX_FACE
        },
    };
    sides.into_iter().enumerate().map(scale).collect()
}

/// Longest sides of the scales that are searched for small faces only: the entries of [`FINER_SCALES`] below `finest`,
/// and `finest` itself. A side is left out if it is less than [`MIN_FINER`] times the one before it (`base` for the
/// first).
fn finer_scales(base: u32, finest: u32) -> impl Iterator<Item = u32> {
    let sides = FINER_SCALES.into_iter().filter(move |&side| side < finest);
    let mut last = base;
    sides.chain([finest]).filter(move |&side| {
        let is_finer = side as f32 >= MIN_FINER * last as f32;
        if is_finer {
            last = side;
        }
        is_finer
    })
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
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let search_options = SearchOptions {
            longest_side: options
                .longest_side
                .unwrap_or(LONGEST_SIDE)
                .clamp(1, MAX_SIDE),
            min_face: options.min_face,
            threshold: options.threshold.unwrap_or(THRESHOLD),
        };
        search(named, options, search_options, |image, options| {
            self.find(image, options)
                .map_err(|message| DetectError::Run {
                    detector: NAME.to_owned(),
                    image: named.name.to_owned(),
                    message,
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finer_scale_is_at_least_a_quarter_larger() {
        let sides = |finest: u32| finer_scales(finest.min(512), finest).collect::<Vec<_>>();
        assert!(sides(300).is_empty() && sides(600).is_empty());
        assert_eq!(sides(700), [700]);
        assert_eq!(sides(768), [768]);
        assert_eq!(sides(900), [768]);
        assert_eq!(sides(1024), [768, 1024]);
        assert_eq!(sides(2000), [768, 1024, 1536, 2000]);
        assert_eq!(sides(4096), FINER_SCALES);
        assert_eq!(finer_scales(1024, 2048).collect::<Vec<_>>(), [1536, 2048]);
    }

    #[test]
    fn scales_halve_and_the_coarsest_takes_all_faces() {
        let sides = |finest| -> Vec<u32> {
            let scales = common_scales(finest);
            scales.iter().map(|scale| scale.longest_side).collect()
        };
        assert_eq!(sides(512), [512, 256, 192, 128, 96]);
        assert_eq!(sides(200), [200, 100]);
        assert_eq!(sides(1), [1]);
        for finest in [1, 95, 192, 4096] {
            let scales = common_scales(finest);
            let (last, others) = scales.split_last().unwrap();
            assert_eq!(last.max_face, f32::INFINITY);
            assert!(others.iter().all(|scale| scale.max_face == MAX_FACE));
        }
    }

    #[test]
    fn odd_images_and_options_do_no_harm() {
        let detector = EmbeddedDetector::new().unwrap();
        for (width, height) in [(1, 1), (1, 40), (33, 1), (2500, 3), (3, 2500), (15, 15)] {
            let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * y) as u8; 3]));
            for longest_side in [None, Some(1), Some(33), Some(4000)] {
                for min_face in [0.0, f32::NAN, f32::INFINITY] {
                    let options = DetectOptions {
                        longest_side,
                        min_face,
                        threshold: Some(0.0),
                        ..DetectOptions::default()
                    };
                    let named = NamedImage {
                        image: &image,
                        name: "odd",
                    };
                    let faces = detector.detect(&named, &options).unwrap();
                    // No image is large enough for a face of the smallest accepted size.
                    assert_eq!(faces, [], "{width} x {height}");
                }
            }
        }
    }
}
