//! Inputs that the operating system refused to read in this run. With too many of them nothing is packed.

use serde::Serialize;

use crate::inputs::Entry;
use crate::record::{Outcome, Reason, Record};

/// Largest share of inputs with read errors at which the other inputs are still packed.
const TOLERATED: f64 = 0.05;

/// The inputs that could not be read in this run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadErrors {
    /// Number of inputs; a folder or an archive that cannot be read counts once.
    pub n: usize,
    /// Source of the first such input.
    pub first: String,
    /// The operating system's error for the first such input.
    pub message: String,
    /// Whether more than 5 % of the inputs could not be read, or a whole folder or archive. Nothing is packed then,
    /// since a dataset without them would look complete.
    pub are_many: bool,
}

impl ReadErrors {
    /// Collects the read errors from the records of this run; `None` when there are none.
    pub(crate) fn of(entries: &[Entry], records: &[Option<Record>]) -> Option<Self> {
        let mut found: Option<Self> = None;
        for (entry, record) in entries.iter().zip(records) {
            let Some(Outcome::Failed {
                reason: Reason::ReadError,
                detail,
            }) = record.as_ref().map(|record| &record.outcome)
            else {
                continue;
            };
            let errors = found.get_or_insert_with(|| Self {
                n: 0,
                first: entry.source.clone(),
                message: detail.clone(),
                are_many: false,
            });
            errors.n += 1;
            errors.are_many |= entry.is_unread_container();
        }
        if let Some(errors) = &mut found {
            errors.are_many |= errors.n as f64 > TOLERATED * entries.len() as f64;
        }
        found
    }
}
