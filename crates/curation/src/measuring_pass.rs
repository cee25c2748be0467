//! Measuring what the journal lacks, on all threads; what an earlier run died of apart.

use crate::apart::{Apart, Ending, measured, order};
use crate::attempts::Attempts;
use crate::config::CurationConfig;
use crate::decide::Drop;
use crate::events::{Event, Stage};
use crate::inputs::Entry;
use crate::journal::Journal;
use crate::measure::{Measured, Measurer};
use crate::record::{Blob, Outcome, Reason, Record};
use rayon::prelude::*;
use std::collections::HashSet;
use std::io;

/// What the inputs of a run are measured with.
pub(crate) struct MeasuringPass<'a> {
    pub measurer: Measurer<'a>,
    pub attempts: Attempts,
    pub config: &'a CurationConfig,
    /// For inputs at which an earlier run died.
    pub apart: Option<&'a Apart<'a>>,
}

impl MeasuringPass<'_> {
    /// Measures what the journal lacks, and `again` whatever it holds. Memory: one picture per thread. The number
    /// of inputs that were measured.
    ///
    /// # Errors
    /// When the journal cannot be written, or no child process can be started.
    pub fn run(
        &self,
        entries: &[Entry],
        refused: &[Option<Drop>],
        again: &HashSet<usize>,
        journal: &mut Journal,
        on_event: &(dyn Fn(Event) + Sync),
    ) -> io::Result<usize> {
        let attempts = &self.attempts;
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
            .partition(|entry| attempts.died_at(&entry.source, &entry.stamp));
        if !suspects.is_empty() {
            tracing::warn!(
                "an earlier run ended while it measured {} images ('{}' first): they are measured one by one",
                suspects.len(),
                suspects[0].source
            );
        }
        let one = |entry: &Entry, is_suspect: bool| -> io::Result<Record> {
            attempts.begin(&entry.source, &entry.stamp)?;
            let measured = match self.apart.filter(|_| is_suspect) {
                Some(apart) => measure_apart(entry, journal, self.config, apart),
                None => {
                    keep(entry, self.measurer.measure(entry), journal).map(|record| (record, true))
                }
            };
            // What memory did not suffice for is measured apart by the next run too; an error is no death.
            if !matches!(measured, Ok((_, false))) {
                attempts.end(&entry.source, &entry.stamp)?;
            }
            let (record, _) = measured?;
            let (failed, faces) = match &record.outcome {
                Outcome::Failed { reason, .. } => (Some(*reason), 0),
                Outcome::Picture(picture) => (None, picture.faces.len()),
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

/// Writes measurements that hold until the input changes into the journal.
fn keep(entry: &Entry, mut measured: Measured, journal: &Journal) -> io::Result<Record> {
    let blobs = std::mem::take(&mut measured.blobs);
    let slices: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    let is_verdict = measured.is_verdict();
    let record = |places: &[Blob]| Record {
        source: entry.source.clone(),
        stamp: entry.stamp.clone(),
        sha256: measured.sha256.clone(),
        outcome: measured.outcome(places),
    };
    if is_verdict {
        journal.append(&slices, record)
    } else {
        Ok(record(&[]))
    }
}

/// Measures an input in a process of its own; whether that settles it for later runs.
fn measure_apart(
    entry: &Entry,
    journal: &Journal,
    config: &CurationConfig,
    apart: &Apart,
) -> io::Result<(Record, bool)> {
    let settled = |record| (record, true);
    let ending = match entry.read() {
        Ok(bytes) => apart(&order(&entry.source, &bytes, config)?)?,
        Err(error) => return keep(entry, Measured::unread(&error), journal).map(settled),
    };
    let (how, is_final) = match ending {
        Ending::Measured(bytes) => return keep(entry, measured(&bytes)?, journal).map(settled),
        Ending::Crashed(how) => (how, true),
        Ending::OutOfMemory(how) => (how, false),
    };
    let retried = match is_final {
        true => "it is measured again when the file changes, if only its date",
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
    match is_final {
        true => journal.append(&[], |_| record).map(settled),
        false => Ok((record, false)),
    }
}
