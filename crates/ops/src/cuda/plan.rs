//! The GPU work of an op as data: the kernel, the number of threads and the parameters.
//!
//! A plan does not depend on a device. Tests execute plans on the CPU, with the kernels compiled for it
//! ([`super::host`]).

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
    /// The result, which was already computed by other ops.
    Composed(Tensor),
}

/// The three kinds of convolution that cuDNN computes.
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
    /// The kernel's parameters besides the arrays.
    pub params: Params,
    /// The number of partial sums of each result, which `sum_parts` adds up; 1 for kernels that write results directly.
    pub parts: usize,
    /// Whether the kernel adds to its result, which must then be initialized with zeros.
    pub zeroed: bool,
}

/// The kernel parameters, with the layout of the struct `Params` in `kernels/common.cuh`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Params {
    /// The number of threads that have work; blocks may have more.
    pub n: i64,
    pub i: [i32; INTEGERS],
    pub f: [f32; FLOATS],
}

const INTEGERS: usize = 24;
/// The largest number of float parameters. It limits filters: all taps of a 2-D filter, or the taps along x and along y
/// of a separable one, are float parameters.
pub(crate) const FLOATS: usize = 96;

/// The largest number of threads that compute partial sums.
const SUM_THREADS: usize = 1 << 16;

impl Params {
    /// The parameters of a kernel; `kernels/*.cu` documents the meaning of the integers and floats of each kernel.
    ///
    /// # Errors
    /// When there are too many threads for one launch, or an integer does not fit 31 bits, or there are too many
    /// floats.
    pub(crate) fn new(threads: usize, integers: &[usize], floats: &[f32]) -> Result<Params> {
        let signed: Option<Vec<i64>> = integers.iter().map(|&i| i64::try_from(i).ok()).collect();
        let Some(signed) = signed else {
            bail!("cuda: {integers:?} is too large for a kernel");
        };
        Params::signed(threads, &signed, floats)
    }

    /// The parameters of the kernel `transpose`, `[n, rows, columns]` to `[n, columns, rows]`. Each thread transposes 4
    /// by 4 numbers; a group of 4 by 8 threads transposes a tile.
    #[cfg(any(feature = "cuda", test))]
    pub(crate) fn transposing(n: usize, rows: usize, columns: usize) -> Result<Params> {
        let groups = [rows.div_ceil(4 * 4), columns.div_ceil(8 * 4)];
        let threads = n * groups[0] * groups[1] * 32;
        Params::new(threads, &[rows, columns, groups[0], groups[1]], &[])
    }

    /// Like [`Params::new`], for integers that may be negative.
    pub(crate) fn signed(threads: usize, integers: &[i64], floats: &[f32]) -> Result<Params> {
        let mut params = Params {
            n: threads as i64,
            i: [0; INTEGERS],
            f: [0.0; FLOATS],
        };
        // The number of blocks, of 256 threads each, must fit 31 bits.
        if threads > (i32::MAX as usize) * 256 {
            bail!("cuda: {threads} threads are too many for one launch");
        }
        if integers.len() > INTEGERS || floats.len() > FLOATS {
            bail!(
                "cuda: a kernel takes {INTEGERS} integers and {FLOATS} floats, not {} and {}: the filter has too many taps",
                integers.len(),
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
    /// A launch with one thread for each of `threads` results.
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

    /// A launch of a kernel that sums `terms` values for each of `sums` results, in parts. The number of parts is
    /// appended to `integers`.
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

    /// Whether the kernel writes partial sums, which `sum_parts` must add up.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self.kernel, "channel_dot" | "channel_sum")
    }
}
