//! Metrics and their names, such as `fid50k_full` and `pr50k3_full`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The quantity that a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Fréchet inception distance.
    Fid,
    /// Kernel inception distance.
    Kid,
    /// Precision and recall with the 3 nearest neighbors.
    PrecisionRecall,
    /// Density and coverage with the 5 nearest neighbors.
    DensityCoverage,
    /// Memorization: how close generated images are to their nearest training images.
    Memorization,
    /// Inception score.
    InceptionScore,
    /// Perceptual path length.
    PathLength(PathOptions),
}

/// The latent paths of a path length, and the part of the image that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PathOptions {
    /// Whether paths interpolate `w` instead of `z`.
    pub in_w: bool,
    /// Whether the step is at a random position of the path instead of at its start.
    pub full: bool,
    /// Whether only the center of the image is compared, where faces usually are.
    pub crop: bool,
}

/// The real images that a metric compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reals {
    /// The whole dataset, not mirrored (names with `_full`).
    Full,
    /// Images mirrored and selected as in training, but at most as many as generated images.
    Limited,
    /// The metric uses no real images.
    Unused,
}

/// A metric: what it measures, the number of generated images ("fakes") and the real images.
///
/// Names are those of NVIDIA's StyleGAN2-ADA (`fid50k_full`), with any number of images in place of `50k`.
///
/// ```
/// let metric: metrics::Metric = "fid2500_full".parse()?;
/// assert_eq!(metric.n_fakes, 2500);
/// assert_eq!(metric.to_string(), "fid2500_full");
/// # Ok::<(), metrics::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metric {
    /// The quantity that is measured.
    pub kind: Kind,
    /// Number of generated images; `usize::MAX` for all images of a folder.
    pub n_fakes: usize,
    /// The real images that they are compared with.
    pub reals: Reals,
}

impl Metric {
    /// The metric of this kind over all generated and all real images, for two folders of images.
    pub fn over_all(kind: Kind) -> Self {
        Self {
            kind,
            n_fakes: usize::MAX,
            reals: Reals::Full,
        }
    }

    /// Whether the metric is a path length, which is measured along latent paths instead of on single images.
    pub fn is_path(&self) -> bool {
        matches!(self.kind, Kind::PathLength(_))
    }

    /// Names of the metric's results; the first is the main one.
    pub fn results(&self) -> Vec<String> {
        let name = self.to_string();
        let parts: &[&str] = match self.kind {
            Kind::PrecisionRecall => &["precision", "recall"],
            Kind::DensityCoverage => &["density", "coverage"],
            Kind::Memorization => &["share", "distance_ratio"],
            Kind::InceptionScore => &["mean", "std"],
            _ => return vec![name],
        };
        parts.iter().map(|part| format!("{name}_{part}")).collect()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.n_fakes {
            usize::MAX => String::new(),
            n if n % 1000 == 0 => format!("{}k", n / 1000),
            n => n.to_string(),
        };
        let full = match self.reals {
            Reals::Full if self.n_fakes != usize::MAX => "_full",
            _ => "",
        };
        match self.kind {
            Kind::Fid => write!(f, "fid{count}{full}"),
            Kind::Kid => write!(f, "kid{count}{full}"),
            Kind::PrecisionRecall => write!(f, "pr{count}{}{full}", neighbors(&count, 3)),
            Kind::DensityCoverage => write!(f, "dc{count}{}{full}", neighbors(&count, 5)),
            Kind::Memorization => write!(f, "mem{count}{full}"),
            Kind::InceptionScore => write!(f, "is{count}"),
            Kind::PathLength(path) => {
                let prefix = if count == "50k" { String::new() } else { count };
                let space = if path.in_w { 'w' } else { 'z' };
                let sampling = if path.full { "full" } else { "end" };
                let version = if path.crop { "" } else { "2" };
                write!(f, "ppl{version}_{prefix}{space}{sampling}")
            }
        }
    }
}

/// The number of neighbors in a name: `3` after a number of thousands (`50k3`), `_3` after others (`500_3`), so that
/// names can be parsed.
fn neighbors(count: &str, k: usize) -> String {
    if count.is_empty() || count.ends_with('k') {
        k.to_string()
    } else {
        format!("_{k}")
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        parse(name).ok_or_else(|| Error::UnknownMetric(name.to_owned()))
    }
}

fn parse(name: &str) -> Option<Metric> {
    if let Some(rest) = name.strip_prefix("ppl") {
        let (crop, rest) = match rest.strip_prefix("2_") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix('_')?),
        };
        let (digits, rest) = rest.split_at(rest.find(['z', 'w'])?);
        let n_fakes = if digits.is_empty() {
            50_000
        } else {
            count(digits)?
        };
        let (in_w, rest) = (rest.starts_with('w'), &rest[1..]);
        let full = match rest {
            "full" => true,
            "end" => false,
            _ => return None,
        };
        let path = PathOptions { in_w, full, crop };
        return Some(Metric {
            kind: Kind::PathLength(path),
            n_fakes,
            reals: Reals::Unused,
        });
    }
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let (kind, rest) = name.split_at(digits);
    let (rest, reals) = match rest.strip_suffix("_full") {
        Some(rest) => (rest, Reals::Full),
        None => (rest, Reals::Limited),
    };
    // In `50k3`, the digit after the k is the number of neighbors.
    let with_neighbors = |k: char| -> Option<usize> {
        let rest = rest.strip_suffix(k)?;
        let rest = match rest.strip_suffix('_') {
            Some(plain) => plain,
            None if rest.ends_with('k') => rest,
            None => return None,
        };
        count(rest)
    };
    let (kind, n_fakes) = match kind {
        "fid" => (Kind::Fid, count(rest)?),
        "kid" => (Kind::Kid, count(rest)?),
        "pr" => (Kind::PrecisionRecall, with_neighbors('3')?),
        "dc" => (Kind::DensityCoverage, with_neighbors('5')?),
        "mem" => (Kind::Memorization, count(rest)?),
        "is" if reals == Reals::Limited => (Kind::InceptionScore, count(rest)?),
        _ => return None,
    };
    let reals = if kind == Kind::InceptionScore {
        Reals::Unused
    } else {
        reals
    };
    Some(Metric {
        kind,
        n_fakes,
        reals,
    })
}

/// Parses a number of images such as `50k` or `500`, from 2 to 10 million.
fn count(text: &str) -> Option<usize> {
    let n = match text.strip_suffix('k') {
        Some(thousands) => thousands.parse::<usize>().ok()?.checked_mul(1000)?,
        None => text.parse().ok()?,
    };
    (2..=10_000_000).contains(&n).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_back() {
        for name in [
            "fid50k_full",
            "fid50k",
            "fid5k_full",
            "fid10k_full",
            "fid500_full",
            "kid50k_full",
            "kid50k",
            "pr50k3_full",
            "pr300_3_full",
            "dc50k5_full",
            "mem5k_full",
            "is50k",
            "is200",
            "ppl2_wend",
            "ppl_zfull",
            "ppl_wfull",
            "ppl_zend",
            "ppl_wend",
            "ppl2_100wend",
            "ppl2_1kwend",
        ] {
            let metric: Metric = name.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(metric.to_string(), name);
        }
        let fid: Metric = "fid2k_full".parse().unwrap();
        assert_eq!(
            (fid.kind, fid.n_fakes, fid.reals),
            (Kind::Fid, 2000, Reals::Full)
        );
    }

    #[test]
    fn other_names_are_refused_with_the_list() {
        for name in [
            "",
            "fid",
            "fidk_full",
            "fid50k_half",
            "is50k_full",
            "pr50k_full",
            "ppl3_wend",
            "fid1_full",
            "lpips",
        ] {
            let error = name.parse::<Metric>().unwrap_err().to_string();
            assert!(error.contains("fid50k_full"), "{error}");
        }
    }
}
