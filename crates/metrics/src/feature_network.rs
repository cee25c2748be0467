//! Which network features come from, and what its numbers may be compared with.

use std::path::Path;
use std::str::FromStr;

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::features::Features;
use crate::inception::{
    FILE_NAME, Formula, Inception, InceptionOptions, STATE_DICT_URL, Tap, softmax,
};

/// Kinds of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// The network that FID is defined by; needs a file of weights.
    #[default]
    Inception,
    /// The same network with weights by seed.
    RandomInception,
    /// The first two thirds of it at 75 px with weights by seed: 768 features, forty times faster.
    RandomInceptionSmall,
}

impl FeatureKind {
    /// The name in arguments and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inception => "inception-2015-12-05",
            Self::RandomInception => "random-inception",
            Self::RandomInceptionSmall => "random-inception-small",
        }
    }

    /// Whether numbers may be compared with published ones.
    pub fn is_comparable(self) -> bool {
        self == Self::Inception
    }
}

impl FromStr for FeatureKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "inception" | "inception-2015-12-05" => Self::Inception,
            "random-inception" => Self::RandomInception,
            "random-inception-small" => Self::RandomInceptionSmall,
            _ => {
                return Err(format!(
                    "'{name}' is none of inception, random-inception, random-inception-small"
                ));
            }
        })
    }
}

/// Seed of the weights of random networks: fixed, so that numbers of two machines agree.
const RANDOM_SEED: u32 = 0;

/// The networks that turn images into features.
pub struct FeatureNetwork {
    kind: FeatureKind,
    inception: Inception,
}

impl FeatureNetwork {
    /// Opens a kind; weights are looked for in the folder `cache`.
    ///
    /// # Errors
    /// `NoWeights` telling where to get them and what to type.
    pub fn open(kind: FeatureKind, cache: Option<&Path>) -> Result<Self> {
        let formula = Formula {
            seed: Some(RANDOM_SEED),
            normalization: false,
        };
        let inception = match kind {
            FeatureKind::Inception => {
                let path = cache
                    .map(|cache| cache.join(FILE_NAME))
                    .filter(|path| path.is_file())
                    .ok_or_else(|| Error::NoWeights(no_inception(cache)))?;
                Inception::open(&path, InceptionOptions::default())?
            }
            FeatureKind::RandomInception => {
                Inception::by_formula(formula, InceptionOptions::default())?
            }
            FeatureKind::RandomInceptionSmall => Inception::by_formula(
                formula,
                InceptionOptions {
                    side: 75,
                    tap: Tap::F768,
                },
            )?,
        };
        Ok(Self { kind, inception })
    }

    /// Inception with the weights of a file, wherever it lies.
    ///
    /// # Errors
    /// `Weights`.
    pub fn from_file(path: &Path) -> Result<Self> {
        Ok(Self {
            kind: FeatureKind::Inception,
            inception: Inception::open(path, InceptionOptions::default())?,
        })
    }

    /// The kind.
    pub fn kind(&self) -> FeatureKind {
        self.kind
    }

    /// Whether an inception score can be taken.
    pub fn has_classes(&self) -> bool {
        self.inception.options().tap == Tap::F2048
    }

    /// Features of a batch of `u8` images, and class probabilities where the network has them.
    ///
    /// # Errors
    /// `Images`.
    pub fn extract(&self, images: &Tensor) -> Result<(Features, Option<Features>)> {
        let output = self.inception.extract(images)?;
        Ok((
            output.features,
            output.logits_unbiased.as_ref().map(softmax),
        ))
    }
}

fn no_inception(cache: Option<&Path>) -> String {
    let place = cache.map_or_else(
        || "no cache folder is known (set KAOGAN_CACHE)".to_owned(),
        |cache| format!("'{}' is not there", cache.join(FILE_NAME).display()),
    );
    format!(
        "no weights of the Inception network: {place}; fetch {STATE_DICT_URL} and type `eval inception --from FILE` \
         (or `eval inception --download`), or take `--features random-inception`, whose numbers cannot be compared with \
         published ones"
    )
}
