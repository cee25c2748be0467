//! `eval compare`: runs side by side on one page.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::{DynamicImage, ImageFormat, imageops::FilterType};
use report::{Page, Plot, Series, Strip, short};
use serde_json::{Value, json};

use crate::args::CompareArgs;
use crate::run_dir::RunDir;
use crate::verdict::{best, curve, verdict};

/// The curves of a run and how to read them.
const CURVES: &[(&str, &str)] = &[
    (
        "Progress/augment",
        "Strength p of the augmentation. ADA raises it while the discriminator overfits; above 0.8 it may leak into images.",
    ),
    (
        "Loss/signs/real",
        "Share of training images taken for real, from -1 to 1. ADA holds it at its target (0.6); near 1 the discriminator knows the images by heart.",
    ),
    (
        "Loss/signs/fake",
        "The same for generated images. Near -1 none of them fools the discriminator.",
    ),
    (
        "Loss/scores/real",
        "Mean score of training images. A widening gap to the fakes' scores means that the generator falls behind.",
    ),
    ("Loss/scores/fake", "Mean score of generated images."),
    (
        "Loss/G/loss",
        "Loss of the generator. It does not tell quality; watch for jumps.",
    ),
    (
        "Loss/D/loss",
        "Loss of the discriminator. Towards 0 it wins all the time.",
    ),
    ("Loss/G/reg", "Path length penalty."),
    (
        "Loss/D/reg",
        "R1 penalty: steepness of the discriminator. Explosions come before a divergence.",
    ),
    (
        "Progress/diversity",
        "How much generated images differ from each other. A fall is a collapse.",
    ),
];

/// Pictures of a run on the page at most.
const MAX_FRAMES: usize = 24;
/// Columns and rows of a preview grid that are shown.
const CELLS: (u32, u32) = (6, 4);
/// Side of one of them on the page.
const CELL_SIDE: u32 = 112;

pub fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let runs = args
        .runs
        .iter()
        .map(|path| RunDir::open(path))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let names = unique_names(&runs);
    let (result, features) = main_result(&runs);
    let said = verdict(&runs, &names, result.as_deref(), &features);
    let plots = Plots::new(&runs, &names);
    let page = page(&runs, &names, result.as_deref(), &features, &said, &plots)?;
    files::write_bytes(&args.out, page.as_bytes())?;
    let folder = args.plots.clone().unwrap_or_else(|| beside(&args.out));
    for plot in plots.metrics.iter().chain(&plots.curves) {
        let name: String = format!("{} by {}", plot.title, plot.x_label)
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        files::write_bytes(folder.join(format!("{name}.png")), &plot.to_png())?;
        files::write_bytes(folder.join(format!("{name}.csv")), plot.to_csv().as_bytes())?;
    }
    let told = json!({ "page": args.out, "plots": folder, "verdict": said });
    cli::report(&told, |_| {
        format!(
            "{}\n\npage   {}\nplots  {} (PNG and CSV)",
            said.join("\n"),
            args.out.display(),
            folder.display()
        )
    });
    Ok(())
}

/// `compare.html` to `compare-plots`.
fn beside(out: &Path) -> PathBuf {
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}-plots"))
}

/// Folder names; with the folder above in front where two are the same.
fn unique_names(runs: &[RunDir]) -> Vec<String> {
    let names: Vec<String> = runs.iter().map(RunDir::name).collect();
    runs.iter()
        .zip(&names)
        .enumerate()
        .map(|(i, (run, name))| {
            if names.iter().filter(|other| *other == name).count() == 1 {
                return name.clone();
            }
            let path = run.path.canonicalize().unwrap_or_else(|_| run.path.clone());
            let above = path.parent().and_then(Path::file_name).unwrap_or_default();
            format!("{}/{name} ({})", above.to_string_lossy(), i + 1)
        })
        .collect()
}

/// The number to judge by and its features: a FID that most runs have, then the one with most points.
fn main_result(runs: &[RunDir]) -> (Option<String>, String) {
    let mut counts: BTreeMap<(String, String), (BTreeSet<usize>, usize)> = BTreeMap::new();
    for (i, run) in runs.iter().enumerate() {
        for line in &run.metrics {
            for result in line.line["results"].as_object().into_iter().flatten() {
                let key = (result.0.clone(), line.features().to_owned());
                let entry = counts.entry(key).or_default();
                entry.0.insert(i);
                entry.1 += 1;
            }
        }
    }
    let top = counts
        .into_iter()
        .max_by_key(|((name, _), (runs, points))| {
            (
                runs.len(),
                name.starts_with("fid"),
                name.starts_with("kid"),
                *points,
            )
        });
    match top {
        Some(((result, features), _)) => (Some(result), features),
        None => (None, "inception-2015-12-05".to_owned()),
    }
}

struct Plots {
    metrics: Vec<Plot>,
    curves: Vec<Plot>,
}

impl Plots {
    fn new(runs: &[RunDir], names: &[String]) -> Self {
        let mut results: BTreeSet<(bool, String, String)> = BTreeSet::new();
        for line in runs.iter().flat_map(|run| &run.metrics) {
            for (name, _) in line.line["results"].as_object().into_iter().flatten() {
                results.insert((
                    !name.starts_with("fid"),
                    name.clone(),
                    line.features().to_owned(),
                ));
            }
        }
        let mut metrics = Vec::new();
        for (_, result, features) in results {
            for hours in [false, true] {
                let series = runs
                    .iter()
                    .zip(names)
                    .enumerate()
                    .map(|(color, (run, name))| {
                        let curve = curve(run, &result, &features);
                        let x = |kimg: f64| if hours { run.hours_at(kimg) } else { kimg };
                        let has_errors = curve.iter().any(|p| p.std.is_some());
                        Series {
                            name: name.clone(),
                            color,
                            points: curve.iter().map(|p| (x(p.kimg), p.value)).collect(),
                            errors: if has_errors {
                                curve.iter().map(|p| p.std.unwrap_or(f64::NAN)).collect()
                            } else {
                                Vec::new()
                            },
                            dots: true,
                            ..Default::default()
                        }
                    })
                    .collect();
                let better = if metrics::Metric::lower_is_better(&result) {
                    "Lower"
                } else {
                    "Higher"
                };
                let published = if matches!(&features[..], "inception-2015-12-05" | "vgg16") {
                    String::new()
                } else {
                    format!(" Features of {features}: not comparable with published numbers.")
                };
                metrics.push(Plot {
                    title: result.clone(),
                    note: format!("{better} is better. Bars are one standard error.{published}"),
                    x_label: if hours { "hours" } else { "kimg" }.to_owned(),
                    log_y: true,
                    series,
                });
            }
        }
        let curves = CURVES
            .iter()
            .map(|(tag, note)| Plot {
                title: (*tag).to_owned(),
                note: (*note).to_owned(),
                x_label: "kimg".to_owned(),
                log_y: false,
                series: runs
                    .iter()
                    .zip(names)
                    .enumerate()
                    .map(|(color, (run, name))| Series {
                        name: name.clone(),
                        color,
                        points: run
                            .ticks
                            .iter()
                            .filter_map(|tick| Some((tick.kimg, *tick.means.get(*tag)?)))
                            .collect(),
                        ..Default::default()
                    })
                    .collect(),
            })
            .filter(|plot| !plot.is_empty())
            .collect();
        metrics.retain(|plot: &Plot| !plot.is_empty());
        Self { metrics, curves }
    }
}

fn page(
    runs: &[RunDir],
    names: &[String],
    result: Option<&str>,
    features: &str,
    said: &[String],
    plots: &Plots,
) -> anyhow::Result<String> {
    let mut page = Page::new(&format!("Runs compared: {}", names.join(", ")));
    page.heading("Verdict");
    if said.is_empty() {
        page.text("Nothing to judge by yet: no metric was computed (`eval run RUN_DIR`), and the curves are ordinary.");
    } else {
        page.list(said);
    }
    page.heading("Runs").table(
        &[
            "run",
            "kimg",
            "hours",
            "pictures",
            "augmentation",
            "best",
            "at kimg",
            "last",
        ],
        &summary(runs, names, result, features),
        false,
    );
    if let Some(result) = result {
        page.text(&format!("best and last: {result}, features {features}."));
    }
    if !plots.metrics.is_empty() {
        page.heading("Quality over time").plots(&plots.metrics);
    }
    let strips = runs
        .iter()
        .zip(names)
        .enumerate()
        .map(|(color, (run, name))| strip(run, name, color))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if strips.iter().any(|strip| !strip.frames.is_empty()) {
        page.heading("The same latents through time")
            .text("Each run keeps its own fixed latents: a cell shows the same one at every moment. Drag the slider.")
            .slider(&strips, "kimg");
    }
    if !plots.curves.is_empty() {
        page.heading("Training curves").plots(&plots.curves);
    }
    let rows = differences(runs);
    page.heading("Settings that differ");
    if rows.is_empty() {
        page.text("None: the settings are the same.");
    } else {
        let header: Vec<&str> = std::iter::once("setting")
            .chain(names.iter().map(String::as_str))
            .collect();
        page.table(&header, &rows, false);
    }
    Ok(page.finish())
}

fn summary(
    runs: &[RunDir],
    names: &[String],
    result: Option<&str>,
    features: &str,
) -> Vec<Vec<String>> {
    runs.iter()
        .zip(names)
        .map(|(run, name)| {
            let last = run.ticks.last();
            let curve = result.map_or_else(Vec::new, |result| curve(run, result, features));
            let top = result.and_then(|result| best(&curve, result));
            let dash = || "–".to_owned();
            let p = last
                .and_then(|tick| tick.means.get("Progress/augment"))
                .copied()
                .unwrap_or(0.0);
            let augmentation = match (
                run.option(&["ada_target"]).as_f64(),
                run.option(&["augment_p"]).as_f64(),
            ) {
                (Some(target), _) => format!("ADA, target {target}, p {} at the end", short(p)),
                (None, Some(p)) => format!("fixed p {p}"),
                (None, None) if p > 0.0 => format!("p {} at the end", short(p)),
                (None, None) => "none".to_owned(),
            };
            let pictures = run.option(&["training_set_kwargs", "max_size"]);
            vec![
                name.clone(),
                last.map_or_else(dash, |tick| short(tick.kimg)),
                last.map_or_else(dash, |tick| short(tick.hours)),
                pictures.as_u64().map_or_else(dash, |n| n.to_string()),
                augmentation,
                top.map_or_else(dash, |p| short(p.value)),
                top.map_or_else(dash, |p| short(p.kimg)),
                curve.last().map_or_else(dash, |p| short(p.value)),
            ]
        })
        .collect()
}

/// Settings by their path of keys where not all runs agree.
fn differences(runs: &[RunDir]) -> Vec<Vec<String>> {
    let flat: Vec<BTreeMap<String, String>> = runs
        .iter()
        .map(|run| {
            let mut all = BTreeMap::new();
            flatten("", &run.options, &mut all);
            all
        })
        .collect();
    let keys: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.into_iter()
        .filter(|key| !matches!(key.as_str(), "run_dir"))
        .filter_map(|key| {
            let values: Vec<String> = flat
                .iter()
                .map(|all| all.get(key).cloned().unwrap_or_else(|| "–".into()))
                .collect();
            values
                .iter()
                .any(|value| *value != values[0])
                .then(|| std::iter::once(key.clone()).chain(values).collect())
        })
        .collect()
}

fn flatten(prefix: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&key, value, all);
            }
        }
        Value::Null if prefix.is_empty() => {}
        Value::String(text) => {
            all.insert(prefix.to_owned(), text.clone());
        }
        other => {
            all.insert(prefix.to_owned(), other.to_string());
        }
    }
}

/// The upper left of the preview grids, evenly over time.
fn strip(run: &RunDir, name: &str, color: usize) -> anyhow::Result<Strip> {
    let all: Vec<(&u64, &PathBuf)> = run.fakes.iter().collect();
    let n = all.len();
    let mut chosen: Vec<usize> = (0..n.min(MAX_FRAMES))
        .map(|i| {
            if n > 1 {
                i * (n - 1) / (n.min(MAX_FRAMES) - 1).max(1)
            } else {
                0
            }
        })
        .collect();
    chosen.dedup();
    let resolution = run.option(&["training_set_kwargs", "resolution"]).as_u64();
    let mut frames = Vec::new();
    for i in chosen {
        let (kimg, path) = all[i];
        match frame(path, resolution) {
            Ok(jpeg) => frames.push((*kimg, jpeg)),
            // A picture that is being written: the page does without it.
            Err(error) => tracing::warn!("'{}' is left out: {error:#}", path.display()),
        }
    }
    Ok(Strip {
        name: name.to_owned(),
        color,
        frames,
    })
}

fn frame(path: &Path, resolution: Option<u64>) -> anyhow::Result<Vec<u8>> {
    let mut reader = image::ImageReader::open(path)?.with_guessed_format()?;
    reader.no_limits();
    let grid = reader
        .decode()
        .with_context(|| format!("cannot decode '{}'", path.display()))?;
    let cell = resolution
        .and_then(|r| u32::try_from(r).ok())
        .filter(|r| *r > 0 && *r <= grid.width());
    let part = match cell {
        Some(cell) => {
            let columns = (grid.width() / cell).min(CELLS.0);
            let rows = (grid.height() / cell).clamp(1, CELLS.1);
            let part = grid.crop_imm(0, 0, columns * cell, rows * cell);
            let side = cell.min(CELL_SIDE);
            part.resize_exact(columns * side, rows * side, FilterType::CatmullRom)
        }
        None => grid.thumbnail(CELLS.0 * CELL_SIDE, CELLS.1 * CELL_SIDE),
    };
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(part.to_rgb8()).write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}
