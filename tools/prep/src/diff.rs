//! `prep diff`: compares two manifests, or two zips by the manifests beside them.

use anyhow::Context;
use curation::manifest::{self, Change, Line};
use dataset::Source;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Decisions {
        changes: Vec<Change>,
    },
    Samples {
        only_before: Vec<String>,
        only_after: Vec<String>,
        other_pixels: Vec<String>,
    },
}

pub fn diff(before: &Path, after: &Path) -> anyhow::Result<()> {
    let found = match (lines(before)?, lines(after)?) {
        (Some(a), Some(b)) => Found::Decisions {
            changes: manifest::diff(&a, &b),
        },
        _ => samples(before, after)?,
    };
    cli::report(&found, words);
    Ok(())
}

/// The lines of the manifest at `path`, or of the one beside a zip; `None` when there is none.
fn lines(path: &Path) -> anyhow::Result<Option<Vec<Line>>> {
    if path.extension().is_some_and(|e| e == "jsonl") {
        return Ok(Some(manifest::read(path)?));
    }
    std::fs::metadata(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let beside: PathBuf = path.with_extension("manifest.jsonl");
    Ok(if beside.is_file() {
        Some(manifest::read(&beside)?)
    } else {
        None
    })
}

/// Compares the samples themselves, for datasets without manifests.
fn samples(before: &Path, after: &Path) -> anyhow::Result<Found> {
    let digests = |path: &Path| -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let source = Source::open(path)?;
        source
            .names()
            .iter()
            .map(|name| {
                // Compare pixels, not files: another PNG level is not a change.
                let bytes = source.read(name)?;
                let digest = match dataset::decode(&bytes) {
                    Ok(image) => Sha256::digest(&image.pixels).to_vec(),
                    Err(_) => Sha256::digest(&bytes).to_vec(),
                };
                Ok((name.clone(), digest))
            })
            .collect()
    };
    let (a, b) = (digests(before)?, digests(after)?);
    Ok(Found::Samples {
        only_before: a
            .keys()
            .filter(|name| !b.contains_key(*name))
            .cloned()
            .collect(),
        only_after: b
            .keys()
            .filter(|name| !a.contains_key(*name))
            .cloned()
            .collect(),
        other_pixels: a
            .iter()
            .filter(|(name, x)| b.get(*name).is_some_and(|y| y != *x))
            .map(|(n, _)| n.clone())
            .collect(),
    })
}

fn words(found: &Found) -> String {
    let mut text = String::new();
    match found {
        Found::Decisions { changes } if changes.is_empty() => text.push_str("no difference\n"),
        Found::Decisions { changes } => {
            let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for change in changes {
                let name = change.face.map_or_else(
                    || change.source.clone(),
                    |f| format!("{} face {f}", change.source),
                );
                let _ = write!(text, "{name}: {} -> {}", change.before, change.after);
                if let Some(detail) = change
                    .detail
                    .as_ref()
                    .filter(|_| change.before != change.after)
                {
                    let _ = write!(text, " ({detail})");
                }
                for (score, a, b) in &change.scores {
                    let show =
                        |v: &Option<f64>| v.map_or_else(|| "-".to_owned(), |v| v.to_string());
                    let _ = write!(text, ", {score} {} -> {}", show(a), show(b));
                }
                text.push('\n');
                if change.before != change.after {
                    *counts.entry((&change.before, &change.after)).or_default() += 1;
                }
            }
            for ((before, after), n) in counts {
                let _ = writeln!(text, "{n:>8} {before} -> {after}");
            }
        }
        Found::Samples {
            only_before,
            only_after,
            other_pixels,
        } => {
            for (sign, names) in [("-", only_before), ("+", only_after), ("~", other_pixels)] {
                for name in names {
                    let _ = writeln!(text, "{sign} {name}");
                }
            }
            let _ = writeln!(
                text,
                "{} samples only before, {} only after, {} with other pixels (no manifests beside: reasons are unknown)",
                only_before.len(),
                only_after.len(),
                other_pixels.len()
            );
        }
    }
    text
}
