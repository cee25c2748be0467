//! The loader's contract, checked up front: every offender is listed by name, never just the first.

use std::collections::HashMap;
use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::Error;
use crate::labels::Labels;
use crate::source::Source;
use decode::{DecodeError, Header, decode_stored, read_header};

/// How much of each picture is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Its header: size and channels; fast even on 100,000 pictures.
    #[default]
    Header,
    /// Every byte: CRC and a full decode.
    Decode,
}

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Labels are wanted: every picture needs one.
    pub use_labels: bool,
    /// How much of each picture is looked at.
    pub depth: Depth,
    /// Also complain about files and labels that belong to no sample.
    pub strays: bool,
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// No picture at all in the dataset.
    NoImages,
    /// Not a picture, or a damaged one.
    Undecodable(String),
    /// The file ends before its picture does.
    Truncated(String),
    /// Another `[channels, height, width]` than most others.
    Shape {
        /// Of this picture.
        found: [usize; 3],
        /// Of most pictures.
        expected: [usize; 3],
    },
    /// The side is not a power of two of at least 4, or the picture not square.
    Side {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// An alpha channel.
    Alpha,
    /// More than 8 bits a channel.
    Depth {
        /// Bits of a channel.
        bits: usize,
    },
    /// Labels are wanted, but `dataset.json` has none at all.
    NoLabels,
    /// Not in `dataset.json`, though others are.
    MissingLabel,
    /// A label of the wrong form.
    BadLabel(String),
    /// A label for a picture that does not exist.
    StrayLabel,
    /// A file that is neither a sample nor `dataset.json`.
    StrayFile,
    /// A name that leads out of the dataset.
    UnsafeName,
    /// Another entry of the zip has the same name.
    DuplicateNames,
}

impl ProblemKind {
    /// The line above the list of offenders.
    fn heading(&self) -> &'static str {
        match self {
            Self::NoImages => "no pictures",
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
            Self::StrayLabel => "a label without a picture",
            Self::StrayFile => "not a sample (keep other files beside the dataset)",
            Self::UnsafeName => "a name that leads out of the dataset",
            Self::DuplicateNames => "another entry of the same name (pack the set anew)",
        }
    }

    /// What differs from one offender to the next.
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

/// One offender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file in the dataset, or the dataset itself.
    pub name: String,
    /// What is wrong with it.
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

/// What was found; displays as groups of offenders, 20 names of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Pictures in the dataset.
    pub n_images: usize,
    /// `[channels, height, width]` of most pictures.
    pub shape: Option<[usize; 3]>,
    /// Entries of a label vector; 0 without labels.
    pub label_dim: usize,
    /// All offenders, by kind and then by name.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether the dataset can be used.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report as an error when there are offenders.
    ///
    /// # Errors
    /// [`Error::Contract`] with all of them.
    pub fn into_result(self, source: &Source) -> Result<Self, Error> {
        if self.is_good() {
            return Ok(self);
        }
        Err(Error::Contract {
            path: source.path().to_path_buf(),
            report: Box::new(self),
        })
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

/// Checks a dataset against the loader's contract. `on_image` is called once for each picture, from many threads.
///
/// # Errors
/// Only when `dataset.json` cannot be read at all; offenders are in the report.
pub fn check(
    source: &Source,
    options: &CheckOptions,
    on_image: impl Fn() + Sync,
) -> Result<CheckReport, Error> {
    let names = source.names();
    let mut problems = Vec::new();
    if names.is_empty() {
        problems.push(Problem::new(
            source.path().display().to_string(),
            ProblemKind::NoImages,
        ));
    }
    for name in source.duplicates() {
        problems.push(Problem::new(name, ProblemKind::DuplicateNames));
    }

    // Pictures.
    let headers: Vec<Result<Header, ProblemKind>> = names
        .par_iter()
        .map(|name| {
            let header = look_at(source, name, options.depth);
            on_image();
            header
        })
        .collect();
    let shape = most_common(headers.iter().flatten().map(Header::shape));
    for (name, header) in names.iter().zip(headers) {
        let kinds = header.map_or_else(|kind| vec![kind], |h| offences(&h, shape));
        problems.extend(kinds.into_iter().map(|kind| Problem::new(name, kind)));
    }

    // Labels.
    let mut label_dim = 0;
    let labels = match source.read_labels()? {
        Some(bytes) if options.use_labels || options.strays => {
            Labels::parse(&bytes).map_err(|reason| Error::Labels {
                path: source.path().to_path_buf(),
                reason,
            })?
        }
        _ => Labels::default(),
    };
    match labels.resolve(names, source.aliases()) {
        Ok(resolved) => label_dim = resolved.dim,
        Err(offenders) => problems.extend(offenders),
    }
    if options.use_labels && labels.is_empty() {
        problems.push(Problem::new(
            source.path().display().to_string(),
            ProblemKind::NoLabels,
        ));
    }

    // Everything else that lies there.
    if options.strays {
        for name in labels.strangers(names, source.aliases()) {
            problems.push(Problem::new(name, ProblemKind::StrayLabel));
        }
        for name in source
            .others()
            .iter()
            .filter(|name| *name != "dataset.json")
        {
            problems.push(Problem::new(name, ProblemKind::StrayFile));
        }
        for name in names.iter().chain(source.others()) {
            let leads_out = archive::names::leads_out(name.split(['/', '\\']));
            if name.starts_with('/') || leads_out || name.contains(':') {
                problems.push(Problem::new(name, ProblemKind::UnsafeName));
            }
        }
    }

    // Stable: names stay in order within a kind.
    problems.sort_by_key(|problem| problem.kind.heading());
    Ok(CheckReport {
        n_images: names.len(),
        shape,
        label_dim,
        problems,
    })
}

/// Reads and decodes every byte and checks the whole contract: pictures, labels, and nothing else inside.
///
/// # Errors
/// As [`check`].
pub fn verify(source: &Source, on_image: impl Fn() + Sync) -> Result<CheckReport, Error> {
    let options = CheckOptions {
        use_labels: false,
        depth: Depth::Decode,
        strays: true,
    };
    check(source, &options, on_image)
}

fn look_at(source: &Source, name: &str, depth: Depth) -> Result<Header, ProblemKind> {
    /// Enough for the header of nearly every file; JPEGs with large metadata are read whole.
    const START: u64 = 16 << 10;
    let read = |limit| {
        let bytes = source.read_limited(name, limit);
        bytes.map_err(|e| ProblemKind::Undecodable(e.to_string()))
    };
    match depth {
        Depth::Header => {
            let start = read(START)?;
            match read_header(&start) {
                Err(_) if start.len() as u64 >= START => {
                    read_header(&read(u64::MAX)?).map_err(undecodable)
                }
                header => header.map_err(undecodable),
            }
        }
        Depth::Decode => {
            let bytes = read(u64::MAX)?;
            decode_stored(&bytes).map_err(undecodable)?;
            read_header(&bytes).map_err(undecodable)
        }
    }
}

fn undecodable(error: DecodeError) -> ProblemKind {
    match error {
        DecodeError::Truncated(reason) => ProblemKind::Truncated(reason),
        other => ProblemKind::Undecodable(other.to_string()),
    }
}

fn offences(header: &Header, expected: Option<[usize; 3]>) -> Vec<ProblemKind> {
    let Header {
        width,
        height,
        channels,
        bit_depth,
    } = *header;
    let mut kinds = Vec::new();
    if channels == 2 || channels == 4 {
        kinds.push(ProblemKind::Alpha);
    }
    if bit_depth > 8 {
        kinds.push(ProblemKind::Depth { bits: bit_depth });
    }
    if width != height || !width.is_power_of_two() || width < 4 {
        kinds.push(ProblemKind::Side { width, height });
    }
    if let Some(expected) = expected.filter(|&e| e != header.shape()) {
        let found = header.shape();
        kinds.push(ProblemKind::Shape { found, expected });
    }
    kinds
}

/// The most frequent shape; of equally frequent ones the first.
fn most_common(shapes: impl Iterator<Item = [usize; 3]>) -> Option<[usize; 3]> {
    let mut counts: HashMap<[usize; 3], (usize, usize)> = HashMap::new();
    for (i, shape) in shapes.enumerate() {
        counts.entry(shape).or_insert((0, i)).0 += 1;
    }
    let best = counts
        .into_iter()
        .max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
    best.map(|(shape, _)| shape)
}
