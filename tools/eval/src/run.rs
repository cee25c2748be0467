//! `eval run`: measures every snapshot of a run that has no result yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::bail;
use fakes::FakeImages;
use metrics::{FeatureKind, Metric};
use run_folder::{RunRecord, Snapshot, append_result, format_time, timestamp};
use tool_support::{device, find_run};

use crate::args::RunArgs;
use crate::measure::{Features, describe, evaluate, evaluator};
use crate::metrics_of_network::warn_of_sizes;
use crate::open::open_file_on;
use crate::run_dataset::dataset_of;
use crate::run_settings::{features_of, metrics_of};

/// Interval at which the folder of a running training is read again.
const POLL: Duration = Duration::from_secs(10);

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let device = device(&args.measure.device)?;
    let run_dir = find_run(&args.run_dir)?;
    let mut run = RunRecord::open(&run_dir)?;
    run.warn();
    let dataset = dataset_of(&run, args.data.as_deref())?;
    let wanted = match &args.metrics {
        Some(metrics) => metrics.clone(),
        None => metrics_of(&run),
    };
    let of_run = features_of(&run)?;
    let features = match (args.measure.features, &args.measure.weights) {
        (None, None) => of_run.as_features(),
        _ => Features::of(&args.measure),
    };
    let mut evaluator = evaluator(
        &args.measure,
        features,
        &device,
        &wanted,
        dataset.clone().into(),
        args.covariance,
    )?;
    let kind = evaluator.network().kind();
    let mut n_measured = 0;
    let mut is_waiting = false;
    // Snapshots that cannot be read, with their modification times. A snapshot whose time changes is tried again.
    let mut left_out: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
    loop {
        let mut todo = pending(&run, &wanted, args.every, kind);
        todo.retain(|(snapshot, _)| {
            left_out
                .get(&snapshot.path)
                .is_none_or(|time| *time != written_at(&snapshot.path))
        });
        if !todo.is_empty() {
            tracing::info!("{} snapshots to measure", todo.len());
        }
        for (snapshot, _) in todo {
            let now = pending(&RunRecord::open(&run_dir)?, &wanted, args.every, kind);
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
                append_result(&run_dir, &result.metric.to_string(), &line)?;
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
                format_time(quiet)
            );
            break;
        }
        if !is_waiting {
            is_waiting = true;
            tracing::info!("waiting for new snapshots; Ctrl-C ends this, nothing is lost");
        }
        std::thread::sleep(POLL);
        run = RunRecord::open(&run_dir)?;
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

/// The snapshots to measure, ascending by kimg, each with the wanted metrics for which it has no result yet that was
/// computed with the feature network `kind`. With `every`, these are only the snapshots at multiples of so many ticks
/// and the last snapshot of a finished run.
fn pending(
    run: &RunRecord,
    wanted: &[Metric],
    every: Option<u64>,
    kind: FeatureKind,
) -> Vec<(Snapshot, Vec<Metric>)> {
    let last = run.snapshots.last().map(|snapshot| snapshot.kimg);
    run.snapshots
        .iter()
        .filter(|snapshot| {
            let is_last = Some(snapshot.kimg) == last && run.has_ended();
            every.is_none_or(|every| is_last || run.tick_of(snapshot.kimg).is_multiple_of(every))
        })
        .filter_map(|snapshot| {
            let missing: Vec<Metric> = wanted
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
