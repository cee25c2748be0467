//! Checks that a dataset meets the requirements of the loader, and lists every violation by file name, not only the
//! first.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::error::Error;
use crate::labels::Labels;
use crate::problem::{CheckReport, Problem, ProblemKind};
use crate::source::Source;
use decode::{DecodeError, Header, decode_stored, read_header};

/// Thoroughness of the check of each image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Only its header: size, channels and bit depth; fast even on 100,000 images.
    #[default]
    Header,
    /// All of it: the CRC-32 (in zips) and a full decode.
    Decode,
}

/// Options of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Whether every image must have a label.
    pub use_labels: bool,
    /// Thoroughness of the check of each image.
    pub depth: Depth,
    /// Whether to report files and labels that belong to no sample, and unsafe names.
    pub strays: bool,
}

/// Checks that a dataset meets the requirements of the loader. `on_image` is called once for each image, from many
/// threads.
///
/// # Errors
/// Only when `dataset.json` cannot be read at all; all other violations are in the report.
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

    // Images.
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

    // Files, labels and names that do not belong in a dataset.
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

    // The sort is stable: within a kind, the order of the names stays.
    problems.sort_by_key(|problem| problem.kind.heading());
    Ok(CheckReport {
        n_images: names.len(),
        shape,
        label_dim,
        problems,
    })
}

/// Checks a dataset completely: decodes every image, and checks labels, names and stray files. Labels are optional.
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
    /// Number of bytes that contain the header of nearly every file; other files, such as JPEGs with large metadata,
    /// are read whole.
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
