//! `prep inspect` and `prep verify`: summarize and check datasets.

use anyhow::{Context, bail};
use cli::Progress;
use curation::inputs::walk;
use curation::manifest::{self, Status};
use curation::record::Reason;
use dataset::{CheckOptions, CheckReport, DatasetOptions, Depth, ImageDataset, Source};
use decode::Format;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Summary of a dataset.
#[derive(Serialize)]
struct Dataset {
    n_images: usize,
    shape: Option<[usize; 3]>,
    label_dim: usize,
    classes: BTreeMap<u32, usize>,
    bytes: u64,
    is_good: bool,
    problems: Vec<String>,
}

/// Summary of a manifest.
#[derive(Default, Serialize)]
struct Manifest {
    inputs: usize,
    faces: usize,
    samples: usize,
    inputs_by_status: BTreeMap<String, usize>,
    faces_by_status: BTreeMap<String, usize>,
    scores: BTreeMap<String, [f64; 3]>,
}

/// Summary of a folder or archive of images.
#[derive(Default, Serialize)]
struct Dump {
    files: usize,
    bytes: u64,
    kinds: BTreeMap<String, usize>,
}

pub fn inspect(path: &Path) -> anyhow::Result<()> {
    if path.extension().is_some_and(|e| e == "jsonl") {
        return inspect_manifest(path);
    }
    // A dataset has a dataset.json; anything else is a dump, that is, a collection of image files.
    match Source::open(path) {
        Ok(source) if source.others().iter().any(|name| name == "dataset.json") => {
            inspect_dataset(&source)
        }
        _ => inspect_dump(path),
    }
}

fn inspect_dataset(source: &Source) -> anyhow::Result<()> {
    let options = CheckOptions {
        use_labels: false,
        depth: Depth::Header,
        strays: true,
    };
    let report = dataset::check(source, &options, || {})?;
    let mut classes = BTreeMap::new();
    if let Ok(images) = ImageDataset::open(
        source.path(),
        &DatasetOptions {
            use_labels: report.label_dim > 0,
            ..Default::default()
        },
    ) {
        for idx in 0..images.len() {
            if let Some(dataset::Label::Class(class)) = images.raw_label(idx) {
                *classes.entry(*class).or_default() += 1;
            }
        }
    }
    let found = Dataset {
        n_images: report.n_images,
        shape: report.shape,
        label_dim: report.label_dim,
        classes,
        bytes: size_of(source.path()),
        is_good: report.is_good(),
        problems: report.problems.iter().map(ToString::to_string).collect(),
    };
    cli::report(&found, |found| {
        let mut text = format!("images   {}\n", found.n_images);
        if let Some([channels, height, width]) = found.shape {
            let _ = writeln!(text, "shape    {width} x {height}, {channels} channels");
        }
        let _ = writeln!(text, "bytes    {} MB", found.bytes / 1_000_000);
        if found.label_dim == 0 {
            let _ = writeln!(text, "labels   none");
        } else {
            let _ = writeln!(
                text,
                "labels   {} entries; images of each class: {:?}",
                found.label_dim, found.classes
            );
        }
        if found.is_good {
            let _ = writeln!(
                text,
                "health   good, by the headers (`prep verify` decodes everything)"
            );
        } else {
            let _ = writeln!(
                text,
                "health   {}\n{report}",
                problems(found.problems.len())
            );
        }
        text
    });
    Ok(())
}

fn size_of(path: &Path) -> u64 {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => meta.len(),
        _ => std::fs::read_dir(path)
            .map(|items| {
                items
                    .flatten()
                    .filter(|i| !i.path().is_symlink())
                    .map(|i| size_of(&i.path()))
                    .sum()
            })
            .unwrap_or(0),
    }
}

fn inspect_manifest(path: &Path) -> anyhow::Result<()> {
    let lines = manifest::read(path)?;
    let mut found = Manifest::default();
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in &lines {
        let status = line.reason.map_or_else(|| "kept".to_owned(), Reason::name);
        let (count, counts) = match line.face {
            None => (&mut found.inputs, &mut found.inputs_by_status),
            Some(_) => (&mut found.faces, &mut found.faces_by_status),
        };
        *count += 1;
        *counts.entry(status).or_default() += 1;
        found.samples += usize::from(line.sample.is_some());
        if line.face.is_some() && line.decision == Status::Kept {
            for (name, value) in &line.scores {
                values.entry(name.clone()).or_default().push(*value);
            }
        }
    }
    for (name, mut some) in values {
        some.sort_by(f64::total_cmp);
        let at = |share: f64| some[((some.len() - 1) as f64 * share).round() as usize];
        found.scores.insert(name, [at(0.05), at(0.5), at(0.95)]);
    }
    cli::report(&found, |found| {
        let mut text = String::new();
        for (title, count, counts) in [
            ("inputs", found.inputs, &found.inputs_by_status),
            ("faces", found.faces, &found.faces_by_status),
        ] {
            let _ = writeln!(text, "{title:<8} {count}");
            for (status, n) in counts {
                let _ = writeln!(text, "  {n:>8} {status}");
            }
        }
        let _ = writeln!(text, "samples  {}", found.samples);
        if !found.scores.is_empty() {
            let _ = writeln!(text, "numbers of the kept faces: 5 %, middle, 95 %");
            for (name, [low, middle, high]) in &found.scores {
                let _ = writeln!(text, "  {name:<22} {low:>8.3} {middle:>8.3} {high:>8.3}");
            }
        }
        text
    });
    Ok(())
}

fn inspect_dump(path: &Path) -> anyhow::Result<()> {
    let entries = walk(&[path.to_owned()], &[])?;
    let bar = Progress::new("looking", Some(entries.len() as u64), "files");
    let mut found = Dump {
        files: entries.len(),
        ..Dump::default()
    };
    for entry in &entries {
        let kind = match entry.read() {
            Ok(bytes) => {
                found.bytes += bytes.len() as u64;
                match Format::sniff(&bytes) {
                    Some(format) => format!("{format:?}").to_lowercase(),
                    None if bytes.is_empty() => "empty".to_owned(),
                    None => "no image".to_owned(),
                }
            }
            Err(_) => "unreadable".to_owned(),
        };
        *found.kinds.entry(kind).or_default() += 1;
        bar.inc(1);
    }
    drop(bar);
    cli::report(&found, |found| {
        let mut text = format!(
            "files    {}, {} MB; no dataset.json: a dump, not a dataset\n",
            found.files,
            found.bytes / 1_000_000
        );
        for (kind, n) in &found.kinds {
            let _ = writeln!(text, "  {n:>8} {kind}");
        }
        text
    });
    Ok(())
}

pub fn verify(path: &Path) -> anyhow::Result<()> {
    let source = Source::open(path)?;
    for sentence in source.left_out().sentences() {
        tracing::warn!("'{}': {sentence}", path.display());
    }
    let bar = Progress::new("verifying", Some(source.names().len() as u64), "samples");
    let report: CheckReport = dataset::verify(&source, || bar.inc(1))
        .with_context(|| format!("verify '{}'", path.display()))?;
    bar.finish();
    cli::report(&report, |report| {
        let shape = report.shape.map_or_else(String::new, |[c, h, w]| {
            format!(", {w} x {h}, {c} channels")
        });
        let labels = if report.label_dim > 0 {
            format!(", labels with {} entries", report.label_dim)
        } else {
            ", no labels".into()
        };
        if report.is_good() {
            format!(
                "good: {} samples{shape}{labels}; every byte was read and decoded",
                report.n_images
            )
        } else {
            report.to_string()
        }
    });
    if !report.is_good() {
        bail!(
            "'{}' has {}",
            path.display(),
            problems(report.problems.len())
        );
    }
    Ok(())
}

fn problems(n: usize) -> String {
    format!("{n} problem{}", if n == 1 { "" } else { "s" })
}
