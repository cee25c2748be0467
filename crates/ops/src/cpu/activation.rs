//! Activations and their first two derivatives, over arrays `[outer, channels, inner]`.

use super::parallel::parallel;
use super::scratch::{Shared, uninit};
use super::simd::{Simd, dispatch, isa};
use architecture::Activation;

/// The function `clamp(gain * activation(x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Function {
    pub activation: Activation,
    pub alpha: f64,
    pub gain: f64,
    pub clamp: f64,
}

/// The constants of selu (arXiv:1706.02515).
const SELU_ALPHA: f64 = 1.6732632423543772;
const SELU_SCALE: f64 = 1.0507009873554805;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Function {
    pub(crate) fn is_identity(&self) -> bool {
        self.activation == Activation::Linear && self.gain == 1.0 && self.clamp == f64::INFINITY
    }

    pub(crate) fn is_piecewise_linear(&self) -> bool {
        self.slopes().is_some()
    }

    /// The slopes above and below zero, without the gain; `None` when the activation is not piecewise linear.
    fn slopes(&self) -> Option<(f64, f64)> {
        match self.activation {
            Activation::Linear => Some((1.0, 1.0)),
            Activation::Relu => Some((1.0, 0.0)),
            Activation::Lrelu => Some((1.0, self.alpha)),
            _ => None,
        }
    }

    /// The activation and its first two derivatives at `x`, without gain and clamp.
    fn curve(&self, x: f64) -> (f64, f64, f64) {
        match self.activation {
            Activation::Linear => (x, 1.0, 0.0),
            Activation::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }, 0.0),
            Activation::Lrelu => {
                let slope = if x > 0.0 { 1.0 } else { self.alpha };
                (x * slope, slope, 0.0)
            }
            Activation::Tanh => {
                let y = x.tanh();
                (y, 1.0 - y * y, -2.0 * y * (1.0 - y * y))
            }
            Activation::Sigmoid => {
                let y = sigmoid(x);
                (y, y * (1.0 - y), y * (1.0 - y) * (1.0 - 2.0 * y))
            }
            Activation::Elu => {
                if x > 0.0 {
                    (x, 1.0, 0.0)
                } else {
                    (x.exp_m1(), x.exp(), x.exp())
                }
            }
            Activation::Selu => {
                let scaled = SELU_SCALE * SELU_ALPHA;
                if x > 0.0 {
                    (SELU_SCALE * x, SELU_SCALE, 0.0)
                } else {
                    (scaled * x.exp_m1(), scaled * x.exp(), scaled * x.exp())
                }
            }
            Activation::Softplus => {
                let y = sigmoid(x);
                let value = if x > 20.0 { x } else { x.exp().ln_1p() };
                (value, y, y * (1.0 - y))
            }
            Activation::Swish => {
                let y = sigmoid(x);
                let slope = y * (1.0 - y);
                (
                    x * y,
                    y + x * slope,
                    2.0 * slope + x * slope * (1.0 - 2.0 * y),
                )
            }
        }
    }

    fn value(&self, x: f64) -> f64 {
        (self.curve(x).0 * self.gain).clamp(-self.clamp, self.clamp)
    }

    /// The derivative of order 1 or 2 at `x`; zero where the result is clamped.
    fn derivative(&self, x: f64, order: usize) -> f64 {
        let (value, first, second) = self.curve(x);
        let value = value * self.gain;
        if value < -self.clamp || value > self.clamp {
            return 0.0;
        }
        self.gain * if order == 1 { first } else { second }
    }
}

/// The number of values that one task processes.
const TASK: usize = 1 << 15;

/// Runs `work(first row, rows)` over rows of `inner` values, in tasks of about [`TASK`] values.
fn over_rows(rows: usize, inner: usize, work: impl Fn(usize, usize) + Send + Sync) {
    let per_task = (TASK / inner.max(1)).max(1);
    parallel(rows.div_ceil(per_task), |task| {
        let first = task * per_task;
        work(first, per_task.min(rows - first));
    });
}

/// `f(x + b)` for `x`: `[outer, channels, inner]` and `b`: `[channels]`.
pub(crate) fn apply(f: &Function, x: &[f32], b: &[f32], channels: usize, inner: usize) -> Vec<f32> {
    // SAFETY: every value is written below, before any is read.
    let mut y = unsafe { uninit(x.len()) };
    let to = Shared(y.as_mut_ptr());
    let isa = isa();
    over_rows(x.len() / inner.max(1), inner, |first, rows| {
        for row in first..first + rows {
            let bias = b[row % channels];
            let x = &x[row * inner..][..inner];
            // SAFETY: each task writes its own rows.
            let y = unsafe { std::slice::from_raw_parts_mut(to.at(row * inner), inner) };
            match f.slopes() {
                Some((up, down)) => {
                    let slopes = [(up * f.gain) as f32, (down * f.gain) as f32, f.clamp as f32];
                    // SAFETY: plain slices.
                    unsafe { apply_slopes(isa, slopes, bias, x, y) }
                }
                None => {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = f.value(f64::from(x + bias)) as f32;
                    }
                }
            }
        }
    });
    y
}

#[inline(always)]
unsafe fn apply_slopes_body<S: Simd>(slopes: [f32; 3], bias: f32, x: &[f32], y: &mut [f32]) {
    let [up, down, clamp] = slopes;
    for (y, x) in y.iter_mut().zip(x) {
        let x = x + bias;
        let slope = if x > 0.0 { up } else { down };
        *y = (x * slope).max(-clamp).min(clamp);
    }
}
dispatch!(unsafe fn apply_slopes(slopes: [f32; 3], bias: f32, x: &[f32], y: &mut [f32]) = apply_slopes_body);

/// `dy * f'(x + b)`, shapes as in [`apply`].
pub(crate) fn derivative(
    f: &Function,
    dy: &[f32],
    x: &[f32],
    b: &[f32],
    channels: usize,
    inner: usize,
) -> Vec<f32> {
    // SAFETY: every value is written below, before any is read.
    let mut dx = unsafe { uninit(x.len()) };
    let to = Shared(dx.as_mut_ptr());
    let isa = isa();
    over_rows(x.len() / inner.max(1), inner, |first, rows| {
        for row in first..first + rows {
            let bias = b[row % channels];
            let range = row * inner..(row + 1) * inner;
            let (dy, x) = (&dy[range.clone()], &x[range]);
            // SAFETY: each task writes its own rows.
            let dx = unsafe { std::slice::from_raw_parts_mut(to.at(row * inner), inner) };
            match f.slopes() {
                Some((up, down)) => {
                    let slopes = [(up * f.gain) as f32, (down * f.gain) as f32, f.clamp as f32];
                    // SAFETY: plain slices.
                    unsafe { derive_slopes(isa, slopes, bias, dy, x, dx) }
                }
                None => {
                    for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
                        *dx = (f64::from(*dy) * f.derivative(f64::from(x + bias), 1)) as f32;
                    }
                }
            }
        }
    });
    dx
}

#[inline(always)]
unsafe fn derive_slopes_body<S: Simd>(
    slopes: [f32; 3],
    bias: f32,
    dy: &[f32],
    x: &[f32],
    dx: &mut [f32],
) {
    let [up, down, clamp] = slopes;
    for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
        let x = x + bias;
        let slope = if x > 0.0 { up } else { down };
        let inside = (x * slope).abs() <= clamp;
        *dx = dy * if inside { slope } else { 0.0 };
    }
}
dispatch!(unsafe fn derive_slopes(slopes: [f32; 3], bias: f32, dy: &[f32], x: &[f32], dx: &mut [f32]) = derive_slopes_body);

/// The sum of each channel over images and pixels, `[n, c, m] -> [c]`, in a fixed order of additions.
pub(crate) fn channel_sum(x: &[f32], n: usize, c: usize, m: usize) -> Vec<f32> {
    let mut sums = vec![0.0; c];
    let to = Shared(sums.as_mut_ptr());
    let isa = isa();
    let per_task = (TASK / (n * m).max(1)).max(1);
    parallel(c.div_ceil(per_task), |task| {
        for channel in task * per_task..((task + 1) * per_task).min(c) {
            let mut total = 0.0f64;
            for image in 0..n {
                let mut sum = 0.0;
                // SAFETY: plain slices.
                unsafe { sum_row(isa, &x[(image * c + channel) * m..][..m], &mut sum) };
                total += f64::from(sum);
            }
            // SAFETY: each task writes its own channels.
            unsafe { *to.at(channel) = total as f32 };
        }
    });
    sums
}

/// Sums into 32 partial sums, which SIMD lanes hold, then adds those up.
#[inline(always)]
unsafe fn sum_row_body<S: Simd>(x: &[f32], sum: &mut f32) {
    let mut lanes = [0.0f32; 32];
    let chunks = x.chunks_exact(32);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..32 {
            lanes[i] += chunk[i];
        }
    }
    *sum = lanes.iter().sum::<f32>() + rest.iter().sum::<f32>();
}
dispatch!(pub(crate) unsafe fn sum_row(x: &[f32], sum: &mut f32) = sum_row_body);

pub(crate) fn apply_f64(
    f: &Function,
    x: &[f64],
    b: &[f64],
    channels: usize,
    inner: usize,
) -> Vec<f64> {
    x.iter()
        .enumerate()
        .map(|(i, x)| f.value(x + b[i / inner.max(1) % channels]))
        .collect()
}

pub(crate) fn derivative_f64(
    f: &Function,
    dy: &[f64],
    x: &[f64],
    b: &[f64],
    channels: usize,
    inner: usize,
) -> Vec<f64> {
    x.iter()
        .zip(dy)
        .enumerate()
        .map(|(i, (x, dy))| dy * f.derivative(x + b[i / inner.max(1) % channels], 1))
        .collect()
}

pub(crate) fn second_derivative_f64(
    f: &Function,
    g: &[f64],
    x: &[f64],
    b: &[f64],
    channels: usize,
    inner: usize,
) -> Vec<f64> {
    x.iter()
        .zip(g)
        .enumerate()
        .map(|(i, (x, g))| g * f.derivative(x + b[i / inner.max(1) % channels], 2))
        .collect()
}
