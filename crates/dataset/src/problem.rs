//! Violations of the requirements of the loader, and the report that lists them by file name.

use std::fmt;

use serde::Serialize;

/// A violation of the requirements of the loader by one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The dataset has no image.
    NoImages,
    /// Not an image, or a damaged image; the text is the reason.
    Undecodable(String),
    /// The file ends before the image does; the text is the reason.
    Truncated(String),
    /// The shape `[channels, height, width]` differs from that of most images.
    Shape {
        /// Shape of this image.
        found: [usize; 3],
        /// Shape of most images.
        expected: [usize; 3],
    },
    /// The image is not square, or its side is not a power of two of at least 4.
    Side {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The image has an alpha channel.
    Alpha,
    /// The image has more than 8 bits per channel.
    Depth {
        /// Bits per channel.
        bits: usize,
    },
    /// Labels are required, but `dataset.json` has none at all.
    NoLabels,
    /// The image has no label in `dataset.json`, though others have one.
    MissingLabel,
    /// The label is neither a class nor a vector, or of another form than the first one; the text is the reason.
    BadLabel(String),
    /// A label for an image that does not exist.
    StrayLabel,
    /// A file that is neither a sample nor `dataset.json`.
    StrayFile,
    /// The name begins with `/`, contains `:` or leads out of the dataset by `..`.
    UnsafeName,
    /// Another entry of the zip has the same name.
    DuplicateNames,
}

impl ProblemKind {
    /// The line above the list of files with this violation.
    pub(crate) fn heading(&self) -> &'static str {
        match self {
            Self::NoImages => "no images",
            Self::Undecodable(_) => "cannot be decoded (remove or replace them)",
            Self::Truncated(_) => "cut short (download them again)",
            Self::Shape { .. } => {
                "another shape than most [channels, height, width] (pack the set anew at one size)"
            }
            Self::Side { .. } => {
                "not square with a side that is a power of two (pack the set with a resolution)"
            }
            Self::Alpha => "with an alpha channel (pack the set as RGB)",
            Self::Depth { .. } => "more than 8 bits a channel (pack the set as 8 bit)",
            Self::NoLabels => {
                "no labels in dataset.json (train without --cond, or pack the set with labels)"
            }
            Self::MissingLabel => "no label in dataset.json, though others have one",
            Self::BadLabel(_) => "a label of the wrong form",
            Self::StrayLabel => "a label without an image",
            Self::StrayFile => "not a sample (keep other files beside the dataset)",
            Self::UnsafeName => "a name that leads out of the dataset",
            Self::DuplicateNames => "another entry of the same name (pack the set anew)",
        }
    }

    /// The part of the description that differs between files.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Undecodable(reason) | Self::Truncated(reason) | Self::BadLabel(reason) => {
                Some(reason.clone())
            }
            Self::Shape { found, expected } => Some(format!("{found:?}, not {expected:?}")),
            Self::Side { width, height } => Some(format!("{width} x {height}")),
            Self::Depth { bits } => Some(format!("{bits} bits")),
            _ => None,
        }
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the file in the dataset, or path of the dataset itself.
    pub name: String,
    /// The violation.
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(name: impl Into<String>, kind: ProblemKind) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.detail() {
            Some(detail) => write!(f, "{}: {detail}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The result of a check. Displayed as groups of violations by kind, with at most 20 names each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Number of images in the dataset.
    pub n_images: usize,
    /// `[channels, height, width]` of most images; `None` if none could be read.
    pub shape: Option<[usize; 3]>,
    /// Length of a label vector; 0 without labels.
    pub label_dim: usize,
    /// All violations, by kind and then by name.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether the dataset can be used.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn from_problems(n_images: usize, problems: Vec<Problem>) -> Self {
        Self {
            n_images,
            shape: None,
            label_dim: 0,
            problems,
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        let same_kind = |a: &Problem, b: &Problem| a.kind.heading() == b.kind.heading();
        for (i, group) in self.problems.chunk_by(same_kind).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{} x {}", group.len(), group[0].kind.heading())?;
            for problem in &group[..group.len().min(SHOWN)] {
                write!(f, "\n  {problem}")?;
            }
            if group.len() > SHOWN {
                write!(f, "\n  and {} more", group.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}
