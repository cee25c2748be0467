//! Parallel loops on the rayon thread pool, and a way to keep them on one thread.

use std::cell::Cell;

use rayon::prelude::*;

thread_local! {
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `task(0)` to `task(count - 1)` on the current rayon pool and waits for them.
///
/// Runs them on the calling thread when `count` or [`threads`] is 1.
pub fn parallel(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count <= 1 || threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().for_each(task);
    }
}

/// Number of threads that [`parallel`] uses here: 1 inside [`alone`], otherwise that of the current rayon pool.
pub fn threads() -> usize {
    if IS_ALONE.get() {
        1
    } else {
        rayon::current_num_threads()
    }
}

/// Runs `work` such that every [`parallel`] loop in it stays on the calling thread.
///
/// Callers that process whole images in parallel use this: otherwise, a rayon worker that waits for subtasks of its
/// image would start another image in the meantime.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_ALONE.set(self.0);
        }
    }
    let _before = Before(IS_ALONE.replace(true));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_ends_with_the_work() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(3)
            .build()
            .unwrap();
        pool.install(|| {
            assert_eq!(threads(), 3);
            let here = std::thread::current().id();
            alone(|| {
                assert_eq!(alone(threads), 1);
                parallel(100, |_| assert_eq!(std::thread::current().id(), here));
            });
            assert_eq!(threads(), 3);
            let panicked = std::panic::catch_unwind(|| alone(|| panic!("inside")));
            assert!(panicked.is_err());
            assert_eq!(threads(), 3);
        });
    }
}
