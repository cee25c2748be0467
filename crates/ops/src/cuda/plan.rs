//! The GPU work of an op as data: the kernel, the number of threads, the parameters.
//!
//! Plans need no device. Tests run them on the host, with the kernels compiled for it ([`super::host`]).

use candle_core::{Result, Tensor, bail};

/// The GPU work of an op.
#[allow(
    clippy::large_enum_variant,
    reason = "one lives at a time, for one call"
)]
pub(crate) enum Plan {
    /// One of our kernels.
    Launch(Launch),
    /// A convolution of cuDNN.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    Convolution(crate::cpu::conv::ConvGeometry, Convolution),
    /// No kernel: other ops have already computed the result.
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

/// A launch of one of our kernels.
pub(crate) struct Launch {
    /// The name of the kernel without its type suffix.
    pub kernel: &'static str,
    /// The parameters beside the arrays.
    pub params: Params,
    /// The number of partial sums of each result, which `sum_parts` adds up; 1 for a kernel that writes results.
    pub parts: usize,
    /// Whether the kernel adds to its result, which then starts as zeros.
    pub zeroed: bool,
}

/// As `Params` in `kernels/common.cuh`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Params {
    /// The number of threads with work.
    pub n: i64,
    pub i: [i32; INTEGERS],
    pub f: [f32; FLOATS],
}

const INTEGERS: usize = 24;
/// The most taps of a filter: all taps of a 2-D one, those along both axes of a separable one.
pub(crate) const FLOATS: usize = 96;

/// The most threads that compute partial sums.
const SUM_THREADS: usize = 1 << 16;

impl Params {
    /// Parameters of a kernel; see `kernels/*.cu` for the meaning of the numbers of each.
    ///
    /// # Errors
    /// When an integer or the number of threads is too large for a kernel.
    pub(crate) fn new(threads: usize, integers: &[usize], floats: &[f32]) -> Result<Params> {
        let signed: Option<Vec<i64>> = integers.iter().map(|&i| i64::try_from(i).ok()).collect();
        let Some(signed) = signed else {
            bail!("cuda: {integers:?} is too large for a kernel");
        };
        Params::signed(threads, &signed, floats)
    }

    /// For the kernel `transpose`, `[n, rows, columns]` to `[n, columns, rows]`: each thread transposes 4 by 4 numbers,
    /// groups of 4 by 8 threads a tile.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn transposing(n: usize, rows: usize, columns: usize) -> Result<Params> {
        let groups = [rows.div_ceil(4 * 4), columns.div_ceil(8 * 4)];
        let threads = n * groups[0] * groups[1] * 32;
        Params::new(threads, &[rows, columns, groups[0], groups[1]], &[])
    }

    /// [`Params::new`] with integers that may be negative.
    pub(crate) fn signed(threads: usize, integers: &[i64], floats: &[f32]) -> Result<Params> {
        let mut params = Params {
            n: threads as i64,
            i: [0; INTEGERS],
            f: [0.0; FLOATS],
        };
        // Blocks of 256 threads are counted in 31 bits.
        if threads > (i32::MAX as usize) * 256 {
            bail!("cuda: {threads} threads are too many for one launch");
        }
        if integers.len() > INTEGERS || floats.len() > FLOATS {
            bail!(
                "cuda: a kernel takes {FLOATS} floats, not {}: the filter has too many taps",
                floats.len()
            );
        }
        for (to, &from) in params.i.iter_mut().zip(integers) {
            let Ok(small) = i32::try_from(from) else {
                bail!("cuda: {from} is too large for a kernel");
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

    /// A kernel that sums `terms` values for each of `sums` results; its last integer is the number of parts.
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

    /// Whether the kernel writes partial sums.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self.kernel, "channel_dot" | "channel_sum")
    }
}
