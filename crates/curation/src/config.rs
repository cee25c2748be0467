//! All settings that a dataset depends on, as they are written in a recipe file and in the recipe beside the zip.

use crate::metadata::{LabelSource, MetadataFilter};
use decode::DecodeOptions;
use detect::crop::CropOptions;
use detect::{DetectOptions, DetectorSpec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// All settings that a dataset depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurationConfig {
    /// Face detector.
    pub detector: DetectorSpec,
    /// Options of decoding.
    pub decode: DecodeOptions,
    /// Options of the detector.
    pub detect: DetectOptions,
    /// Options of the face crops.
    pub crop: CropOptions,
    /// Limits of the quality filters.
    pub filters: FilterOptions,
    /// Options of near-duplicate removal.
    pub dedup: DedupOptions,
    /// The file with the posts, and filters on their tags, rating and score.
    pub metadata: MetadataFilter,
    /// Source of class labels; `None` for a dataset without labels.
    pub labels: Option<LabelSource>,
    /// File with the exclusion list: hashes of files and images that are never kept.
    pub exclude: Option<PathBuf>,
    /// Compression level of the samples' PNG files, 0 (stored) to 9.
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

/// A limit of a filter: a number, or `None` for no limit. `None` is written `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(pub Option<f64>);

impl Limit {
    /// An active limit.
    pub const fn at(value: f64) -> Self {
        Self(Some(value))
    }

    /// Whether the limit is active and `value` lies below it.
    pub fn is_undercut_by(self, value: f64) -> bool {
        self.0.is_some_and(|limit| value < limit)
    }

    /// Whether the limit is active and `value` lies above it.
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

/// Limits of the quality filters. Each filter compares one number with its limit; the number is measured and recorded
/// even when the limit is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterOptions {
    /// Least chroma of an image ([`crate::measure::chroma`], 0 to about 100); grayscale, sepia and tinted images lie
    /// below the default limit.
    #[serde(alias = "colour")]
    pub chroma: Limit,
    /// Largest share of an image, 0 to 1, that is one flat tone ([`crate::measure::blank_share`]).
    pub blank: Limit,
    /// Largest share of an image, 0 to 1, that is covered with text ([`crate::measure::text_share`]).
    pub text: Limit,
    /// Largest ratio of the longer to the shorter side of an image.
    pub aspect: Limit,
    /// Largest blur of a crop, 0 (sharp) to 1 ([`crate::measure::blur`]).
    pub blur: Limit,
    /// Least detail of a crop: number of source pixels that carry detail for each pixel of the finished crop, along one
    /// side. A crop that was enlarged to twice its side has a detail of 0.5.
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

/// Options of near-duplicate removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupOptions {
    /// Whether whole images are compared.
    #[serde(alias = "pictures")]
    pub images: bool,
    /// Whether face crops are compared.
    pub faces: bool,
    /// Hamming distance of 64-bit perceptual hashes up to which two images are compared as possible copies.
    pub radius: u32,
    /// Like `radius`, for face crops. The default is larger, since a detector frames two copies of a face a little
    /// differently.
    pub face_radius: u32,
    /// Whether mirrored copies are found too.
    pub mirrored: bool,
    /// Largest number of variants of one drawing that are kept in addition to the best image; `None` for all.
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
