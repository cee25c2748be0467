//! Opens the feature networks that metrics need, and knows whether results are comparable with published ones.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::name::{Kind, Metric};
use feature_networks::inception::{
    self, Inception, InceptionOptions, STATE_DICT_URL, SeededWeights, Tap, softmax,
};
use feature_networks::vgg::{
    self, LPIPS_URL, TORCHSCRIPT_URL, TORCHVISION_URL, Vgg16, VggShape, VggSource,
};
use feature_networks::{FaceNetwork, Features, Placement};

/// The feature networks that a user can choose (`--features`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// The networks by which the metrics are defined: Inception and VGG16 with published weights.
    #[default]
    Inception,
    /// Inception and VGG16 with deterministic random weights.
    RandomInception,
    /// The first two thirds of Inception at 75 px (768 features, forty times faster) and a VGG16 with an eighth of the
    /// channels, both with deterministic random weights.
    RandomInceptionSmall,
    /// This project's face detector up to its last block (272 features). It was trained on drawn faces and needs no
    /// download.
    FaceDetector,
}

impl FeatureKind {
    /// The name in command-line arguments and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inception => "inception-2015-12-05",
            Self::RandomInception => "random-inception",
            Self::RandomInceptionSmall => "random-inception-small",
            Self::FaceDetector => "face-detector",
        }
    }

    /// Whether results with these networks are comparable with published ones.
    pub fn is_comparable(self) -> bool {
        self == Self::Inception
    }

    /// The name, in results, of the network that computes the features of `metric`.
    pub fn name_for(self, metric: &Metric) -> &'static str {
        match (metric.family(), self) {
            (_, Self::FaceDetector) => FaceNetwork::versioned_name(),
            (Family::Inception, kind) => kind.name(),
            (Family::Vgg, Self::Inception) => "vgg16",
            (Family::Vgg, Self::RandomInception) => "random-vgg16",
            (Family::Vgg, Self::RandomInceptionSmall) => "random-vgg16-small",
        }
    }
}

impl FromStr for FeatureKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "inception" | "inception-2015-12-05" => Self::Inception,
            "random-inception" => Self::RandomInception,
            "random-inception-small" => Self::RandomInceptionSmall,
            "face-detector" => Self::FaceDetector,
            _ => {
                return Err(format!(
                    "'{name}' is none of inception, face-detector, random-inception, random-inception-small"
                ));
            }
        })
    }
}

/// The two feature networks that metrics use. With [`FeatureKind::FaceDetector`], the face detector takes the place of
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The Inception network of FID.
    Inception,
    /// VGG16, for precision/recall and path lengths.
    Vgg,
}

/// The error message when the face detector is asked for Inception or VGG16 features.
const NO_OTHER_NETWORK: &str = "features of the face detector come from no other network";
/// Seed of random weights. It is constant, so that all machines compute the same results.
const RANDOM_SEED: u32 = 0;

/// The feature networks of a [`FeatureKind`]. Each network is opened when a metric needs it.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use metrics::{FeatureKind, FeatureNetwork};
///
/// let metrics = ["fid1k_full".parse()?];
/// let network = FeatureNetwork::for_metrics(FeatureKind::FaceDetector, &metrics, None)?;
/// let images = Tensor::zeros((2, 3, 64, 64), DType::U8, &Device::Cpu)?;
/// let (features, _) = network.extract(metrics[0].family(), &images)?;
/// assert_eq!((features.len(), features.dim()), (2, 272));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FeatureNetwork {
    kind: FeatureKind,
    cache: Option<PathBuf>,
    inception: Option<Inception>,
    vgg: Option<Vgg16>,
    face: Option<FaceNetwork>,
    placement: Placement,
}

impl FeatureNetwork {
    /// Opens the network for FID: the face detector or Inception, the latter with weights from the folder `cache`.
    ///
    /// # Errors
    /// `NoWeights`, with the source of the weights and the command that installs them.
    pub fn open(kind: FeatureKind, cache: Option<&Path>) -> Result<Self> {
        let mut network = Self::closed(kind, cache);
        match kind {
            FeatureKind::FaceDetector => network.face = Some(FaceNetwork::new()?),
            _ => network.inception = Some(network.open_inception()?),
        }
        Ok(network)
    }

    /// Opens the networks that `metrics` need, with weights from the folder `cache`.
    ///
    /// # Errors
    /// `NoWeights`, with the source of the weights and the command that installs them.
    pub fn for_metrics(
        kind: FeatureKind,
        metrics: &[Metric],
        cache: Option<&Path>,
    ) -> Result<Self> {
        let mut network = Self::closed(kind, cache);
        network.prepare(metrics)?;
        Ok(network)
    }

    /// Opens Inception with the weights in the file `path`. VGG16, if needed later, is opened from the folder of
    /// [`with_cache`](Self::with_cache).
    ///
    /// # Errors
    /// `Weights` when the file does not contain weights of Inception.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut network = Self::closed(FeatureKind::Inception, None);
        network.inception = Some(Inception::open(path, InceptionOptions::default())?);
        Ok(network)
    }

    /// Sets the folder with the weights of VGG16.
    pub fn with_cache(mut self, cache: Option<&Path>) -> Self {
        self.cache = cache.map(Path::to_path_buf);
        self
    }

    fn closed(kind: FeatureKind, cache: Option<&Path>) -> Self {
        Self {
            kind,
            cache: cache.map(Path::to_path_buf),
            inception: None,
            vgg: None,
            face: None,
            placement: Placement::default(),
        }
    }

    /// Moves the networks to a device, including those that will be opened later. Inception computes in the number type
    /// of the placement if its features are accurate enough in it. The others compute in f32: VGG16 must resolve the
    /// difference of two images one path step (1e-4) apart, and the face detector is small.
    ///
    /// # Errors
    /// When the device is out of memory.
    pub fn on(mut self, placement: &Placement) -> Result<Self> {
        let single = placement.in_f32();
        self.inception = self
            .inception
            .map(|n| n.on_checked(placement))
            .transpose()?;
        self.vgg = self.vgg.map(|n| n.on(&single)).transpose()?;
        self.face = self.face.map(|n| n.on(&single)).transpose()?;
        self.placement = placement.clone();
        Ok(self)
    }

    /// Opens the networks that `metrics` need and that are not open yet.
    ///
    /// # Errors
    /// `NoWeights`, with the source of the weights and the command that installs them.
    pub fn prepare(&mut self, metrics: &[Metric]) -> Result<()> {
        for metric in metrics {
            if self.kind == FeatureKind::FaceDetector {
                if matches!(metric.kind, Kind::InceptionScore | Kind::PathLength(_)) {
                    return Err(Error::no_weights(format!(
                        "{metric}: the face detector has neither classes nor distances between images: take \
                         --features inception or random-inception"
                    )));
                }
                if self.face.is_none() {
                    self.face = Some(FaceNetwork::new()?.on(&self.placement.in_f32())?);
                }
                continue;
            }
            match metric.family() {
                Family::Inception if self.inception.is_none() => {
                    self.inception = Some(self.open_inception()?);
                }
                Family::Vgg if self.vgg.is_none() => self.vgg = Some(self.open_vgg(metric)?),
                _ => {}
            }
            let refusal = match (metric.kind, &self.inception, &self.vgg) {
                (Kind::InceptionScore, Some(inception), _) if !has_classes(inception) => {
                    "the inception score needs features with classes: inception or random-inception"
                        .to_owned()
                }
                (Kind::PrecisionRecall, _, Some(vgg)) if !vgg.has_dense() => {
                    format!(
                        "the weights of VGG16 in the cache have no dense layers: fetch {TORCHSCRIPT_URL} and type \
                         `eval weights --from FILE`"
                    )
                }
                (Kind::PathLength(_), _, Some(vgg)) if !vgg.has_lpips() => {
                    format!(
                        "the weights of VGG16 in the cache lack those of LPIPS: fetch {LPIPS_URL} and type \
                         `eval weights --from FILE`"
                    )
                }
                _ => continue,
            };
            return Err(Error::no_weights(format!("{metric}: {refusal}")));
        }
        Ok(())
    }

    fn open_inception(&self) -> Result<Inception> {
        let seeded = SeededWeights {
            seed: Some(RANDOM_SEED),
            normalization: false,
        };
        let network = match self.kind {
            FeatureKind::Inception => {
                let path = self
                    .file(inception::FILE_NAME)
                    .ok_or_else(|| Error::no_weights(self.no_inception()))?;
                Inception::open(&path, InceptionOptions::default())?
            }
            FeatureKind::RandomInception => Inception::seeded(seeded, InceptionOptions::default())?,
            FeatureKind::RandomInceptionSmall => {
                let small = InceptionOptions {
                    side: 75,
                    tap: Tap::F768,
                };
                Inception::seeded(seeded, small)?
            }
            FeatureKind::FaceDetector => return Err(Error::no_weights(NO_OTHER_NETWORK.into())),
        };
        Ok(network.on_checked(&self.placement)?)
    }

    fn open_vgg(&self, metric: &Metric) -> Result<Vgg16> {
        let network = match self.kind {
            FeatureKind::Inception => {
                let path = self
                    .file(vgg::FILE_NAME)
                    .ok_or_else(|| Error::no_weights(self.no_vgg(metric)))?;
                Vgg16::open(&path)?
            }
            FeatureKind::RandomInception => Vgg16::seeded(VggShape::default(), RANDOM_SEED)?,
            FeatureKind::RandomInceptionSmall => Vgg16::seeded(VggShape::SMALL, RANDOM_SEED)?,
            FeatureKind::FaceDetector => return Err(Error::no_weights(NO_OTHER_NETWORK.into())),
        };
        Ok(network.on(&self.placement.in_f32())?)
    }

    /// The path of a file in the cache folder; `None` when it does not exist.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.cache.as_ref()?.join(name);
        path.is_file().then_some(path)
    }

    /// The choice of networks.
    pub fn kind(&self) -> FeatureKind {
        self.kind
    }

    /// VGG16; `None` when no metric has opened it.
    pub(crate) fn vgg(&self) -> Option<&Vgg16> {
        self.vgg.as_ref()
    }

    /// The origin of VGG16's weights; `None` when it is not open.
    pub(crate) fn vgg_source(&self) -> Option<VggSource> {
        self.vgg.as_ref().map(Vgg16::source)
    }

    /// Whether results of `metric` are comparable with published ones.
    pub(crate) fn is_comparable(&self, metric: &Metric) -> bool {
        // torchvision's dense layers give other values of precision and recall than NVIDIA's. LPIPS does not use these
        // layers.
        self.kind.is_comparable()
            && (metric.kind != Kind::PrecisionRecall
                || self.vgg_source() == Some(VggSource::Nvidia))
    }

    /// The number type in which a network computes, as text: `f32` or `f16`.
    pub(crate) fn precision(&self, family: Family) -> &'static str {
        match (family, &self.inception) {
            (Family::Inception, Some(inception)) => inception.placement().dtype.as_str(),
            _ => DType::F32.as_str(),
        }
    }

    /// The first digits of the SHA-256 of the weights; `None` for random weights.
    pub(crate) fn weights_checksum(&self, family: Family) -> Option<&str> {
        match family {
            Family::Inception => self.inception.as_ref()?.checksum(),
            Family::Vgg => self.vgg.as_ref()?.checksum(),
        }
    }

    /// The part of a cache file's name that identifies the network. It depends on the weights and on whether they
    /// compute in f32 or f16, but not on the device.
    pub(crate) fn cache_name(&self, family: Family) -> String {
        let name = match family {
            _ if self.kind == FeatureKind::FaceDetector => FaceNetwork::versioned_name().to_owned(),
            Family::Inception => self.kind.name().to_owned(),
            Family::Vgg => {
                let source = self.vgg_source().map_or("none", VggSource::name);
                format!("vgg16 {} {source}", self.kind.name())
            }
        };
        let weights = self.weights_checksum(family);
        let precision = Some(self.precision(family)).filter(|short| *short != "f32");
        let parts = [Some(name.as_str()), weights, precision];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Computes one row of features for each of the images, `u8` `[n, 1 or 3, height, width]`, and one row of class
    /// probabilities (`None` where the network has no classes).
    ///
    /// # Errors
    /// `Images` when `images` has another shape or type; `NoWeights` when the network is not open.
    pub fn extract(&self, family: Family, images: &Tensor) -> Result<(Features, Option<Features>)> {
        let closed = || Error::no_weights("the feature network was not opened".into());
        if self.kind == FeatureKind::FaceDetector {
            let face = self.face.as_ref().ok_or_else(closed)?;
            return Ok((face.features(images)?, None));
        }
        match family {
            Family::Inception => {
                let output = self
                    .inception
                    .as_ref()
                    .ok_or_else(closed)?
                    .extract(images)?;
                Ok((
                    output.features,
                    output.logits_unbiased.as_ref().map(softmax),
                ))
            }
            Family::Vgg => Ok((
                self.vgg.as_ref().ok_or_else(closed)?.features(images)?,
                None,
            )),
        }
    }

    fn no_inception(&self) -> String {
        format!(
            "no weights of the Inception network: {}; fetch {STATE_DICT_URL} and type `eval weights --from FILE` \
             (or `eval weights --download`), or take `--features face-detector`, whose numbers cannot be compared \
             with published ones",
            self.where_it_should_be(inception::FILE_NAME)
        )
    }

    fn no_vgg(&self, metric: &Metric) -> String {
        format!(
            "{metric}: no weights of VGG16 with LPIPS: {}; fetch {TORCHSCRIPT_URL} and type `eval weights --from FILE` \
             (or torchvision's and those of LPIPS, {TORCHVISION_URL} and {LPIPS_URL}, with --from twice), or take \
             `--features random-inception`, whose numbers cannot be compared with published ones",
            self.where_it_should_be(vgg::FILE_NAME)
        )
    }

    fn where_it_should_be(&self, name: &str) -> String {
        match &self.cache {
            Some(cache) => format!("'{}' is not there", cache.join(name).display()),
            None => "no cache folder is known (set KAOGAN_CACHE)".to_owned(),
        }
    }
}

fn has_classes(inception: &Inception) -> bool {
    inception.options().tap == Tap::F2048
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_other_weights_have_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let [a, b] = [1, 2].map(|seed| {
            let seeded = SeededWeights {
                seed: Some(seed),
                normalization: true,
            };
            candle_core::safetensors::save(&seeded.tensors().unwrap(), &path).unwrap();
            FeatureNetwork::from_file(&path).unwrap()
        });
        let family = Family::Inception;
        assert_ne!(a.cache_name(family), b.cache_name(family));
        assert_eq!(a.weights_checksum(family).unwrap().len(), 8);
        assert_eq!(a.weights_checksum(Family::Vgg), None);
    }

    #[test]
    fn the_face_detector_refuses_what_it_cannot_measure() {
        let open = |metric: &str| {
            let metrics = [metric.parse().unwrap()];
            FeatureNetwork::for_metrics(FeatureKind::FaceDetector, &metrics, None)
        };
        for metric in ["is50k", "ppl2_wend"] {
            let error = open(metric).err().unwrap().to_string();
            assert!(
                error.contains(metric) && error.contains("--features"),
                "{error}"
            );
        }
        for metric in ["fid50k_full", "kid50k_full", "pr50k3_full"] {
            assert!(!open(metric).unwrap().kind().is_comparable());
        }
    }
}
