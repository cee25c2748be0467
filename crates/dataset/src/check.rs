//! The loader's contract, checked up front: every offender is listed by name, never just the first.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::error::Error;
use crate::labels::Labels;
use crate::problem::{CheckReport, Problem, ProblemKind};
use crate::source::Source;
use decode::{DecodeError, Header, decode_stored, read_header};

/// Depth of the check of each image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Its header: size and channels; fast even on 100,000 images.
    #[default]
    Header,
    /// Every byte: CRC and a full decode.
    Decode,
}

/// Options of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Labels are wanted: every image needs one.
    pub use_labels: bool,
    /// Depth of the check of each image.
    pub depth: Depth,
    /// Also complain about files and labels that belong to no sample.
    pub strays: bool,
}

/// Checks a dataset against the loader's contract. `on_image` is called once for each image, from many threads.
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

/// Reads and decodes every byte and checks the whole contract: images, labels, and nothing else inside.
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
