//! The run: walk the inputs, measure, decide, pack, write manifest and report.

use crate::child_process::MeasureInChild;
use crate::config::CurationConfig;
use crate::error::CurationError;
use crate::events::Event;
use crate::exclude::ExcludeList;
use crate::finish::{Finish, Unfinished};
use crate::in_progress::InProgress;
use crate::inputs::walk;
use crate::journal::{Journal, JournalState};
use crate::measure::Measurer;
use crate::measuring_pass::MeasuringPass;
use crate::memory::Memory;
use crate::metadata::Matches;
use crate::output_paths::OutputPaths;
use crate::summary::Summary;
use detect::DetectorSpec;
use detect::embedded::EmbeddedDetector;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// Options of a run. They are not part of the recipe of a dataset, unlike those in [`CurationConfig`].
#[derive(Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Whether to write manifest and report, but no zip.
    pub dry_run: bool,
    /// Memory that decoding may use, for all threads together.
    pub memory: Memory,
    /// Function that measures, in a child process, an input at which an earlier run died. `None` to measure such an
    /// input like all others; then no input is dropped as crashed.
    pub in_child: Option<&'a MeasureInChild<'a>>,
}

/// Largest number of passes. Measuring is repeated when the journal turns out to be damaged, or when a looser threshold
/// keeps a face that has no crop yet.
const MAX_ATTEMPTS: usize = 4;

/// Runs the whole pipeline. `out` is the path of the zip; manifest, report and journal are written beside it, with the
/// same stem.
///
/// # Errors
/// Failures that no single image causes, in inputs, models or on the disk. Errors in an image are recorded in the
/// manifest.
pub fn run(
    inputs: &[PathBuf],
    out: &Path,
    config: &CurationConfig,
    options: RunOptions<'_>,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Summary, CurationError> {
    let paths = OutputPaths::new(out)?;
    let detector = config.detector.load()?;
    let exclude = config.exclude.as_deref().map(ExcludeList::read);
    let exclude = exclude.transpose()?.unwrap_or_default();
    let entries = walk(inputs, &paths.all())?;
    let sources: Vec<String> = entries.iter().map(|entry| entry.source.clone()).collect();
    let posts = Matches::find(&entries, &config.metadata, config.labels.as_ref())?;
    let refused = posts.refused(entries.len(), &config.metadata);
    let model = model_bytes(&config.detector)?;
    let fingerprint = Measurer::fingerprint(config, detector.as_ref(), &model);
    let mut journal = open_journal(&paths.journal, &fingerprint, on_event)?;
    let pass = MeasuringPass {
        measurer: Measurer::new(detector.as_ref(), config, options.memory),
        in_progress: InProgress::open(&paths.journal)?,
        config,
        in_child: options.in_child,
    };
    let finish = Finish {
        entries: &entries,
        sources: &sources,
        posts: &posts,
        refused: &refused,
        exclude: &exclude,
        config,
        paths: &paths,
        dry_run: options.dry_run,
        on_event,
    };
    let mut again: HashSet<usize> = HashSet::new();
    let mut n_measured = 0;
    for _ in 0..MAX_ATTEMPTS {
        n_measured += pass.run(&entries, &refused, &again, &mut journal, on_event)?;
        match finish.run(&journal, n_measured) {
            Ok(summary) => return Ok(summary),
            Err(Unfinished::Remeasure(inputs)) => again = inputs,
            Err(Unfinished::Failed(error)) => return Err(error),
        }
    }
    Err(CurationError::Journal(paths.journal))
}

fn open_journal(
    path: &Path,
    fingerprint: &str,
    on_event: &(dyn Fn(Event) + Sync),
) -> io::Result<Journal> {
    let (journal, state) = Journal::open(path, fingerprint)?;
    match state {
        JournalState::OtherSettings => on_event(Event::OtherSettings),
        JournalState::Records { n_damaged, .. } if n_damaged > 0 => tracing::warn!(
            "{n_damaged} damaged lines in the journal '{}': their images are measured again",
            path.display()
        ),
        JournalState::Records { .. } | JournalState::Empty => {}
    }
    Ok(journal)
}

/// Largest size in bytes of a file of weights or boxes that is read for [`model_bytes`]: the limit of `detect` for ONNX
/// models and files of boxes.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// Content of the detector's file of weights or boxes, on which measurements depend; empty without a detector.
fn model_bytes(spec: &DetectorSpec) -> io::Result<Vec<u8>> {
    match spec.path() {
        Some(path) => files::read_input(path, MAX_MODEL_BYTES),
        None if *spec == DetectorSpec::Embedded => Ok(EmbeddedDetector::weights().to_vec()),
        None => Ok(Vec::new()),
    }
}
