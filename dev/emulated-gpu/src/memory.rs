//! The memory of the emulated GPU: memory of the CPU, with a table of allocations.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The reported size of the memory, in bytes.
pub const TOTAL: usize = 8 << 30;
/// The alignment of allocations in bytes, as CUDA guarantees it.
const ALIGN: usize = 256;
/// The byte that fills unwritten and freed memory: floats of all types that consist of it are NaN.
const POISON: u8 = 0xFF;

#[derive(Default)]
struct Table {
    sizes: BTreeMap<u64, usize>,
    used: usize,
    /// The largest value of `used` so far.
    peak: usize,
    /// A copy of `sizes` for kernels; made at the first launch after a change.
    snapshot: Option<Arc<Vec<Range>>>,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    sizes: BTreeMap::new(),
    used: 0,
    peak: 0,
    snapshot: None,
});

/// A range of addresses, `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The first address after the range.
    pub end: u64,
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), ALIGN).ok()
}

fn with<T>(work: impl FnOnce(&mut Table) -> T) -> T {
    work(
        &mut TABLE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    )
}

/// Allocates `size` bytes, filled with NaN, and returns their address; `None` when [`TOTAL`] would be exceeded.
pub fn allocate(size: usize) -> Option<u64> {
    with(|table| {
        if size > TOTAL - table.used {
            return None;
        }
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(layout(size)?) };
        if start.is_null() {
            return None;
        }
        // SAFETY: the allocation has `size` bytes.
        unsafe { start.write_bytes(POISON, size) };
        table.used += size;
        table.peak = table.peak.max(table.used);
        table.sizes.insert(start as u64, size);
        table.snapshot = None;
        Some(start as u64)
    })
}

/// Frees an allocation; false if none starts at `address`.
pub fn release(address: u64) -> bool {
    with(|table| {
        let Some(size) = table.sizes.remove(&address) else {
            return false;
        };
        table.used -= size;
        table.snapshot = None;
        let layout = layout(size).expect("it was allocated");
        // SAFETY: the memory was allocated with this layout.
        unsafe {
            (address as *mut u8).write_bytes(POISON, size);
            dealloc(address as *mut u8, layout);
        }
        true
    })
}

/// The number of bytes that are not allocated.
pub fn free() -> usize {
    with(|table| TOTAL - table.used)
}

/// The largest number of bytes that were allocated at the same time.
pub fn peak() -> usize {
    with(|table| table.peak)
}

/// The ranges of all allocations, sorted by address.
pub(crate) fn ranges() -> Arc<Vec<Range>> {
    with(|table| {
        let sizes = &table.sizes;
        let list = || {
            let range = |(&start, &size): (&u64, &usize)| Range {
                start,
                end: start + size as u64,
            };
            Arc::new(sizes.iter().map(range).collect())
        };
        table.snapshot.get_or_insert_with(list).clone()
    })
}

/// Whether the `size` bytes at `address` are inside one allocation.
pub fn holds(address: u64, size: usize) -> bool {
    with(|table| {
        let before = table.sizes.range(..=address).next_back();
        before.is_some_and(|(start, len)| (address - start) as usize + size <= *len)
    })
}

/// The `size` bytes at an address, for reading; `None` if they are not inside one allocation.
pub(crate) fn read(address: u64, size: usize) -> Option<&'static [u8]> {
    (size == 0 || holds(address, size)).then(|| match size {
        0 => &[][..],
        // SAFETY: the range is allocated, and callers do not free memory while another call uses it.
        _ => unsafe { std::slice::from_raw_parts(address as *const u8, size) },
    })
}

/// The `size` bytes at an address, for writing; `None` if they are not inside one allocation.
pub(crate) fn write(address: u64, size: usize) -> Option<&'static mut [u8]> {
    (size == 0 || holds(address, size)).then(|| match size {
        0 => &mut [][..],
        // SAFETY: as in `read`.
        _ => unsafe { std::slice::from_raw_parts_mut(address as *mut u8, size) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_allocated_is_known_byte_for_byte() {
        let a = allocate(10).unwrap();
        assert!(a.is_multiple_of(256));
        assert_eq!(read(a, 10).unwrap(), [POISON; 10]);
        assert!(holds(a + 9, 1) && !holds(a + 9, 2) && !holds(a + 10, 1));
        assert!(ranges().contains(&Range {
            start: a,
            end: a + 10
        }));
        write(a, 10).unwrap()[3] = 7;
        assert_eq!(read(a + 3, 1).unwrap(), [7]);
        assert!(release(a) && !release(a) && !release(a + 1));
        assert!(read(a, 1).is_none());
        assert!(allocate(TOTAL + 1).is_none());
    }
}
