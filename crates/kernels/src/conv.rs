//! The three convolution kernels and the choice of algorithm for each shape.

use crate::algorithm_setting::{ConvAlgorithm, conv_algorithm};
use crate::geometry::BatchStrides;
pub use crate::geometry::{ConvGeometry, Direction, Scales};
use crate::scratch::{Shared, uninit};
use crate::simd::{Isa, isa};
use crate::winograd::{F2, F4, Weights};
use crate::{direct, im2col, pointwise, winograd};

#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    Pointwise,
    Winograd2,
    Winograd4,
    Direct,
}

impl Kernel {
    fn choose(algorithm: ConvAlgorithm, g: &ConvGeometry) -> Kernel {
        if g.kh == 1 && g.kw == 1 && g.stride == 1 && g.padding == 0 {
            return Kernel::Pointwise;
        }
        let fits = !g.swapped
            && g.kh == 3
            && g.kw == 3
            && g.stride == 1
            && g.padding <= 2
            && g.ci.min(g.co) >= 8
            && g.out_height().min(g.out_width()) >= 4;
        match algorithm {
            ConvAlgorithm::Winograd2 if fits => Kernel::Winograd2,
            ConvAlgorithm::Winograd4 if fits => Kernel::Winograd4,
            _ => Kernel::Direct,
        }
    }
}

/// Weights of every group in the layout of the chosen kernel, and the convolution that they were prepared for.
pub struct Prepared {
    form: Form,
    isa: Isa,
    g: ConvGeometry,
    direction: Direction,
}

enum Form {
    /// In their original layout.
    Pointwise,
    Winograd2(Vec<Weights>),
    Winograd4(Vec<Weights>),
    Direct(Vec<direct::Weights>),
}

/// Prepares weights `[groups * co, ci, kh, kw]` for [`forward`] or [`input_gradient`], on inputs of about the size of
/// `g`.
///
/// # Panics
/// When the number of weights differs from `g`.
pub fn prepare(g: &ConvGeometry, weights: &[f32], direction: Direction) -> Prepared {
    prepare_with(conv_algorithm(), g, weights, direction)
}

/// [`prepare`] for an algorithm other than the one of the process.
///
/// # Panics
/// As [`prepare`].
pub fn prepare_with(
    algorithm: ConvAlgorithm,
    g: &ConvGeometry,
    weights: &[f32],
    direction: Direction,
) -> Prepared {
    g.check();
    assert_eq!(weights.len(), g.groups * g.weights_len());
    let isa = isa();
    let (co, ci) = match direction {
        Direction::Forward => (g.co, g.ci),
        Direction::InputGradient => (g.ci, g.co),
    };
    let gain = g.gain as f32;
    let groups = weights.chunks_exact(g.weights_len());
    let form = match Kernel::choose(algorithm, g) {
        Kernel::Pointwise => Form::Pointwise,
        Kernel::Winograd2 => Form::Winograd2(
            groups
                .map(|w| winograd::transform_weights::<F2>(isa, w, co, ci, gain, direction))
                .collect(),
        ),
        Kernel::Winograd4 => Form::Winograd4(
            groups
                .map(|w| winograd::transform_weights::<F4>(isa, w, co, ci, gain, direction))
                .collect(),
        ),
        Kernel::Direct => Form::Direct(
            groups
                .map(|w| direct::Weights::new(isa, w, g, direction))
                .collect(),
        ),
    };
    Prepared {
        form,
        isa,
        g: *g,
        direction,
    }
}

impl Prepared {
    /// Whether these weights convolve inputs of `g`: only numbers and sizes of images may differ.
    fn fits(&self, g: &ConvGeometry, direction: Direction) -> bool {
        let image = |g: &ConvGeometry| ConvGeometry {
            n: 0,
            h: 0,
            w: 0,
            ..*g
        };
        self.direction == direction && image(&self.g) == image(g)
    }
}

/// `y[n, groups * co, oh, ow]`
///
/// # Panics
/// When the sizes of `x`, weights or scales differ from `g`, or the weights were prepared for another convolution.
pub fn forward(
    g: &ConvGeometry,
    x: &[f32],
    weights: &[f32],
    prepared: &Prepared,
    scales: Scales,
) -> Vec<f32> {
    g.check();
    // SAFETY: every value is written below, before any is read.
    let mut y = unsafe { uninit(g.n * g.y_strides().1) };
    forward_into(g, x, weights, prepared, scales, &mut y);
    y
}

/// [`forward`] into an existing buffer, which is overwritten.
///
/// # Panics
/// As [`forward`], and when the result has another size.
pub fn forward_into(
    g: &ConvGeometry,
    x: &[f32],
    weights: &[f32],
    prepared: &Prepared,
    scales: Scales,
    y: &mut [f32],
) {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    assert!(prepared.fits(g, Direction::Forward));
    assert_eq!(weights.len(), g.groups * g.weights_len());
    assert_eq!(x.len(), g.n * x_batch);
    assert_eq!(y.len(), g.n * y_batch);
    scales.check(prepared.isa, g.n, g.ci, g.co);
    let strides = BatchStrides {
        x: x_batch,
        y: y_batch,
    };
    let to = Shared(y.as_mut_ptr());
    for group in 0..g.groups {
        let x = &x[group * x_group..];
        // SAFETY: the group's part of y.
        let to = Shared(unsafe { to.at(group * y_group) });
        match &prepared.form {
            Form::Winograd2(weights) => {
                winograd::forward::<F2>(g, x, &weights[group], scales, strides, to)
            }
            Form::Winograd4(weights) => {
                winograd::forward::<F4>(g, x, &weights[group], scales, strides, to)
            }
            Form::Direct(weights) => direct::forward(g, x, &weights[group], scales, strides, to),
            Form::Pointwise => {
                let weights = &weights[group * g.weights_len()..][..g.weights_len()];
                pointwise::apply(g, x, weights, Direction::Forward, scales, strides, to);
            }
        }
    }
}

/// `dx[n, groups * ci, h, w]`; `scales.input` belongs to `dy`, `scales.output` to `dx`.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(
    g: &ConvGeometry,
    dy: &[f32],
    weights: &[f32],
    prepared: &Prepared,
    scales: Scales,
) -> Vec<f32> {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    assert!(prepared.fits(g, Direction::InputGradient));
    assert_eq!(weights.len(), g.groups * g.weights_len());
    assert_eq!(dy.len(), g.n * y_batch);
    scales.check(prepared.isa, g.n, g.co, g.ci);
    // SAFETY: every value is written below, before any is read.
    let mut dx = unsafe { uninit(g.n * x_batch) };
    let strides = BatchStrides {
        x: y_batch,
        y: x_batch,
    };
    let to = Shared(dx.as_mut_ptr());
    for group in 0..g.groups {
        let dy = &dy[group * y_group..];
        // SAFETY: the group's part of dx.
        let to = Shared(unsafe { to.at(group * x_group) });
        match &prepared.form {
            Form::Winograd2(weights) => {
                winograd::forward::<F2>(&g.reversed(), dy, &weights[group], scales, strides, to)
            }
            Form::Winograd4(weights) => {
                winograd::forward::<F4>(&g.reversed(), dy, &weights[group], scales, strides, to)
            }
            Form::Direct(weights) => {
                direct::input_gradient(g, dy, &weights[group], scales, strides, to)
            }
            Form::Pointwise => {
                let weights = &weights[group * g.weights_len()..][..g.weights_len()];
                pointwise::apply(
                    g,
                    dy,
                    weights,
                    Direction::InputGradient,
                    scales,
                    strides,
                    to,
                );
            }
        }
    }
    dx
}

/// `dw[groups * co, ci, kh, kw]`; `scales.input` belongs to `x`, `scales.output` to `dy`.
///
/// # Panics
/// When the sizes of `x` or `dy` differ from `g`.
pub fn weight_gradient(g: &ConvGeometry, x: &[f32], dy: &[f32], scales: Scales) -> Vec<f32> {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    assert_eq!((x.len(), dy.len()), (g.n * x_batch, g.n * y_batch));
    let isa = isa();
    scales.check(isa, g.n, g.ci, g.co);
    // SAFETY: every value is written below, before any is read.
    let mut dw = unsafe { uninit(g.groups * g.weights_len()) };
    let strides = BatchStrides {
        x: x_batch,
        y: y_batch,
    };
    for (group, dw) in dw.chunks_exact_mut(g.weights_len()).enumerate() {
        let (x, dy) = (&x[group * x_group..], &dy[group * y_group..]);
        match Kernel::choose(conv_algorithm(), g) {
            Kernel::Pointwise => pointwise::weight_gradient(g, x, dy, scales, strides, dw),
            Kernel::Winograd2 => {
                winograd::weight_gradient::<F2>(isa, g, x, dy, scales, strides, dw)
            }
            Kernel::Winograd4 => {
                winograd::weight_gradient::<F4>(isa, g, x, dy, scales, strides, dw)
            }
            Kernel::Direct => direct::weight_gradient(isa, g, x, dy, scales, strides, dw),
        }
    }
    dw
}

/// [`forward`] in f64, without scales.
pub fn forward_f64(g: &ConvGeometry, x: &[f64], weights: &[f64]) -> Vec<f64> {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    let mut y = vec![0.0; g.n * y_batch];
    let strides = BatchStrides {
        x: x_batch,
        y: y_batch,
    };
    let weights = &in_order(g, weights, false);
    for (group, weights) in weights.chunks_exact(g.weights_len()).enumerate() {
        im2col::forward(
            g,
            &x[group * x_group..],
            weights,
            strides,
            &mut y[group * y_group..],
        );
    }
    y.iter_mut().for_each(|y| *y *= g.gain);
    y
}

/// [`input_gradient`] in f64, without scales.
pub fn input_gradient_f64(g: &ConvGeometry, dy: &[f64], weights: &[f64]) -> Vec<f64> {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    let mut dx = vec![0.0; g.n * x_batch];
    let strides = BatchStrides {
        x: y_batch,
        y: x_batch,
    };
    let weights = &in_order(g, weights, false);
    for (group, weights) in weights.chunks_exact(g.weights_len()).enumerate() {
        im2col::input_gradient(
            g,
            &dy[group * y_group..],
            weights,
            strides,
            &mut dx[group * x_group..],
        );
    }
    dx.iter_mut().for_each(|dx| *dx *= g.gain);
    dx
}

/// [`weight_gradient`] in f64, without scales.
pub fn weight_gradient_f64(g: &ConvGeometry, x: &[f64], dy: &[f64]) -> Vec<f64> {
    g.check();
    let (x_group, x_batch) = g.x_strides();
    let (y_group, y_batch) = g.y_strides();
    let mut dw = vec![0.0; g.groups * g.weights_len()];
    let strides = BatchStrides {
        x: x_batch,
        y: y_batch,
    };
    for (group, dw) in dw.chunks_exact_mut(g.weights_len()).enumerate() {
        im2col::weight_gradient(
            g,
            &x[group * x_group..],
            &dy[group * y_group..],
            strides,
            dw,
        );
    }
    dw.iter_mut().for_each(|dw| *dw *= g.gain);
    in_order(g, &dw, true)
}

/// Weights of all groups as `[co, ci, kh, kw]` (or back, as they are stored).
fn in_order(g: &ConvGeometry, weights: &[f64], back: bool) -> Vec<f64> {
    let mut out = weights.to_vec();
    if !g.swapped {
        return out;
    }
    let kernel = g.kh * g.kw;
    for (out, group) in out
        .chunks_exact_mut(g.weights_len())
        .zip(weights.chunks_exact(g.weights_len()))
    {
        for output in 0..g.co {
            for channel in 0..g.ci {
                let (plain, stored) = (
                    (output * g.ci + channel) * kernel,
                    g.kernel_at(output, channel),
                );
                let (from, to) = if back {
                    (plain, stored)
                } else {
                    (stored, plain)
                };
                out[to..to + kernel].copy_from_slice(&group[from..from + kernel]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
