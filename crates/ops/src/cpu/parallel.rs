//! One way to spread tasks over the thread pool.

use rayon::prelude::*;

/// Runs `task(0..count)` on the current rayon pool, in place when there is nothing to share.
pub(crate) fn parallel(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count <= 1 || rayon::current_num_threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().for_each(task);
    }
}
