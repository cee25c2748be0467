//! Fuzz tests of parsers with damaged inputs: a parser must not panic, hang or allocate too much memory.
//!
//! Run longer with `KAOGAN_FUZZ_INPUTS=100000 cargo test --release -p CRATE fuzz`; `KAOGAN_FUZZ_SEED` selects other
//! inputs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// An allocator that counts the allocated bytes and their peak, to be the `#[global_allocator]` of a fuzz test.
pub struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system allocator unchanged, and the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` is from the system allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `work`. Returns its result, and by how many bytes the allocations grew at their peak; 0 unless [`Counting`] is
/// the global allocator.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// The pseudorandom generator splitmix64 of Sebastiano Vigna; the field is its state.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 random bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_bits() % n.max(1) as u64) as usize
    }
}

/// Damages an input in one to four ways: flips a bit, changes a byte, truncates, removes or repeats a piece, inserts a
/// piece of `others`, writes a huge number, or inserts or writes one of `tokens`, words that the format defines.
pub fn damage(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>], tokens: &[&[u8]]) {
    for _ in 0..1 + rng.below(4) {
        if bytes.is_empty() {
            return;
        }
        // One in three damages is near the start, where most files have their structure.
        let at = if rng.below(3) == 0 {
            rng.below(bytes.len().min(400))
        } else {
            rng.below(bytes.len())
        };
        match rng.below(9) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next_bits() as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 1 + rng.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + 1 + rng.below(200)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = rng.below(bytes.len());
                for _ in 0..1 + rng.below(3) {
                    bytes.splice(to..to, piece.iter().copied());
                }
            }
            5 if !others.is_empty() => {
                let other = &others[rng.below(others.len())];
                let from = rng.below(other.len());
                let end = (from + rng.below(300)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            6 => {
                let huge = [0xff, 0xff, 0xff, [0x7f, 0xff, 0x00][rng.below(3)]];
                for (byte, value) in bytes[at..].iter_mut().zip(huge) {
                    *byte = value;
                }
            }
            7 if !tokens.is_empty() => {
                let token = tokens[rng.below(tokens.len())];
                bytes.splice(at..at, token.iter().copied());
            }
            _ => {
                let token = if tokens.is_empty() {
                    &b"\0"[..]
                } else {
                    tokens[rng.below(tokens.len())]
                };
                for (byte, value) in bytes[at..].iter_mut().zip(token) {
                    *byte = *value;
                }
            }
        }
    }
}

/// Runs `accepts`, which calls a parser and returns whether it accepted the input, on damaged copies of `seeds`.
///
/// # Panics
/// When the parser refuses an undamaged seed; when it panics, takes more than ten seconds, or allocates more than
/// `most_memory(length of the input)` bytes; when, of 1000 inputs or more, it accepts all or none, as such a test would
/// check little.
pub fn fuzz(
    parser: &str,
    seeds: &[Vec<u8>],
    tokens: &[&[u8]],
    most_memory: impl Fn(usize) -> usize,
    accepts: impl Fn(&[u8]) -> bool,
) {
    let number = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    for (i, seed) in seeds.iter().enumerate() {
        assert!(accepts(seed), "{parser}: seed {i} is refused");
    }
    let n_inputs = number("KAOGAN_FUZZ_INPUTS", 1500);
    let mut rng = Rng(number("KAOGAN_FUZZ_SEED", 0));
    let (mut n_accepted, mut slowest, mut worst) = (0, Duration::ZERO, 0);
    for index in 0..n_inputs {
        let alone = format!("KAOGAN_FUZZ_INPUTS=1 KAOGAN_FUZZ_SEED={}", rng.0);
        let mut input = seeds[rng.below(seeds.len())].clone();
        damage(&mut rng, &mut input, seeds, tokens);
        let start = Instant::now();
        let work = std::panic::AssertUnwindSafe(|| accepts(&input));
        let (result, peak) = peak_of(|| std::panic::catch_unwind(work));
        let Ok(is_accepted) = result else {
            panic!("{parser}: input {index} panics; alone: {alone}");
        };
        let (time, most) = (start.elapsed(), most_memory(input.len()));
        assert!(
            time < Duration::from_secs(10),
            "{parser}: input {index} takes {time:?}; alone: {alone}"
        );
        assert!(
            peak <= most,
            "{parser}: input {index} ({} bytes, {:02x?}) takes {peak} bytes of memory; alone: {alone}",
            input.len(),
            &input[..input.len().min(16)]
        );
        n_accepted += u64::from(is_accepted);
        (slowest, worst) = (slowest.max(time), worst.max(peak));
    }
    println!(
        "{parser}: {n_inputs} inputs, {n_accepted} accepted, 0 panics, slowest {slowest:?}, at most {worst} bytes"
    );
    assert!(
        n_inputs < 1000 || (n_accepted > 0 && n_accepted < n_inputs),
        "{parser}: {n_accepted} of {n_inputs} accepted"
    );
}
