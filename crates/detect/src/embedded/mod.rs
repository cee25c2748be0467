//! Our own face detector, whose weights are part of the binary.
//!
//! A small network is run on the picture at several sizes: it knows faces of some 10 to 160 pixels, what is larger in one
//! look is smaller in the next, and what several looks see is surer. A finer look knows small faces only, which are then
//! enlarged and looked at again.
//! [`network`] describes the layers; `crates/detect/README.md` says how the weights were trained.

mod decode;
mod glance;
#[cfg(test)]
mod graph;
mod merge;
pub mod network;
mod run;
mod weights;

use std::borrow::Cow;

use image::RgbImage;

use crate::onnx::Placing;
use crate::search::{Look, search};
use crate::shrink::{fitted_size, resize_rgb};
use crate::{DetectError, DetectOptions, Detector, Face, Picture};
use glance::Window;
use merge::{Sighting, merge, without_overlaps};
use network::LEVELS;
use run::Network;
use weights::Weights;

/// The detector whose weights are part of the binary.
#[derive(Debug)]
pub struct EmbeddedDetector {
    network: Network,
}

/// Trained by `detector-training`, see README.md.
const WEIGHTS: &[u8] = include_bytes!("../../weights/embedded.safetensors");
/// The name that is typed.
const NAME: &str = "embedded";
/// The score from which a face counts.
const THRESHOLD: f32 = 0.65;
/// Overlap from which two boxes are one face.
const MIN_IOU: f32 = 0.5;
const LONGEST_SIDE: u32 = 768;
const MAX_SIDE: u32 = 4096;
/// The coarsest look is at least this large.
const MIN_LOOK: u32 = 96;
/// Faces larger than this, in pixels of a look, are left to the next one.
const LARGEST: f32 = 160.0;
/// The finest look at faces of all sizes, or half of `longest_side` where that is more.
const COMMON_LOOK: u32 = 512;
/// Finer looks, for small faces alone: of large ones they see parts that look like faces.
const FINER_LOOKS: [u32; 6] = [768, 1024, 1536, 2048, 3072, 4096];
/// Faces larger than this, in pixels of a finer look, do not count in it.
const LARGEST_IN_FINER: f32 = 32.0;
/// A finer look is left out when it shows less than this much more than the one before.
const MIN_FINER: f32 = 1.25;
/// A picture at least so many times as large as the finest look is shrunk to twice that look first.
const SHRINK_FROM: u32 = 3;
/// Faces with a shorter side below this, in pixels of the picture and inside it, cannot be told from anything else.
const MIN_SIDE: f32 = 16.0;
/// Sightings above this are merged even where faces must score higher: several looks, or a second glance, make a face
/// surer.
const DOUBTFUL: f32 = 0.05;
/// What scores less is not returned even where any score will do: a picture has thousands of such cells.
const NOISE: f32 = 0.01;
// Windows get one look.
const _: () = assert!(glance::WINDOW / 2 < MIN_LOOK);
/// Canvases are padded to a multiple of the coarsest stride.
const MULTIPLE: u32 = 32;

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
        let load = || Network::new(&Weights::parse(bytes)?);
        let network = load().map_err(DetectError::Embedded)?;
        Ok(Self { network })
    }

    /// The faces of a picture: looks at the whole, then second glances at small faces.
    fn find(&self, image: &RgbImage, look: Look) -> Result<Vec<Face>, String> {
        let longest = image.width().max(image.height());
        let finest = longest.min(look.longest_side);
        let common = finest.min(COMMON_LOOK.max(look.longest_side / 2));
        let scale = |side: u32| side as f32 / longest as f32;
        let mut looks = looks_for_all(common);
        let finer = looks_for_small(common, finest);
        let finer = finer.filter(|&side| look.min_face * scale(side) <= LARGEST_IN_FINER);
        looks.extend(finer.map(|side| (side, LARGEST_IN_FINER)));
        let threshold = look.threshold.clamp(NOISE, DOUBTFUL);
        // Every look reads all pixels, so a large picture is shrunk once for all.
        let shrunk = (longest / SHRINK_FROM >= finest).then(|| {
            let size = fitted_size(image.width(), image.height(), finest * 2);
            resize_rgb(image, size.0, size.1)
        });
        let view = View {
            pixels: shrunk.as_ref().unwrap_or(image),
            source: image.dimensions(),
        };
        let mut faces = self.look_often(view, &looks, scale(common), threshold)?;
        self.look_again(image, &mut faces, scale(common), threshold)?;
        let shown = |low: f32, high: f32, length: u32| high.min(length as f32) - low.max(0.0);
        faces.retain(|Face { rect, .. }| {
            let (width, height) = image.dimensions();
            shown(rect[0], rect[2], width) >= MIN_SIDE
                && shown(rect[1], rect[3], height) >= MIN_SIDE
        });
        Ok(without_overlaps(faces))
    }

    /// Second glances at small faces, in the picture itself.
    fn look_again(
        &self,
        image: &RgbImage,
        faces: &mut [Face],
        scale: f32,
        threshold: f32,
    ) -> Result<(), String> {
        let windows: Vec<(usize, Window, RgbImage)> = glance::small(faces, scale, DOUBTFUL)
            .into_iter()
            .filter_map(|i| {
                let (window, enlarged) = Window::around(&faces[i], image)?;
                Some((i, window, enlarged))
            })
            .collect();
        // One look at each is enough: half of a window is less than the least look.
        let views = windows.iter().map(|(.., enlarged)| View::of(enlarged));
        let looks: Vec<(View, u32)> = views.map(|view| (view, view.longest())).collect();
        let seen = self.look(&looks, threshold)?;
        for ((i, window, _), seen) in windows.iter().zip(seen) {
            let sightings = seen.into_iter().map(|face| Sighting { face, look: 0 });
            let seen = merge(sightings.collect(), MIN_IOU, 1.0);
            faces[*i] = window.verdict(&seen, &faces[*i], scale);
        }
        Ok(())
    }

    /// Faces as several looks see them: longest sides, and the largest faces that count. `scale` is the number of pixels
    /// of the common look for one of the picture.
    fn look_often(
        &self,
        view: View,
        looks: &[(u32, f32)],
        scale: f32,
        threshold: f32,
    ) -> Result<Vec<Face>, String> {
        let sides: Vec<(View, u32)> = looks.iter().map(|&(side, _)| (view, side)).collect();
        let seen = self.look(&sides, threshold)?;
        let mut sightings = Vec::new();
        for (look, (&(side, largest), mut faces)) in looks.iter().zip(seen).enumerate() {
            let most = largest * view.longest() as f32 / side as f32;
            faces.retain(|face| face.width() * face.height() <= most * most);
            sightings.extend(faces.into_iter().map(|face| Sighting { face, look }));
        }
        Ok(merge(sightings, MIN_IOU, scale))
    }

    /// Runs the network on pictures shrunk to these longest sides: the faces in each. Those of one canvas run together.
    fn look(&self, looks: &[(View, u32)], threshold: f32) -> Result<Vec<Vec<Face>>, String> {
        let canvas = |&(view, side): &(View, u32)| {
            let size = fitted_size(view.source.0, view.source.1, side);
            (
                size.0.next_multiple_of(MULTIPLE),
                size.1.next_multiple_of(MULTIPLE),
            )
        };
        let mut seen: Vec<Vec<Face>> = looks.iter().map(|_| Vec::new()).collect();
        let mut order: Vec<usize> = (0..looks.len()).collect();
        order.sort_by_key(|&i| canvas(&looks[i]));
        for group in order.chunk_by(|&i, &j| canvas(&looks[i]) == canvas(&looks[j])) {
            let canvas = canvas(&looks[group[0]]);
            let shown: Vec<Cow<RgbImage>> = group
                .iter()
                .map(|&i| {
                    let (view, side) = looks[i];
                    let size = fitted_size(view.source.0, view.source.1, side);
                    if view.pixels.dimensions() == size {
                        Cow::Borrowed(view.pixels)
                    } else {
                        Cow::Owned(resize_rgb(view.pixels, size.0, size.1))
                    }
                })
                .collect();
            let pictures: Vec<&RgbImage> = shown.iter().map(AsRef::as_ref).collect();
            let results = self.network.run(&pictures, canvas);
            for ((&i, picture), outputs) in group.iter().zip(&pictures).zip(&results) {
                let placing = Placing::in_corner(looks[i].0.source, picture.dimensions(), canvas);
                for (level, output) in LEVELS.into_iter().zip(outputs) {
                    let columns = canvas.0 as usize / level.stride;
                    decode::faces(output, level, columns, &placing, threshold, &mut seen[i])?;
                }
            }
        }
        Ok(seen)
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
struct View<'a> {
    /// The picture, or a smaller copy of it.
    pixels: &'a RgbImage,
    /// The size that faces are given in.
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

/// The longest sides at which a picture is looked at for faces of all sizes, `finest`, its halves, and three quarters of
/// these, each with the side of the largest faces that count in it.
fn looks_for_all(finest: u32) -> Vec<(u32, f32)> {
    let mut sides = vec![finest];
    let mut half = finest / 2;
    while half >= MIN_LOOK {
        sides.extend([half, half / 4 * 3]);
        half /= 2;
    }
    sides.retain(|&side| side >= MIN_LOOK || side == finest);
    let coarsest = sides.len() - 1;
    let largest = |i| {
        if i == coarsest {
            f32::INFINITY
        } else {
            LARGEST
        }
    };
    let looks = sides.into_iter().enumerate();
    looks.map(|(i, side)| (side, largest(i))).collect()
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

/// The finer longest sides at which a picture is looked at for small faces, up to `finest`.
fn looks_for_small(common: u32, finest: u32) -> impl Iterator<Item = u32> {
    let sides = FINER_LOOKS.into_iter().filter(move |&side| side < finest);
    let mut last = common;
    sides.chain([finest]).filter(move |&side| {
        let is_finer = side as f32 >= MIN_FINER * last as f32;
        if is_finer {
            last = side;
        }
        is_finer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_looks_are_a_quarter_finer_each() {
        let sides = |finest: u32| looks_for_small(finest.min(512), finest).collect::<Vec<_>>();
        assert!(sides(300).is_empty() && sides(600).is_empty());
        assert_eq!(sides(700), [700]);
        assert_eq!(sides(768), [768]);
        assert_eq!(sides(900), [768]);
        assert_eq!(sides(1024), [768, 1024]);
        assert_eq!(sides(2000), [768, 1024, 1536, 2000]);
        assert_eq!(sides(4096), FINER_LOOKS);
        assert_eq!(
            looks_for_small(1024, 2048).collect::<Vec<_>>(),
            [1536, 2048]
        );
    }

    #[test]
    fn looks_halve_and_the_coarsest_takes_all() {
        let sides = |finest| -> Vec<u32> { looks_for_all(finest).iter().map(|l| l.0).collect() };
        assert_eq!(sides(512), [512, 256, 192, 128, 96]);
        assert_eq!(sides(200), [200, 100]);
        assert_eq!(sides(1), [1]);
        for finest in [1, 95, 192, 4096] {
            let looks = looks_for_all(finest);
            let (last, others) = looks.split_last().unwrap();
            assert_eq!(last.1, f32::INFINITY);
            assert!(others.iter().all(|look| look.1 == LARGEST));
        }
    }

    #[test]
    fn odd_pictures_and_options_do_no_harm() {
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
                    let picture = Picture {
                        image: &image,
                        name: "odd",
                    };
                    let faces = detector.detect(&picture, &options).unwrap();
                    // None of them holds a face of the least size.
                    assert_eq!(faces, [], "{width} x {height}");
                }
            }
        }
    }
}
