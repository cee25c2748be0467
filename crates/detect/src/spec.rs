//! A detector as it is named on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cascade::Cascade;
use crate::embedded::EmbeddedDetector;
use crate::given::{GivenBoxes, WholeImage};
use crate::onnx::OnnxDetector;
use crate::{DetectError, Detector};

/// The name of a detector as given on the command line, parsed: `embedded`, `cascade:FILE.xml`, `onnx:FILE.onnx`,
/// `boxes:FILE.jsonl` or `none`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DetectorSpec {
    /// Our own detector, whose weights are part of the binary.
    Embedded,
    /// An OpenCV LBP or Haar cascade in this XML file.
    Cascade(PathBuf),
    /// A FaceBoxes, YOLOv5, YOLOv8 or YOLO11 face model in this ONNX file.
    Onnx(PathBuf),
    /// Boxes that another program has written to this JSONL file, one line for each image.
    Boxes(PathBuf),
    /// No detection: the whole image is the face.
    None,
}

impl DetectorSpec {
    /// The file that the detector reads, if any.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Cascade(path) | Self::Onnx(path) | Self::Boxes(path) => Some(path),
            Self::Embedded | Self::None => None,
        }
    }

    /// Loads the detector: reads its file, if any, and checks that it is usable.
    ///
    /// # Errors
    /// [`DetectError`] naming the file and what is wrong with it.
    pub fn load(&self) -> Result<Box<dyn Detector>, DetectError> {
        Ok(match self {
            Self::Embedded => Box::new(EmbeddedDetector::new()?),
            Self::Cascade(path) => Box::new(Cascade::load(path)?),
            Self::Onnx(path) => Box::new(OnnxDetector::load(path)?),
            Self::Boxes(path) => Box::new(GivenBoxes::load(path)?),
            Self::None => Box::new(WholeImage),
        })
    }
}

impl FromStr for DetectorSpec {
    type Err = DetectError;

    fn from_str(text: &str) -> Result<Self, DetectError> {
        let unknown = || DetectError::UnknownSpec(text.to_owned());
        match text.split_once(':') {
            None if text == "embedded" => Ok(Self::Embedded),
            None if text == "none" => Ok(Self::None),
            Some((_, "")) | None => Err(unknown()),
            Some(("cascade", path)) => Ok(Self::Cascade(path.into())),
            Some(("onnx", path)) => Ok(Self::Onnx(path.into())),
            Some(("boxes", path)) => Ok(Self::Boxes(path.into())),
            Some(_) => Err(unknown()),
        }
    }
}

impl fmt::Display for DetectorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Cascade(path) => write!(f, "cascade:{}", path.display()),
            Self::Onnx(path) => write!(f, "onnx:{}", path.display()),
            Self::Boxes(path) => write!(f, "boxes:{}", path.display()),
            Self::None => f.write_str("none"),
        }
    }
}

impl TryFrom<String> for DetectorSpec {
    type Error = DetectError;

    fn try_from(text: String) -> Result<Self, DetectError> {
        text.parse()
    }
}

impl From<DetectorSpec> for String {
    fn from(spec: DetectorSpec) -> String {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_survive_a_round_trip() {
        for text in [
            "embedded",
            "none",
            "cascade:a b.xml",
            "onnx:C:/m.onnx",
            "boxes:x/y.jsonl",
        ] {
            assert_eq!(text.parse::<DetectorSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_specs_name_the_choices() {
        for text in ["", "yolo", "cascade", "cascade:", "tflite:x", "none:x"] {
            let message = text.parse::<DetectorSpec>().unwrap_err().to_string();
            assert!(message.contains("onnx:FILE.onnx"), "{message}");
        }
    }

    #[test]
    fn missing_files_are_named() {
        for text in [
            "cascade:/nowhere/c.xml",
            "onnx:/nowhere/m.onnx",
            "boxes:/nowhere/b.jsonl",
        ] {
            let error = text
                .parse::<DetectorSpec>()
                .unwrap()
                .load()
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains("/nowhere/"), "{error}");
        }
    }

    #[test]
    fn the_embedded_detector_needs_no_file() {
        let detector = DetectorSpec::Embedded.load().unwrap();
        assert_eq!(detector.name(), "embedded");
    }
}
