//! Temporary buffers that a thread reuses between calls; fresh memory would cost page faults each time.

use std::cell::RefCell;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    static POOL: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with a temporary buffer of `len` values and returns its result.
///
/// The content is unspecified and the start aligned to 64 bytes. Calls may nest: each level gets its own buffer.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let lines = len.div_ceil(16);
    let mut buffer = POOL.with(|pool| {
        let mut pool = pool.borrow_mut();
        // Take the smallest buffer that is large enough, otherwise the largest, which then grows.
        let fit = (0..pool.len())
            .filter(|&i| pool[i].len() >= lines)
            .min_by_key(|&i| pool[i].len());
        let pick = fit.or_else(|| (0..pool.len()).max_by_key(|&i| pool[i].len()));
        pick.map(|i| pool.swap_remove(i)).unwrap_or_default()
    });
    if buffer.len() < lines {
        buffer.clear();
        buffer.resize(lines, Line([0.0; 16]));
    }
    // SAFETY: `Line` is 16 f32 without padding, and the buffer holds at least `len` of them.
    let values = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<f32>(), len) };
    let result = work(values);
    POOL.with(|pool| pool.borrow_mut().push(buffer));
    result
}

/// A pointer into a buffer that several threads write to, each to a part of its own.
#[derive(Clone, Copy)]
pub struct Shared(pub *mut f32);
// SAFETY: every user writes disjoint ranges from different threads.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The pointer advanced by `offset` values.
    ///
    /// # Safety
    /// `offset` must lie inside the allocation.
    #[inline(always)]
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// A vector of `len` values that are not initialized.
///
/// # Safety
/// `T` must be a number type, and the caller must write every value before reading it.
pub unsafe fn uninit<T: Copy>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: the capacity; the rest is the caller's promise.
    #[allow(clippy::uninit_vec)]
    unsafe {
        values.set_len(len)
    };
    values
}
