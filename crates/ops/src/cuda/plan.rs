//! What an op does on a card, as data: which kernel, over how many threads, with which numbers.
//!
//! Plans know nothing of a device. Tests run them on the host, with the kernels compiled for it ([`super::host`]).

use candle_core::{Result, Tensor, bail};

/// What an op on `N` inputs does on a card.
#[allow(
    clippy::large_enum_variant,
    reason = "one lives at a time, for one call"
)]
pub(crate) enum Plan {
    /// One of our kernels.
    Launch(Launch),
    /// A convolution of cuDNN; one kernel layout and one gain remain ([`super::conv`] composes the others of it).
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    Convolution(crate::cpu::conv::ConvGeometry, Convolution),
    /// Other ops already gave the result.
    Composed(Tensor),
}

/// The three convolutions of cuDNN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Convolution {
    /// `(x, w) -> y`
    Forward,
    /// `(dy, w) -> dx`
    InputGradient,
    /// `(x, dy) -> dw`
    WeightGradient,
}

/// One kernel over all inputs.
pub(crate) struct Launch {
    /// Its name without the type.
    pub kernel: &'static str,
    /// What it gets beside the arrays.
    pub params: Params,
    /// Each result is first made in as many parts, and `sum_parts` adds them; 1 for a kernel that needs no such help.
    pub parts: usize,
    /// The result starts as zeros, to which the kernel adds.
    pub zeroed: bool,
}

/// As `Params` in `kernels/common.cuh`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Params {
    /// Threads that have something to do.
    pub n: i64,
    pub i: [i32; INTEGERS],
    pub f: [f32; FLOATS],
}

const INTEGERS: usize = 24;
/// Filters have at most as many taps (full ones), or as many along both axes together.
pub(crate) const FLOATS: usize = 96;

/// Long sums are made by at most as many threads.
const SUM_THREADS: usize = 1 << 16;

impl Params {
    /// # Errors
    /// When there are more threads or larger numbers than a kernel counts.
    pub(crate) fn new(threads: usize, integers: &[usize], floats: &[f32]) -> Result<Params> {
        let signed: Option<Vec<i64>> = integers.iter().map(|&i| i64::try_from(i).ok()).collect();
        let Some(signed) = signed else {
            bail!("cuda: {integers:?} is more than a kernel counts");
        };
        Params::signed(threads, &signed, floats)
    }

    /// For `transpose`: `[n, rows, columns]` to `[n, columns, rows]`, 4 by 4 numbers for each thread, threads in groups of
    /// 4 by 8.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn transposing(n: usize, rows: usize, columns: usize) -> Result<Params> {
        let groups = [rows.div_ceil(4 * 4), columns.div_ceil(8 * 4)];
        let threads = n * groups[0] * groups[1] * 32;
        Params::new(threads, &[rows, columns, groups[0], groups[1]], &[])
    }

    /// [`Params::new`] where numbers may be negative.
    pub(crate) fn signed(threads: usize, integers: &[i64], floats: &[f32]) -> Result<Params> {
        let mut params = Params {
            n: threads as i64,
            i: [0; INTEGERS],
            f: [0.0; FLOATS],
        };
        // Blocks of 256 threads are counted in 31 bits.
        if threads > (i32::MAX as usize) * 256 {
            bail!("cuda: {threads} results are more than one launch makes");
        }
        if integers.len() > INTEGERS || floats.len() > FLOATS {
            bail!(
                "cuda: a kernel takes {FLOATS} floats, not {}: the filter has too many taps",
                floats.len()
            );
        }
        for (to, &from) in params.i.iter_mut().zip(integers) {
            let Ok(small) = i32::try_from(from) else {
                bail!("cuda: {from} is more than a kernel counts");
            };
            *to = small;
        }
        params.f[..floats.len()].copy_from_slice(floats);
        Ok(params)
    }
}

impl Launch {
    /// A kernel with one thread for each of `threads` results.
    pub(crate) fn each(
        kernel: &'static str,
        threads: usize,
        integers: &[usize],
        floats: &[f32],
    ) -> Result<Plan> {
        Ok(Plan::Launch(Launch {
            kernel,
            params: Params::new(threads, integers, floats)?,
            parts: 1,
            zeroed: false,
        }))
    }

    /// A kernel that sums `terms` values for each of `sums` results; it gets the number of parts behind `integers`.
    pub(crate) fn sum(
        kernel: &'static str,
        sums: usize,
        terms: usize,
        integers: &[usize],
    ) -> Result<Plan> {
        let parts = (terms / 32).clamp(1, (SUM_THREADS / sums.max(1)).clamp(1, 1024));
        let integers = [integers, &[parts]].concat();
        Ok(Plan::Launch(Launch {
            kernel,
            params: Params::new(sums * parts, &integers, &[])?,
            parts,
            zeroed: false,
        }))
    }

    /// Whether the kernel writes parts of sums.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self.kernel, "channel_dot" | "channel_sum")
    }
}
