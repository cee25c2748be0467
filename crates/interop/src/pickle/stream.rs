use std::cell::Cell;

use super::node::{Id, Node};
use crate::error::{Error, Result};

/// A parsed stream.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(super) root: Id,
    end: usize,
    /// Units of work that readers may still spend, `None` when they wanted more; see [`spend`](Self::spend).
    budget: Cell<Option<u64>>,
}

/// Units of work per byte of the stream, and those that every stream has.
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

    /// Pays for a look at `n` elements, or at 16 bytes of text each.
    ///
    /// A value costs its bytes once and can stand in a thousand places, so that reading all places can take without end
    /// although the stream is short. `None` when the budget is spent, or when `n` elements are more than a stream of this
    /// length can hold once: accessors then find nothing, and [`check_budget`](Self::check_budget) tells why.
    pub(super) fn spend(&self, n: usize) -> Option<()> {
        let budget = self.budget.get().filter(|_| n <= self.most_elements());
        let left = budget.and_then(|budget| budget.checked_sub(n as u64));
        self.budget.set(left);
        left.map(|_| ())
    }

    /// Elements that one list can have without sharing: each takes at least one byte of the stream.
    fn most_elements(&self) -> usize {
        self.end
    }

    /// Whether everything was read within the budget.
    ///
    /// # Errors
    /// `Limit` when values were shared so often that some were not looked at.
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
