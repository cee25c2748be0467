//! Inputs that the system refused to read in this run. With too many of them nothing is packed.

use serde::Serialize;

use crate::inputs::Entry;
use crate::record::{Outcome, Reason, Record};

/// Share of the inputs up to which read errors are told, and the others packed.
const TOLERATED: f64 = 0.05;

/// The inputs that could not be read in this run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadErrors {
    /// Number of inputs; a folder or archive counts once.
    pub n: usize,
    /// Source of the first one.
    pub first: String,
    /// The system's error for it.
    pub message: String,
    /// Whether more than a twentieth of the inputs are missing, or a folder or archive with all that it holds: nothing
    /// is packed then, since a dataset that lacks them would look complete.
    pub are_many: bool,
}

impl ReadErrors {
    /// Finds them among the records of this run.
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
