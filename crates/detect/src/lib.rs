//! Face detectors behind one trait, and face crops.
//!
//! - [`Detector`] finds faces in one image; [`DetectorSpec`] reads `cascade:FILE.xml`, `onnx:FILE.onnx`,
//!   `boxes:FILE.jsonl`, `none` or `embedded` and loads it.
//! - [`embedded`] is our own small network, whose weights are part of the binary.
//! - [`cascade`] is our own engine for OpenCV LBP and Haar cascades, [`onnx`] runs FaceBoxes and YOLO face models,
//!   [`given`] holds the detectors without a model (`boxes:` and `none`).
//! - [`crop`] turns a face box into a square training image, or returns the reason for a refusal.
//!
//! Every detector works on one thread: callers process images in parallel.
//! Boxes are `[x0, y0, x1, y1]` in source pixels, tight on the face from brow to chin.
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
