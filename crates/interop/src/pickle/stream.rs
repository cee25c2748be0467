use std::cell::Cell;

use super::node::{Id, Node};
use crate::error::{Error, Result};

/// A parsed stream.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    end: usize,
    /// Remaining units of work of readers, `None` after they exceeded the budget; see [`spend`](Self::spend).
    budget: Cell<Option<u64>>,
}

/// Units of work for each byte of the stream, and for every stream.
const UNITS_PER_BYTE: u64 = 16;
const UNITS: u64 = 4 << 20;

impl<'a> Pickle<'a> {
    /// The values of a stream of `end` bytes.
    pub(super) fn new(nodes: Vec<Node<'a>>, root: Id, end: usize) -> Self {
        Self {
            nodes,
            root,
            end,
            budget: Cell::new(Some(UNITS_PER_BYTE * end as u64 + UNITS)),
        }
    }

    /// Spends the budget for reading `n` elements, or `n` times 16 bytes of text.
    ///
    /// A value has its bytes once and can be referenced a thousand times, so reading all references can take very long
    /// although the stream is short. `None` when the budget is spent, or when a stream of this length cannot contain
    /// `n` elements: accessors then find nothing, and [`check_budget`](Self::check_budget) returns the reason.
    pub(super) fn spend(&self, n: usize) -> Option<()> {
        let budget = self.budget.get().filter(|_| n <= self.most_elements());
        let left = budget.and_then(|budget| budget.checked_sub(n as u64));
        self.budget.set(left);
        left.map(|_| ())
    }

    /// The most elements of one list without sharing: each takes at least one byte of the stream.
    fn most_elements(&self) -> usize {
        self.end
    }

    /// Whether everything was read within the budget.
    ///
    /// # Errors
    /// `Limit` when values were shared so often that some were not read.
    pub fn check_budget(&self) -> Result<()> {
        match self.budget.get() {
            None => Err(Error::Limit {
                what: "number of values that the pickle unfolds into (one value stands in many places)",
                limit: UNITS_PER_BYTE * self.end as u64 + UNITS,
            }),
            Some(_) => Ok(()),
        }
    }

    /// Bytes used, STOP included.
    pub fn end(&self) -> usize {
        self.end
    }
}
