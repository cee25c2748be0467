//! All settings of a run, as in a recipe and in the recipe that is written beside the zip.

use crate::metadata::{LabelSource, MetadataFilter};
use decode::DecodeOptions;
use detect::crop::CropOptions;
use detect::{DetectOptions, DetectorSpec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// All settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurationConfig {
    /// Face detector.
    pub detector: DetectorSpec,
    /// Options of decoding.
    pub decode: DecodeOptions,
    /// Options of the detector.
    pub detect: DetectOptions,
    /// Options of the crop.
    pub crop: CropOptions,
    /// Quality filters.
    pub filters: FilterOptions,
    /// Near-duplicate removal.
    pub dedup: DedupOptions,
    /// Filters on tags, rating and score.
    pub metadata: MetadataFilter,
    /// Source of class labels.
    pub labels: Option<LabelSource>,
    /// List of contents that are never kept.
    pub exclude: Option<PathBuf>,
    /// PNG level of the samples, 0 (stored) to 9.
    pub png_level: u8,
}

impl Default for CurationConfig {
    fn default() -> Self {
        Self {
            detector: DetectorSpec::Embedded,
            decode: DecodeOptions::default(),
            detect: DetectOptions::default(),
            crop: CropOptions::default(),
            filters: FilterOptions::default(),
            dedup: DedupOptions::default(),
            metadata: MetadataFilter::default(),
            labels: None,
            exclude: None,
            png_level: 0,
        }
    }
}

/// A limit of a filter: a number, or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(pub Option<f64>);

impl Limit {
    /// The filter cuts here.
    pub const fn at(value: f64) -> Self {
        Self(Some(value))
    }

    /// Whether a value lies below an active limit.
    pub fn is_undercut_by(self, value: f64) -> bool {
        self.0.is_some_and(|limit| value < limit)
    }

    /// Whether a value lies above an active limit.
    pub fn is_exceeded_by(self, value: f64) -> bool {
        self.0.is_some_and(|limit| value > limit)
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self(Some(value))),
            _ => Err(format!("'{text}' is neither a number nor 'off'")),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("off"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(value) => serializer.serialize_f64(value),
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(value) => Ok(Self(Some(value))),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The quality filters: each a number that is measured and recorded, and a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterOptions {
    /// Least chroma (0 to about 100) off the main hue axis; grayscale, sepia and tinted images have less.
    #[serde(alias = "colour")]
    pub chroma: Limit,
    /// Largest share of the image that is one flat tone.
    pub blank: Limit,
    /// Largest share of the image that is covered with writing.
    pub text: Limit,
    /// Largest ratio of the longer to the shorter side of an image.
    pub aspect: Limit,
    /// Largest blur of a crop (Crété's metric, 0 sharp to 1).
    pub blur: Limit,
    /// Least real detail of a crop: source pixels that carry detail over pixels of the result, per side.
    pub detail: Limit,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            chroma: Limit::at(8.0),
            blank: Limit::at(0.985),
            text: Limit::at(0.4),
            aspect: Limit::at(5.0),
            blur: Limit::at(0.7),
            detail: Limit::at(0.5),
        }
    }
}

/// Near-duplicate removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupOptions {
    /// Compare whole images.
    #[serde(alias = "pictures")]
    pub images: bool,
    /// Compare face crops.
    pub faces: bool,
    /// Hamming radius of the search on images.
    pub radius: u32,
    /// Hamming radius of the search on faces; larger, since detectors jitter.
    pub face_radius: u32,
    /// Find mirrored copies too.
    pub mirrored: bool,
    /// Variants of one drawing kept besides the best; all when not set.
    pub max_variants: Option<u32>,
}

impl Default for DedupOptions {
    fn default() -> Self {
        Self {
            images: true,
            faces: true,
            radius: 8,
            face_radius: 10,
            mirrored: true,
            max_variants: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolved_recipe_reads_back_the_same() {
        let mut config = CurationConfig::default();
        config.filters.blur = Limit(None);
        config.labels = Some("tag:blue_hair,red_hair".parse().unwrap());
        config.detector = "onnx:a b.onnx".parse().unwrap();
        config.metadata.ratings = vec!["g".into()];
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<CurationConfig>(&text).unwrap(), config);
        assert!(text.contains("blur = \"off\""));
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        let error = toml::from_str::<CurationConfig>("[filters]\nblurr = 1")
            .unwrap_err()
            .to_string();
        assert!(error.contains("blurr"), "{error}");
    }
}
