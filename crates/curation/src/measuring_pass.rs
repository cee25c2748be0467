//! Measures the inputs that are not in the journal, on all threads. Inputs at which an earlier run died are measured
//! one by one, in child processes.

use crate::child_process::{Ending, MeasureInChild, measured, request};
use crate::config::CurationConfig;
use crate::decide::DropReason;
use crate::events::{Event, Stage};
use crate::in_progress::InProgress;
use crate::inputs::Entry;
use crate::journal::Journal;
use crate::measure::{Measured, Measurer};
use crate::record::{Blob, Outcome, Reason, Record};
use rayon::prelude::*;
use std::collections::HashSet;
use std::io;

/// Measures the inputs of a run.
pub(crate) struct MeasuringPass<'a> {
    pub measurer: Measurer<'a>,
    pub in_progress: InProgress,
    pub config: &'a CurationConfig,
    /// Starts the child processes for inputs at which an earlier run died; `None` to measure them like all others.
    pub in_child: Option<&'a MeasureInChild<'a>>,
}

impl MeasuringPass<'_> {
    /// Measures the entries that are not in the journal, and in any case those whose indices are in `again`. Leaves out
    /// entries for which `refused` has a reason. Returns the number of entries that were measured.
    ///
    /// Holds one image per thread in memory.
    ///
    /// # Errors
    /// When the journal cannot be written, or no child process can be started.
    pub fn run(
        &self,
        entries: &[Entry],
        refused: &[Option<DropReason>],
        again: &HashSet<usize>,
        journal: &mut Journal,
        on_event: &(dyn Fn(Event) + Sync),
    ) -> io::Result<usize> {
        let in_progress = &self.in_progress;
        for &i in again {
            journal.forget(&entries[i].source);
        }
        let wanted = refused.iter().filter(|refused| refused.is_none()).count();
        let todo: Vec<&Entry> = entries
            .iter()
            .zip(refused)
            .filter(|(entry, refused)| {
                refused.is_none() && journal.get(&entry.source, &entry.stamp).is_none()
            })
            .map(|(entry, _)| entry)
            .collect();
        on_event(Event::Start {
            stage: Stage::Measure,
            total: wanted,
            done: wanted - todo.len(),
        });
        let (suspects, others): (Vec<&Entry>, Vec<&Entry>) = todo
            .into_iter()
            .partition(|entry| in_progress.died_at(&entry.source, &entry.stamp));
        if !suspects.is_empty() {
            tracing::warn!(
                "an earlier run ended while it measured {} images ('{}' first): they are measured one by one",
                suspects.len(),
                suspects[0].source
            );
        }
        let one = |entry: &Entry, is_suspect: bool| -> io::Result<Record> {
            in_progress.begin(&entry.source, &entry.stamp)?;
            let measured = match self.in_child.filter(|_| is_suspect) {
                Some(in_child) => measure_in_child(entry, journal, self.config, in_child),
                None => {
                    store(entry, self.measurer.measure(entry), journal).map(|record| (record, true))
                }
            };
            // A measurement that ran out of memory is not recorded as ended, so that the next run measures this input
            // in a child process again.
            if !matches!(measured, Ok((_, false))) {
                in_progress.end(&entry.source, &entry.stamp)?;
            }
            let (record, _) = measured?;
            let (failed, faces) = match &record.outcome {
                Outcome::Failed { reason, .. } => (Some(*reason), 0),
                Outcome::Image(image) => (None, image.faces.len()),
            };
            on_event(Event::Step {
                stage: Stage::Measure,
                failed,
                faces,
            });
            Ok(record)
        };
        let mut fresh = Vec::with_capacity(suspects.len() + others.len());
        for entry in suspects {
            fresh.push(one(entry, true)?);
        }
        let others = others
            .par_iter()
            .with_max_len(1)
            .map(|entry| one(entry, false));
        fresh.extend(others.collect::<io::Result<Vec<Record>>>()?);
        let n = fresh.len();
        journal.remember(fresh);
        journal.sync()?;
        on_event(Event::End(Stage::Measure));
        Ok(n)
    }
}

/// Converts measurements to a record, and writes the record to the journal if it stays valid until the input changes.
fn store(entry: &Entry, mut measured: Measured, journal: &Journal) -> io::Result<Record> {
    let blobs = std::mem::take(&mut measured.blobs);
    let slices: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    let is_permanent = measured.is_permanent();
    let record = |stored: &[Blob]| Record {
        source: entry.source.clone(),
        stamp: entry.stamp.clone(),
        sha256: measured.sha256.clone(),
        outcome: measured.into_outcome(stored),
    };
    if is_permanent {
        journal.append(&slices, record)
    } else {
        Ok(record(&[]))
    }
}

/// Measures an input in a child process. The flag in the result is `false` when the next run has to measure the input
/// again.
fn measure_in_child(
    entry: &Entry,
    journal: &Journal,
    config: &CurationConfig,
    in_child: &MeasureInChild,
) -> io::Result<(Record, bool)> {
    let is_final = |record| (record, true);
    let ending = match entry.read() {
        Ok(bytes) => in_child(&request(&entry.source, &bytes, config)?)?,
        Err(error) => return store(entry, Measured::unread(&error), journal).map(is_final),
    };
    let (how, is_crash) = match ending {
        Ending::Measured(bytes) => return store(entry, measured(&bytes)?, journal).map(is_final),
        Ending::Crashed(how) => (how, true),
        Ending::OutOfMemory(how) => (how, false),
    };
    let retried = match is_crash {
        true => "it is measured again when the file or its date changes",
        false => "the next run tries again: give it more memory",
    };
    tracing::warn!(
        "'{}' ends the program ({how}) and is left out: {retried}",
        entry.source
    );
    let record = Record {
        source: entry.source.clone(),
        stamp: entry.stamp.clone(),
        sha256: String::new(),
        outcome: Outcome::Failed {
            reason: Reason::Crashed,
            detail: format!(
                "the program died while it measured this, and so did a process that measured nothing else ({how}); {retried}"
            ),
        },
    };
    match is_crash {
        true => journal.append(&[], |_| record).map(is_final),
        false => Ok((record, false)),
    }
}
