//! A parsed pickle stream, and the limits of parsing.

use std::cell::Cell;

use super::node::{Id, Node};
use crate::error::{Error, Result};

/// A parsed pickle stream: all its values, of which [`root`](Self::root) is the pickled one.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    end: usize,
    /// Number of values that may still be read, `None` after the budget was exceeded; see [`spend`](Self::spend).
    budget: Cell<Option<u64>>,
}

/// The budget for reading a stream, in values: `UNITS_PER_BYTE` for each of its bytes, plus `UNITS`.
const UNITS_PER_BYTE: u64 = 16;
const UNITS: u64 = 4 << 20;

impl<'a> Pickle<'a> {
    /// Builds the result of parsing a stream of `end` bytes.
    pub(super) fn new(nodes: Vec<Node<'a>>, root: Id, end: usize) -> Self {
        Self {
            nodes,
            root,
            end,
            budget: Cell::new(Some(UNITS_PER_BYTE * end as u64 + UNITS)),
        }
    }

    /// Subtracts `n` from the budget, for reading `n` elements or `n` times 16 bytes of text.
    ///
    /// A value is stored once but can be referenced many times, so reading all references can take very long although
    /// the stream is short. Returns `None` when the budget is spent, or when `n` is more than the length of the stream
    /// in bytes. Accessors then return `None`, and [`check_budget`](Self::check_budget) returns the reason.
    pub(super) fn spend(&self, n: usize) -> Option<()> {
        let budget = self.budget.get().filter(|_| n <= self.most_elements());
        let left = budget.and_then(|budget| budget.checked_sub(n as u64));
        self.budget.set(left);
        left.map(|_| ())
    }

    /// Largest number of elements that one list can have: each takes at least one byte of the stream.
    fn most_elements(&self) -> usize {
        self.end
    }

    /// Checks that no accessor of a [`Value`](super::Value) has returned `None` because the budget for reading was
    /// spent. Call it after reading.
    ///
    /// # Errors
    /// `Limit` when the budget was spent: the values of the stream refer to each other so often that reading all of
    /// them takes too long.
    pub fn check_budget(&self) -> Result<()> {
        match self.budget.get() {
            None => Err(Error::Limit {
                what: "number of values that the pickle unfolds into (one value stands in many places)",
                limit: UNITS_PER_BYTE * self.end as u64 + UNITS,
            }),
            Some(_) => Ok(()),
        }
    }

    /// Length of the pickle in bytes, including its STOP instruction.
    pub fn end(&self) -> usize {
        self.end
    }
}
