//! The 2-D convolution and its two gradients, with the choice of algorithm for each shape.
//!
//! [`forward`] computes the convolution, [`input_gradient`] the gradient with respect to its input (a transposed
//! convolution), [`weight_gradient`] the gradient with respect to its weights. All tensors are row-major slices.

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

/// The weights of all groups in the layout that the chosen algorithm reads; made by [`prepare`].
///
/// Valid for one set of weights, one direction, and the geometry given to [`prepare`] except for `n`, `h` and `w`.
pub struct Prepared {
    form: Form,
    isa: Isa,
    g: ConvGeometry,
    direction: Direction,
}

enum Form {
    /// No copy: the algorithm reads the weights in their original layout.
    Pointwise,
    Winograd2(Vec<Weights>),
    Winograd4(Vec<Weights>),
    Direct(Vec<direct::Weights>),
}

/// Brings weights of shape [`ConvGeometry::weights_shape`] into the layout that [`forward`] or [`input_gradient`]
/// reads.
///
/// The algorithm is chosen by the kernel, the channels and the size of the result in `g`. The result can then be used
/// with any number and size of images.
///
/// # Panics
/// When `weights` has another length than `g` says, or `g` describes no valid convolution.
pub fn prepare(g: &ConvGeometry, weights: &[f32], direction: Direction) -> Prepared {
    prepare_with(conv_algorithm(), g, weights, direction)
}

/// Prepares weights as [`prepare`] does, with `algorithm` in place of the process-wide [`conv_algorithm`].
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
    /// Whether these weights were prepared for `direction` and `g`, apart from the number and size of the images.
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

/// The convolution `y = conv(x * scales.input, weights) * scales.output`.
///
/// `prepared` must have been made by [`prepare`] from the same `weights` with [`Direction::Forward`].
///
/// # Shapes
/// - `x`: `[n, groups * ci, h, w]`
/// - `weights`: [`ConvGeometry::weights_shape`]
/// - result: `[n, groups * co, oh, ow]`
///
/// # Panics
/// When `x`, `weights` or `scales` have other lengths than `g` says, or `prepared` belongs to another convolution.
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

/// As [`forward`], into the buffer `y`, which is overwritten.
///
/// # Panics
/// As [`forward`], and when `y` has another length than the result.
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

/// The gradient of the convolution with respect to its input:
/// `dx = transposed_conv(dy * scales.input, weights) * scales.output`.
///
/// `prepared` must have been made by [`prepare`] from the same `weights` with [`Direction::InputGradient`].
///
/// # Shapes
/// - `dy`: `[n, groups * co, oh, ow]`
/// - `scales.input`: factors of the channels of `dy`; `scales.output`: of those of `dx`
/// - result: `[n, groups * ci, h, w]`
///
/// # Panics
/// When `dy`, `weights` or `scales` have other lengths than `g` says, or `prepared` belongs to another convolution.
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

/// The gradient of the convolution with respect to its weights, from `x * scales.input` and `dy * scales.output`,
/// summed over the images.
///
/// # Shapes
/// - `x`: `[n, groups * ci, h, w]`
/// - `dy`: `[n, groups * co, oh, ow]`
/// - result: [`ConvGeometry::weights_shape`]
///
/// # Panics
/// When `x`, `dy` or `scales` have other lengths than `g` says.
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

/// As [`forward`], in f64 and without scales; slow, for tests and finite differences.
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

/// As [`input_gradient`], in f64 and without scales; slow, for tests and finite differences.
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

/// As [`weight_gradient`], in f64 and without scales; slow, for tests and finite differences.
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

/// Reorders the weights of each group from their stored order (see [`ConvGeometry::swapped`]) to `[co, ci, kh, kw]`;
/// with `back`, from `[co, ci, kh, kw]` to the stored order.
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
