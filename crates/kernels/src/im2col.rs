//! Convolution in f64 by im2col and a matrix product, for tests and finite differences.

use crate::geometry::{BatchStrides, ConvGeometry};

/// Fills `matrix`, `[ci * kh * kw, oh * ow]`, with the im2col matrix of one image.
fn columns(g: &ConvGeometry, image: &[f64], matrix: &mut [f64]) {
    let (oh, ow) = (g.out_height(), g.out_width());
    for channel in 0..g.ci {
        for ky in 0..g.kh {
            for kx in 0..g.kw {
                let row = &mut matrix[((channel * g.kh + ky) * g.kw + kx) * oh * ow..][..oh * ow];
                for_each_tap(g, ky, kx, |out, input| {
                    row[out] = input.map_or(0.0, |input| image[channel * g.h * g.w + input]);
                });
            }
        }
    }
}

/// Calls `visit(output pixel, input pixel)` for every output pixel and the input pixel that kernel tap `(ky, kx)` reads
/// for it; `None` for an input pixel in the padding.
fn for_each_tap(
    g: &ConvGeometry,
    ky: usize,
    kx: usize,
    mut visit: impl FnMut(usize, Option<usize>),
) {
    let (oh, ow) = (g.out_height(), g.out_width());
    for oy in 0..oh {
        for ox in 0..ow {
            let y = (oy * g.stride + ky)
                .checked_sub(g.padding)
                .filter(|&y| y < g.h);
            let x = (ox * g.stride + kx)
                .checked_sub(g.padding)
                .filter(|&x| x < g.w);
            visit(oy * ow + ox, y.zip(x).map(|(y, x)| y * g.w + x));
        }
    }
}

/// Matrix product `c = a b`, or `c += a b` when `add`, with `a` of `[m, k]`, `b` of `[k, n]` and `c` of `[m, n]`;
/// strides are (row, column).
#[allow(clippy::too_many_arguments)]
fn product(
    m: usize,
    n: usize,
    k: usize,
    a: &[f64],
    a_strides: (isize, isize),
    b: &[f64],
    b_strides: (isize, isize),
    c: &mut [f64],
    add: bool,
) {
    // SAFETY: the callers' slices hold m x k, k x n and m x n values with these strides.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_strides.1,
            a_strides.0,
            b.as_ptr(),
            b_strides.1,
            b_strides.0,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `y = conv(x, weights)` for one group, without the gain; `weights` are `[co, ci, kh, kw]`.
pub(crate) fn forward(
    g: &ConvGeometry,
    x: &[f64],
    weights: &[f64],
    strides: BatchStrides,
    y: &mut [f64],
) {
    let (k, pixels) = (g.ci * g.kh * g.kw, g.out_height() * g.out_width());
    let mut matrix = vec![0.0; k * pixels];
    for image in 0..g.n {
        columns(g, &x[image * strides.x..], &mut matrix);
        let y = &mut y[image * strides.y..][..g.co * pixels];
        product(
            g.co,
            pixels,
            k,
            weights,
            (k as isize, 1),
            &matrix,
            (pixels as isize, 1),
            y,
            false,
        );
    }
}

/// The gradient `dx` of [`forward`] with respect to `x`; `strides.x` belongs to `dy`, `strides.y` to `dx`.
pub(crate) fn input_gradient(
    g: &ConvGeometry,
    dy: &[f64],
    weights: &[f64],
    strides: BatchStrides,
    dx: &mut [f64],
) {
    let (k, pixels) = (g.ci * g.kh * g.kw, g.out_height() * g.out_width());
    let mut matrix = vec![0.0; k * pixels];
    for image in 0..g.n {
        let dy = &dy[image * strides.x..][..g.co * pixels];
        product(
            k,
            pixels,
            g.co,
            weights,
            (1, k as isize),
            dy,
            (pixels as isize, 1),
            &mut matrix,
            false,
        );
        let dx = &mut dx[image * strides.y..][..g.ci * g.h * g.w];
        dx.fill(0.0);
        for channel in 0..g.ci {
            for ky in 0..g.kh {
                for kx in 0..g.kw {
                    let row = &matrix[((channel * g.kh + ky) * g.kw + kx) * pixels..][..pixels];
                    for_each_tap(g, ky, kx, |out, input| {
                        if let Some(input) = input {
                            dx[channel * g.h * g.w + input] += row[out];
                        }
                    });
                }
            }
        }
    }
}

/// The gradient `dw` of [`forward`] with respect to the weights, `[co, ci, kh, kw]`, summed over the images.
pub(crate) fn weight_gradient(
    g: &ConvGeometry,
    x: &[f64],
    dy: &[f64],
    strides: BatchStrides,
    dw: &mut [f64],
) {
    let (k, pixels) = (g.ci * g.kh * g.kw, g.out_height() * g.out_width());
    let mut matrix = vec![0.0; k * pixels];
    dw.fill(0.0);
    for image in 0..g.n {
        columns(g, &x[image * strides.x..], &mut matrix);
        let dy = &dy[image * strides.y..][..g.co * pixels];
        product(
            g.co,
            k,
            pixels,
            dy,
            (pixels as isize, 1),
            &matrix,
            (1, pixels as isize),
            dw,
            true,
        );
    }
}
