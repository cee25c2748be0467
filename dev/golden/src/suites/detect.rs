//! Golden suite `detect`: boxes found by our cascade detector compared with those that OpenCV found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use detect::cascade::{Cascade, CascadeOptions, Group, Window};
use serde::Deserialize;

use super::{CaseResult, Results};

/// The boxes that one file records.
#[derive(Deserialize)]
struct Recorded {
    /// The file name of the cascade; if missing, it is a word of `origin`.
    model: Option<String>,
    origin: String,
    /// For each grayscale image beside the file, the recorded calls.
    cases: BTreeMap<String, Vec<Case>>,
}

#[derive(Deserialize)]
struct Case {
    scale_factor: f64,
    min_neighbors: u32,
    #[serde(default)]
    min_size: u32,
    #[serde(default)]
    max_size: u32,
    boxes_xywh: Vec<[i32; 4]>,
    n_raw: Option<usize>,
}

/// The largest allowed difference of a box edge, in pixels.
const BOX_TOLERANCE: f64 = 1.0;
/// The largest allowed relative difference of the number of windows before grouping.
const RAW_TOLERANCE: f64 = 0.02;

/// Repeats every call that the JSON files in `dir` record, and compares the boxes.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    if files.is_empty() {
        bail!("{} holds no JSON file", dir.display());
    }
    for path in files {
        let read = || -> Result<Recorded> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
        let recorded = read().with_context(|| format!("cannot read {}", path.display()))?;
        let cascade = Cascade::load(&model_path(dir, &recorded)?)?;
        for (name, cases) in &recorded.cases {
            let picture = dir.join(name);
            let image = image::open(&picture)
                .with_context(|| format!("cannot read {}", picture.display()))?
                .into_luma8();
            for case in cases {
                let options = CascadeOptions {
                    scale_factor: case.scale_factor,
                    min_neighbors: case.min_neighbors,
                    min_size: case.min_size,
                    max_size: case.max_size,
                };
                let found = cascade
                    .detect_gray(&image, &options)
                    .map_err(|message| anyhow!("{name}: {message}"))?;
                let title = format!(
                    "{name} scale {} neighbours {}",
                    case.scale_factor, case.min_neighbors
                );
                let result = |case: String, worst, tolerance| CaseResult {
                    suite: "detect".into(),
                    case,
                    worst,
                    tolerance,
                };
                results.push(result(
                    format!("{title}: boxes"),
                    worst_edge(&case.boxes_xywh, &found.groups),
                    BOX_TOLERANCE,
                ));
                if let Some(n_raw) = case.n_raw {
                    let difference = found.n_raw.abs_diff(n_raw) as f64 / n_raw.max(1) as f64;
                    results.push(result(
                        format!("{title}: windows"),
                        difference,
                        RAW_TOLERANCE,
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The path of the cascade file, which is searched in `dir` and the two folders above it, and in `models` there.
fn model_path(dir: &Path, recorded: &Recorded) -> Result<PathBuf> {
    let from_origin = || {
        recorded
            .origin
            .split_whitespace()
            .find(|word| word.ends_with(".xml"))
            .map(str::to_owned)
    };
    let name = recorded
        .model
        .clone()
        .or_else(from_origin)
        .context("the recorded data name no cascade file")?;
    let file_name = Path::new(&name)
        .file_name()
        .context("the recorded data name no cascade file")?;
    let folders = dir
        .canonicalize()
        .with_context(|| format!("no folder {}", dir.display()))?;
    let places = folders.ancestors().take(3).flat_map(|folder| {
        [
            folder.join(&name),
            folder.join("models").join(file_name),
            folder.join(file_name),
        ]
    });
    places
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("cannot find {name} near {}", dir.display()))
}

/// The largest difference between the edges of recorded and found boxes, in pixels. Each recorded box is paired with
/// the nearest found box that is left. Infinite when the numbers of boxes differ.
fn worst_edge(recorded: &[[i32; 4]], found: &[Group]) -> f64 {
    if recorded.len() != found.len() {
        return f64::INFINITY;
    }
    let mut free: Vec<Window> = found.iter().map(|group| group.window).collect();
    let mut worst = 0;
    for &[x, y, width, height] in recorded {
        let distance = |window: &Window| {
            let edges = [
                window.x - x,
                window.y - y,
                window.x + window.width - x - width,
                window.y + window.height - y - height,
            ];
            edges.into_iter().map(i32::abs).max().unwrap_or(0)
        };
        let nearest = (0..free.len()).min_by_key(|&i| distance(&free[i]));
        worst = worst.max(nearest.map_or(0, |i| distance(&free.swap_remove(i))));
    }
    f64::from(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_paired_whatever_their_order() {
        let group = |x| Group {
            window: Window {
                x,
                y: 0,
                width: 10,
                height: 10,
            },
            neighbors: 5,
        };
        assert_eq!(
            worst_edge(&[[0, 0, 10, 10], [50, 0, 10, 10]], &[group(51), group(0)]),
            1.0
        );
        assert_eq!(worst_edge(&[[0, 0, 10, 13]], &[group(2)]), 3.0);
        assert_eq!(worst_edge(&[], &[group(2)]), f64::INFINITY);
        assert_eq!(worst_edge(&[], &[]), 0.0);
    }

    #[test]
    fn folders_without_records_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            run(folder.path(), &mut Results::new(1.0))
                .unwrap_err()
                .to_string()
                .contains("no JSON")
        );
        std::fs::write(
            folder.path().join("a.json"),
            r#"{"origin": "OpenCV with nowhere.xml", "cases": {}}"#,
        )
        .unwrap();
        assert!(
            run(folder.path(), &mut Results::new(1.0))
                .unwrap_err()
                .to_string()
                .contains("nowhere.xml")
        );
    }
}
