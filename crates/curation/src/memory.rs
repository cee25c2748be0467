//! A limit on the memory that all threads together use for decoding.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Memory in bytes that decoding may use at a time, for all threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A preference: an image that needs more memory is decoded alone, while no other image is being decoded.
    Preferred(u64),
    /// A limit: an image that needs more memory is dropped as too large in this run.
    AtMost(u64),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Preferred(u64::MAX)
    }
}

thread_local! {
    /// Bytes in all shares of this thread. A thread that already holds another share gets more bytes without waiting,
    /// since otherwise it would wait for itself.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// The memory budget in bytes for decoding, of which each thread takes shares.
pub(crate) struct MemoryBudget {
    total: u64,
    shares: Mutex<Shares>,
    returned: Condvar,
}

#[derive(Default)]
struct Shares {
    taken: u64,
    /// Number of shares in use, without those whose owner waits for more.
    n_running: usize,
}

/// A share of the budget, which is returned on drop.
pub(crate) struct Share<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    pub fn new(total: u64) -> Self {
        Self {
            total,
            shares: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a share of `bytes`. Waits until that many bytes are free or no other share is in use; so even an image
    /// that needs more than the whole budget gets its share.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let mut share = Share {
            budget: self,
            bytes: 0,
        };
        self.wait(&mut share, bytes);
        share
    }

    fn wait(&self, share: &mut Share<'_>, bytes: u64) {
        let mut shares = self.lock();
        if TAKEN.get() == share.bytes {
            while shares.n_running > 0 && shares.taken.saturating_add(bytes) > self.total {
                shares = self
                    .returned
                    .wait(shares)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        shares.taken += bytes;
        shares.n_running += 1;
        share.bytes += bytes;
        TAKEN.set(TAKEN.get() + bytes);
    }
}

impl Share<'_> {
    /// Enlarges the share by `bytes`. While the thread waits, its share stays taken but does not count as in use, so
    /// that two threads that enlarge their shares do not wait for each other.
    pub fn grow(&mut self, bytes: u64) {
        self.budget.lock().n_running -= 1;
        self.budget.returned.notify_all();
        self.budget.wait(self, bytes);
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut shares = self.budget.lock();
        shares.taken -= self.bytes;
        shares.n_running -= 1;
        TAKEN.set(TAKEN.get() - self.bytes);
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// Largest number of bytes in use at a time, when `n` threads each take `first` bytes and then `second` more.
    fn most_in_use(total: u64, n: usize, first: u64, second: u64) -> u64 {
        let budget = MemoryBudget::new(total);
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..n {
                scope.spawn(|| {
                    let mut share = budget.take(first);
                    share.grow(second);
                    let now = used.fetch_add(first + second, Ordering::SeqCst) + first + second;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    used.fetch_sub(first + second, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(budget.lock().taken, 0);
        most.into_inner()
    }

    #[test]
    fn shares_stay_within_the_budget() {
        assert!(most_in_use(100, 12, 5, 20) <= 100);
        assert_eq!(most_in_use(100, 12, 10, 80), 90);
    }

    #[test]
    fn what_needs_more_than_all_runs_alone() {
        assert_eq!(most_in_use(100, 8, 30, 300), 330);
    }

    #[test]
    fn a_thread_does_not_wait_for_itself() {
        let budget = MemoryBudget::new(100);
        let outer = budget.take(80);
        let inner = budget.take(80);
        drop(inner);
        drop(outer);
        assert_eq!(budget.lock().taken, 0);
    }
}
