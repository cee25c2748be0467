//! Our own implementation of OpenCV cascade classifiers: LBP and Haar features (upright and tilted), stumps and trees,
//! read from OpenCV's new-style XML files.
//!
//! [`Cascade`] is the detector. [`Cascade::detect_gray`] corresponds to OpenCV's `detectMultiScale` on a gray image and
//! returns the same boxes as OpenCV 4. The algorithm follows OpenCV's documentation of `CascadeClassifier`; Haar
//! cascades are described by Viola and Jones (2001), LBP cascades by Liao et al. (2007).

mod engine;
mod exact_linear;
mod gray;
mod group;
mod integral;
mod lanes;
mod model;
mod pyramid;
mod window;

use std::path::Path;

use image::GrayImage;
use serde::{Deserialize, Serialize};

use crate::search::{SearchOptions, search};
use crate::shrink::{fitted_size, resize_gray};
use crate::{DetectError, DetectOptions, Detector, Face, NamedImage};
pub use gray::{equalize, luma};
pub use group::{Group, Window, group_windows};
use model::Model;

/// Options of the sliding window, named and defined as in OpenCV's `detectMultiScale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CascadeOptions {
    /// Ratio of each window size to the next smaller one; values below 1.01 are raised to 1.01.
    pub scale_factor: f64,
    /// A face is returned if the cascade accepts more than this many neighboring windows around it; with 0 every
    /// accepted window is returned.
    pub min_neighbors: u32,
    /// Windows whose width or height is below this many pixels are left out.
    pub min_size: u32,
    /// Windows whose width or height is above this many pixels are left out; 0 for no limit.
    pub max_size: u32,
}

impl Default for CascadeOptions {
    fn default() -> Self {
        Self {
            scale_factor: 1.1,
            min_neighbors: 3,
            min_size: 24,
            max_size: 0,
        }
    }
}

/// Result of [`Cascade::detect_gray`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detections {
    /// Groups of neighboring windows, in pixels of the image, in the order in which their first windows were found.
    pub groups: Vec<Group>,
    /// Number of accepted windows before grouping.
    pub n_raw: usize,
}

/// A face detector that runs an OpenCV cascade.
#[derive(Clone, Debug)]
pub struct Cascade {
    name: String,
    model: Model,
    options: CascadeOptions,
}

/// Default of [`DetectOptions::longest_side`]; larger values were slower and found fewer faces.
const LONGEST_SIDE: u32 = 640;
/// Largest accepted cascade file, in bytes; the largest in use has 3 MiB.
const MAX_BYTES: u64 = 64 << 20;
/// Number of windows in the group of a face whose score is 0.5; a group of `n` windows scores `n / (n + 10)`.
const HALF_SCORE_NEIGHBORS: f32 = 10.0;

impl Cascade {
    /// Reads a cascade from an XML file; it uses the default [`CascadeOptions`].
    ///
    /// # Errors
    /// [`DetectError::Read`], or [`DetectError::Model`] when the file is not a new-style LBP or Haar cascade.
    pub fn load(path: &Path) -> Result<Self, DetectError> {
        let bytes = DetectError::read_model(path, MAX_BYTES)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| DetectError::model(path, "is not XML: not UTF-8 text"))?;
        let model = Model::parse(text).map_err(|message| DetectError::model(path, message))?;
        let name = format!("cascade:{}", path.display());
        Ok(Self {
            name,
            model,
            options: CascadeOptions::default(),
        })
    }

    /// The same cascade with other options for [`Detector::detect`].
    ///
    /// `min_size` is raised to [`DetectOptions::min_face`], scaled to the searched image, where that is larger.
    pub fn with_options(mut self, options: CascadeOptions) -> Self {
        self.options = options;
        self
    }

    /// Searches a gray image, without equalization or shrinking, like OpenCV's `detectMultiScale`.
    ///
    /// # Errors
    /// A message when the cascade accepts so many windows that it cannot be one for faces.
    pub fn detect_gray(
        &self,
        image: &GrayImage,
        options: &CascadeOptions,
    ) -> Result<Detections, String> {
        let windows = engine::windows(&self.model, image, options)?;
        let mut groups = group_windows(&windows, options.min_neighbors);
        // Because of rounding, windows of coarse scales can extend one pixel over the border.
        let (width, height) = (image.width() as i32, image.height() as i32);
        for Group { window, .. } in &mut groups {
            window.width = window.width.min(width - window.x);
            window.height = window.height.min(height - window.y);
        }
        Ok(Detections {
            n_raw: windows.len(),
            groups,
        })
    }

    fn find(&self, gray: &GrayImage, options: SearchOptions) -> Result<Vec<Face>, String> {
        let (width, height) = gray.dimensions();
        let fitted = fitted_size(width, height, options.longest_side);
        let mut small = if fitted == (width, height) {
            gray.clone()
        } else {
            resize_gray(gray, fitted.0, fitted.1)
        };
        equalize(&mut small);
        let (right, down) = (
            width as f32 / fitted.0 as f32,
            height as f32 / fitted.1 as f32,
        );
        let smallest = (options.min_face / right.max(down)).ceil() as u32;
        let options = CascadeOptions {
            min_size: self.options.min_size.max(smallest),
            ..self.options
        };
        let detections = self.detect_gray(&small, &options)?;
        let face = |group: Group| {
            let Window {
                x,
                y,
                width,
                height,
            } = group.window;
            let [x0, y0, x1, y1] = [x, y, x + width, y + height].map(|v| v as f32);
            let neighbors = group.neighbors as f32;
            let score = neighbors / (neighbors + HALF_SCORE_NEIGHBORS);
            Face {
                rect: [x0 * right, y0 * down, x1 * right, y1 * down],
                score,
            }
        };
        Ok(detections.groups.into_iter().map(face).collect())
    }
}

impl Detector for Cascade {
    fn name(&self) -> &str {
        &self.name
    }

    /// 0: faces are already filtered by [`CascadeOptions::min_neighbors`].
    fn default_threshold(&self) -> f32 {
        0.0
    }

    fn detect(
        &self,
        named: &NamedImage<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Face>, DetectError> {
        let search_options = SearchOptions {
            longest_side: options.longest_side.unwrap_or(LONGEST_SIDE),
            min_face: options.min_face,
            threshold: options.threshold.unwrap_or(self.default_threshold()),
        };
        search(named, options, search_options, |image, options| {
            self.find(&luma(image), options)
                .map_err(|message| DetectError::Run {
                    detector: self.name.clone(),
                    image: named.name.to_owned(),
                    message,
                })
        })
    }
}
