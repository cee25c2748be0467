//! The stages of a run after measuring: decide, pack the zip, write manifest and report.

use crate::config::CurationConfig;
use crate::decide::{DecideError, Decider, Decisions, DropReason};
use crate::error::CurationError;
use crate::events::{Event, Stage};
use crate::exclude::ExcludeList;
use crate::inputs::Entry;
use crate::journal::Journal;
use crate::manifest;
use crate::metadata::Matches;
use crate::output_paths::OutputPaths;
use crate::pack::{PackError, pack};
use crate::page;
use crate::read_errors::ReadErrors;
use crate::record::{Blob, Record};
use crate::samples::Samples;
use crate::summary::Summary;
use rayon::prelude::*;
use std::collections::HashSet;

/// The last stages of a run, which work on the measurements in the journal.
pub(crate) struct Finish<'a> {
    pub entries: &'a [Entry],
    /// Names of the entries, in the same order.
    pub sources: &'a [String],
    pub posts: &'a Matches,
    /// Why each entry was rejected before it was read; `None` for the others.
    pub refused: &'a [Option<DropReason>],
    pub exclude: &'a ExcludeList,
    pub config: &'a CurationConfig,
    pub paths: &'a OutputPaths,
    pub dry_run: bool,
    pub on_event: &'a (dyn Fn(Event) + Sync),
}

/// Why a run could not be finished.
pub(crate) enum Unfinished {
    /// The inputs with these indices have to be measured again first.
    Remeasure(HashSet<usize>),
    Failed(CurationError),
}

impl Unfinished {
    fn failed(error: impl Into<CurationError>) -> Self {
        Self::Failed(error.into())
    }
}

impl Finish<'_> {
    /// Decides, packs the zip, and writes manifest and report. `n_measured` is the number of inputs measured in this
    /// run.
    ///
    /// # Errors
    /// [`Unfinished::Remeasure`] when the journal is damaged or lacks the crop of a kept face; else
    /// [`Unfinished::Failed`].
    pub fn run(&self, journal: &Journal, n_measured: usize) -> Result<Summary, Unfinished> {
        let records = self.records(journal);
        let decisions = self.decide(&records, journal)?;
        let samples = Samples::collect(self.sources, &records, &decisions, self.config, self.posts)
            .map_err(Unfinished::Remeasure)?;
        let read_errors = ReadErrors::of(self.entries, &records);
        let is_complete = read_errors.as_ref().is_none_or(|errors| !errors.are_many);
        let is_packed = !self.dry_run && !samples.list.is_empty() && is_complete;
        if is_packed {
            self.pack(&samples, &records, journal)?;
        }
        let summary = Summary {
            n_measured,
            metadata: self.posts.summary(self.entries),
            read_errors,
            zip: is_packed.then(|| self.paths.zip.clone()),
            manifest: self.paths.manifest.clone(),
            report: self.paths.report.clone(),
            classes: samples.classes.clone(),
            ..Summary::of(&decisions, self.config)
        };
        self.record(&summary, &records, &decisions, &samples, journal)?;
        Ok(summary)
    }

    /// The record of each entry in the journal; `None` for entries that were rejected before they were read.
    fn records(&self, journal: &Journal) -> Vec<Option<Record>> {
        let entries = self.entries.iter().zip(self.refused);
        entries
            .map(|(entry, refused)| match refused {
                Some(_) => None,
                None => journal.get(&entry.source, &entry.stamp).cloned(),
            })
            .collect()
    }

    fn decide(
        &self,
        records: &[Option<Record>],
        journal: &Journal,
    ) -> Result<Decisions, Unfinished> {
        self.start(Stage::Decide, 0);
        let read = |blob: &Blob| journal.read(blob);
        let decider = Decider {
            records,
            refused: self.refused,
            exclude: self.exclude,
            config: self.config,
            read: &read,
        };
        let decisions = decider.decide().map_err(|error| match error {
            DecideError::Damaged(..) => damaged(journal, records),
            DecideError::Search(error) => Unfinished::failed(error),
        })?;
        (self.on_event)(Event::End(Stage::Decide));
        Ok(decisions)
    }

    fn pack(
        &self,
        samples: &Samples,
        records: &[Option<Record>],
        journal: &Journal,
    ) -> Result<(), Unfinished> {
        self.start(Stage::Pack, samples.list.len());
        let on_sample = || {
            (self.on_event)(Event::Step {
                stage: Stage::Pack,
                failed: None,
                faces: 0,
            })
        };
        let (zip, level) = (&self.paths.zip, self.config.png_level);
        pack(zip, &samples.list, journal, level, &on_sample).map_err(|error| match error {
            PackError::Damaged(_) => damaged(journal, records),
            PackError::Dataset(error) => Unfinished::failed(error),
        })?;
        (self.on_event)(Event::End(Stage::Pack));
        Ok(())
    }

    /// Writes manifest and report.
    fn record(
        &self,
        summary: &Summary,
        records: &[Option<Record>],
        decisions: &Decisions,
        samples: &Samples,
        journal: &Journal,
    ) -> Result<(), Unfinished> {
        self.start(Stage::Record, 0);
        let is_packed = summary.zip.is_some();
        let lines = manifest::lines(self.sources, records, decisions, &samples.list, is_packed);
        let html = page::build(summary, records, decisions, &lines, self.config, journal)
            .map_err(|_| damaged(journal, records))?;
        manifest::write(&summary.manifest, &lines).map_err(Unfinished::failed)?;
        files::write_bytes(&summary.report, html.as_bytes()).map_err(Unfinished::failed)?;
        (self.on_event)(Event::End(Stage::Record));
        Ok(())
    }

    fn start(&self, stage: Stage, total: usize) {
        (self.on_event)(Event::Start {
            stage,
            total,
            done: 0,
        });
    }
}

/// Finds all inputs whose blobs cannot be read back, not only the first one, so that a single further pass measures all
/// of them again.
fn damaged(journal: &Journal, records: &[Option<Record>]) -> Unfinished {
    let is_damaged = |record: &Option<Record>| {
        record
            .as_ref()
            .is_some_and(|record| !journal.is_whole(record))
    };
    let damaged: HashSet<usize> = (0..records.len())
        .into_par_iter()
        .filter(|&i| is_damaged(&records[i]))
        .collect();
    tracing::warn!(
        "the measurements of {} images are damaged in the journal: they are measured again",
        damaged.len()
    );
    Unfinished::Remeasure(damaged)
}
