//! `eval run`: every snapshot of a run that has no result yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use dataset::{DatasetOptions, ImageDataset};
use fakes::FakeImages;
use metrics::{FeatureKind, Metric};
use serde_json::{Map, Value};

use crate::args::RunArgs;
use crate::measure::{describe, evaluate, evaluator, timestamp};
use crate::metrics_of_network::warn_of_sizes;
use crate::open::{device, open_file_on};
use crate::run_dir::{RunDir, Snapshot};

/// Time between two looks at a live run.
const POLL: Duration = Duration::from_secs(10);

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let device = device(&args.measure.device)?;
    let mut run = RunDir::open(&args.run_dir)?;
    run.warn();
    let dataset = dataset_of(&run, args.data.as_deref())?;
    let mut evaluator = evaluator(
        &args.measure,
        &device,
        &args.metrics,
        dataset.clone().into(),
        args.covariance,
    )?;
    let kind = evaluator.network().kind();
    let mut n_measured = 0;
    let mut is_waiting = false;
    // Snapshots that cannot be read, and when they were written: one that changes is tried again.
    let mut left_out: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
    loop {
        let mut todo = pending(&run, args, kind);
        todo.retain(|(snapshot, _)| {
            left_out
                .get(&snapshot.path)
                .is_none_or(|time| *time != written_at(&snapshot.path))
        });
        if !todo.is_empty() {
            tracing::info!("{} snapshots to measure", todo.len());
        }
        for (snapshot, _) in todo {
            let now = pending(&RunDir::open(&args.run_dir)?, args, kind);
            let now = now
                .into_iter()
                .find(|(other, _)| other.path == snapshot.path);
            let Some((_, metrics)) = now else {
                continue;
            };
            let time = written_at(&snapshot.path);
            let opened = open_file_on(&snapshot.path, &device).and_then(|opened| {
                opened.generator()?;
                Ok(opened)
            });
            let opened = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::warn!("'{}' is left out: {error:#}", snapshot.path.display());
                    left_out.insert(snapshot.path, time);
                    continue;
                }
            };
            left_out.remove(&snapshot.path);
            let (_, generator) = opened.generator()?;
            warn_of_sizes(generator.config().img_resolution, &dataset);
            let mut fakes = FakeImages::new(generator, Some(&dataset), args.measure.seed)?;
            tracing::info!("{}", snapshot.name());
            evaluate(&mut evaluator, &metrics, &mut fakes, &mut |result| {
                let mut line = result.to_json(Some(&snapshot.name()), timestamp());
                line["kimg"] = snapshot.kimg.into();
                // Another program may have measured it meanwhile: training, or a second `eval run`.
                let is_same = |old: &Map<String, Value>| {
                    let same = |key: &str| old.get(key) == line.get(key);
                    same("snapshot_pkl") && same("flavour")
                };
                files::append_json_line(&file_of(args, &result.metric), &line, &is_same)?;
                cli::report(&line, |line| {
                    format!("kimg {:<8} {}", snapshot.kimg, describe(line))
                });
                Ok(())
            })?;
            n_measured += 1;
        }
        if !args.watch || run.has_ended() {
            break;
        }
        let quiet = run.quiet_for();
        if quiet > run.patience() {
            tracing::warn!(
                "the run has not reached its goal, but has written nothing for {}: it seems to have stopped, so this \
                 ends too; type the same again when training goes on",
                elapsed::format_time(quiet)
            );
            break;
        }
        if !is_waiting {
            is_waiting = true;
            tracing::info!("waiting for new snapshots; Ctrl-C ends this, nothing is lost");
        }
        std::thread::sleep(POLL);
        run = RunDir::open(&args.run_dir)?;
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out
            .keys()
            .map(|path| format!("'{}'", path.display()))
            .collect();
        bail!(
            "{} snapshots cannot be read and have no result ({n_measured} others were measured): {}; remove them or bring \
             them back whole",
            names.len(),
            names.join(", ")
        );
    }
    if n_measured == 0 && run.snapshots.is_empty() {
        tracing::warn!(
            "'{}' has no snapshots (network-snapshot-*)",
            run.path.display()
        );
    } else if n_measured == 0 {
        tracing::info!("nothing to do: every chosen snapshot has its results");
    }
    Ok(())
}

fn written_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// The dataset as the run saw it.
pub fn dataset_of(run: &RunDir, data: Option<&Path>) -> anyhow::Result<ImageDataset> {
    let set = run.option(&["training_set_kwargs"]);
    let path = match (data, set["path"].as_str()) {
        (Some(path), _) => path.to_path_buf(),
        (None, Some(path)) => PathBuf::from(path),
        (None, None) => anyhow::bail!(
            "'{}' does not say which dataset it was trained on: give it with --data ZIP",
            run.path.display()
        ),
    };
    let options = DatasetOptions {
        use_labels: set["use_labels"].as_bool().unwrap_or(false),
        max_size: set["max_size"].as_u64().map(|n| n as usize),
        random_seed: set["random_seed"].as_u64().unwrap_or(0) as u32,
        xflip: set["xflip"].as_bool().unwrap_or(false),
    };
    ImageDataset::open(&path, &options).with_context(|| {
        format!(
            "the dataset '{}' of the run; when it has moved, say where it is with --data FILE",
            path.display()
        )
    })
}

fn file_of(args: &RunArgs, metric: &Metric) -> PathBuf {
    args.run_dir.join(format!("metric-{metric}.jsonl"))
}

/// Chosen snapshots with the metrics that have no line of theirs yet, in order of time.
fn pending(run: &RunDir, args: &RunArgs, kind: FeatureKind) -> Vec<(Snapshot, Vec<Metric>)> {
    let last = run.snapshots.last().map(|snapshot| snapshot.kimg);
    run.snapshots
        .iter()
        .filter(|snapshot| {
            let is_last = Some(snapshot.kimg) == last && run.has_ended();
            args.every
                .is_none_or(|every| is_last || run.tick_of(snapshot.kimg).is_multiple_of(every))
        })
        .filter_map(|snapshot| {
            let missing: Vec<Metric> = args
                .metrics
                .iter()
                .filter(|metric| {
                    let name = metric.to_string();
                    !run.metrics.iter().any(|line| {
                        line.metric == name
                            && line.snapshot() == snapshot.name()
                            && line.features() == kind.name_for(metric)
                    })
                })
                .copied()
                .collect();
            (!missing.is_empty()).then(|| (snapshot.clone(), missing))
        })
        .collect()
}
