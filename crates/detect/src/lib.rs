//! Face detection and face crops.
//!
//! - [`Detector`] is the trait of all detectors. [`DetectorSpec`] parses the name of one (`embedded`,
//!   `cascade:FILE.xml`, `onnx:FILE.onnx`, `boxes:FILE.jsonl` or `none`) and loads it.
//! - [`embedded`] is our own small network; its weights are part of the binary.
//! - [`cascade`] runs OpenCV LBP and Haar cascades without OpenCV, [`onnx`] runs FaceBoxes and YOLO face models, and
//!   [`given`] has the detectors without a model (`boxes:` and `none`).
//! - [`crop`] cuts a face out as a square training image, or returns the reason why not.
//!
//! Every detector works on the calling thread; callers process images in parallel.
//! Boxes are `[x0, y0, x1, y1]` in source pixels, tight around the face from brow to chin.
//!
//! ```
//! use detect::{DetectError, DetectOptions, Detector, DetectorSpec, NamedImage};
//!
//! # fn main() -> Result<(), DetectError> {
//! let detector = "embedded".parse::<DetectorSpec>()?.load()?;
//! let image = image::RgbImage::new(64, 64);
//! let named = NamedImage { image: &image, name: "empty.png" };
//! let faces = detector.detect(&named, &DetectOptions::default())?;
//! assert!(faces.is_empty());
//! # Ok(())
//! # }
//! ```

pub mod cascade;
pub mod crop;
mod detector;
pub mod embedded;
mod error;
mod geometry;
pub mod given;
pub mod onnx;
mod search;
mod shrink;
mod spec;

pub use detector::{DetectOptions, Detector, Face, NamedImage};
pub use error::DetectError;
pub use geometry::{area, intersection, intersection_over_union, suppress};
pub use spec::DetectorSpec;
