//! Bilinear sampling of images at the points of a grid, and the grid of an affine map.
//!
//! Pixels outside the image are zero. Coordinates -1 and 1 are the outer edges of the border pixels, as in PyTorch with
//! `align_corners = false`.

use candle_core::{Result, Shape, Tensor, bail};

use crate::cpu::grid_sample::{self, GridGeometry};
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::{Launch, Params, Plan};
use crate::op::{Op, apply};
use crate::value::{Value, record};

/// Samples `x` bilinearly at the points of `grid`; pixels outside the image count as zero.
///
/// Differentiable to any order with respect to `x`, in which it is linear, and once with respect to the grid.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`, f32 or f64
/// - `grid`: `[batch, out_height, out_width, 2]`, pairs (x, y); -1 and 1 are the edges of the image, values beyond are
///   allowed
/// - result: `[batch, channels, out_height, out_width]`
///
/// # Errors
/// When shapes do not match, or the number types are not both f32 or both f64.
pub fn grid_sample(x: &Tensor, grid: &Tensor) -> Result<Tensor> {
    apply([x, grid], Sample(geometry(x, grid)?))
}

impl Value {
    /// Samples the images `self` at the points of `grid`: [`grid_sample`] (see there for shapes) recorded in the graph.
    ///
    /// # Errors
    /// Same as for [`grid_sample`].
    pub fn grid_sample(&self, grid: &Value) -> Result<Value> {
        let g = geometry(self.tensor(), grid.tensor())?;
        record([self, grid], Sample(g))
    }
}

fn geometry(x: &Tensor, grid: &Tensor) -> Result<GridGeometry> {
    let (n, c, h, w) = x.dims4()?;
    let (grid_n, out_h, out_w, two) = grid.dims4()?;
    if grid_n != n || two != 2 || h * w == 0 || h * w > u32::MAX as usize {
        bail!(
            "grid_sample: x {:?} and grid {:?} do not fit; a grid is [batch, height, width, 2]",
            x.shape(),
            grid.shape()
        );
    }
    Ok(GridGeometry {
        n,
        c,
        h,
        w,
        out_h,
        out_w,
    })
}

/// The grid with which [`grid_sample`] applies the affine map `theta` to an image. Differentiable.
///
/// # Shapes
/// - `theta`: `[batch, 2, 3]`, maps output (x, y, 1) to input (x, y); in both, -1 and 1 are the edges of the image
/// - `size`: the size of the output, `(batch, channels, height, width)`
/// - result: `[batch, height, width, 2]`
///
/// # Errors
/// When `theta` is not `[batch, 2, 3]`.
pub fn affine_grid(theta: &Tensor, size: (usize, usize, usize, usize)) -> Result<Tensor> {
    let (n, _, h, w) = size;
    if theta.dims() != [n, 2, 3] {
        bail!(
            "affine_grid: theta is {:?} instead of [{n}, 2, 3]",
            theta.shape()
        );
    }
    // On a GPU only the coordinates of one row and one column are uploaded.
    let centers = |len: usize| -> Result<Tensor> {
        let center = |i: usize| (2 * i + 1) as f64 / len as f64 - 1.0;
        let centers: Vec<f64> = (0..len).map(center).collect();
        Tensor::from_vec(centers, len, theta.device())?.to_dtype(theta.dtype())
    };
    let x = centers(w)?.reshape((1, w, 1))?.broadcast_as((h, w, 1))?;
    let y = centers(h)?.reshape((h, 1, 1))?.broadcast_as((h, w, 1))?;
    let base = Tensor::cat(&[&x, &y, &x.ones_like()?], 2)?.reshape((h * w, 3))?;
    let columns = theta.reshape((2 * n, 3))?.t()?.contiguous()?;
    base.matmul(&columns)?
        .reshape((h * w, n, 2))?
        .transpose(0, 1)?
        .reshape((n, h, w, 2))
}

#[cfg(any(feature = "cuda", test))]
impl GridGeometry {
    /// A kernel launch of `threads` threads, with all sizes as parameters.
    fn launch(&self, kernel: &'static str, threads: usize) -> Result<Plan> {
        let sizes = [self.n, self.c, self.h, self.w, self.out_h, self.out_w];
        Ok(Plan::Launch(Launch {
            kernel,
            params: Params::new(threads, &sizes, &[])?,
            parts: 1,
            zeroed: kernel == "grid_sample_spread",
        }))
    }
}

/// The op `(x, grid) -> y`, see [`grid_sample`].
#[derive(Clone)]
pub(crate) struct Sample(pub GridGeometry);
/// The op `(dy, grid) -> dx`, the gradient with respect to `x`: the adjoint of [`Sample`] for a fixed grid.
#[derive(Clone)]
pub(crate) struct Spread(pub GridGeometry);
/// The op `(x, grid, dy) -> dgrid`, the gradient with respect to the grid; it is not differentiable again.
#[derive(Clone)]
pub(crate) struct GridGradient(pub GridGeometry);

impl Op<2> for Sample {
    const NAME: &'static str = "grid_sample";

    fn shape(&self, _: [&Shape; 2]) -> Result<Shape> {
        let g = self.0;
        Ok((g.n, g.c, g.out_h, g.out_w).into())
    }

    fn run_f32(&self, [x, grid]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        grid_sample::sample(self.0, x, grid)
    }

    fn run_f64(&self, [x, grid]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        grid_sample::sample(self.0, x, grid)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, _: [&Tensor; 2]) -> Result<Plan> {
        let g = self.0;
        g.launch("grid_sample", g.n * g.c * g.out_h * g.out_w)
    }

    fn gradients(
        &self,
        [x, grid]: [&Tensor; 2],
        dy: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let dx = || apply([dy, grid], Spread(self.0));
        let dgrid = || apply([x, grid, dy], GridGradient(self.0));
        Ok([
            wanted[0].then(dx).transpose()?,
            wanted[1].then(dgrid).transpose()?,
        ])
    }
}

impl Op<2> for Spread {
    const NAME: &'static str = "grid_sample_input_gradient";

    fn shape(&self, _: [&Shape; 2]) -> Result<Shape> {
        let g = self.0;
        Ok((g.n, g.c, g.h, g.w).into())
    }

    fn run_f32(&self, [dy, grid]: [&[f32]; 2], _: [&Shape; 2]) -> Vec<f32> {
        grid_sample::spread(self.0, dy, grid)
    }

    fn run_f64(&self, [dy, grid]: [&[f64]; 2], _: [&Shape; 2]) -> Vec<f64> {
        grid_sample::spread(self.0, dy, grid)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, _: [&Tensor; 2]) -> Result<Plan> {
        let g = self.0;
        g.launch("grid_sample_spread", g.n * g.c * g.out_h * g.out_w)
    }

    fn gradients(
        &self,
        [dy, grid]: [&Tensor; 2],
        ddx: &Tensor,
        wanted: [bool; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let ddy = || apply([ddx, grid], Sample(self.0));
        let dgrid = || apply([ddx, grid, dy], GridGradient(self.0));
        Ok([
            wanted[0].then(ddy).transpose()?,
            wanted[1].then(dgrid).transpose()?,
        ])
    }
}

impl Op<3> for GridGradient {
    const NAME: &'static str = "grid_sample_grid_gradient";

    fn shape(&self, _: [&Shape; 3]) -> Result<Shape> {
        let g = self.0;
        Ok((g.n, g.out_h, g.out_w, 2).into())
    }

    fn run_f32(&self, [x, grid, dy]: [&[f32]; 3], _: [&Shape; 3]) -> Vec<f32> {
        grid_sample::grid_gradient(self.0, x, grid, dy)
    }

    fn run_f64(&self, [x, grid, dy]: [&[f64]; 3], _: [&Shape; 3]) -> Vec<f64> {
        grid_sample::grid_gradient(self.0, x, grid, dy)
    }

    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, _: [&Tensor; 3]) -> Result<Plan> {
        let g = self.0;
        g.launch("grid_sample_grid", g.n * g.out_h * g.out_w)
    }

    fn gradients(&self, _: [&Tensor; 3], _: &Tensor, _: [bool; 3]) -> Result<[Option<Tensor>; 3]> {
        bail!("grid_sample: there is no second derivative by the grid")
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::cpu::simd::{Isa, force_isa};

    fn tensor(seed: u64, shape: &[usize], scale: f64) -> Tensor {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let values: Vec<f64> = (0..shape.iter().product())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                ((state >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0) * scale
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn all(x: &Tensor) -> Vec<f64> {
        let x = x.to_dtype(DType::F64).unwrap();
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        assert_eq!(a.dims(), b.dims());
        let pairs = all(a).into_iter().zip(all(b));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    fn dot(a: &Tensor, b: &Tensor) -> f64 {
        all(a).iter().zip(all(b)).map(|(a, b)| a * b).sum()
    }

    /// A slow reference: each output is a sum over all pixels, weighted by their distance to the point.
    fn slow(x: &Tensor, grid: &Tensor) -> Tensor {
        let (n, c, h, w) = x.dims4().unwrap();
        let (_, out_h, out_w, _) = grid.dims4().unwrap();
        let (xs, gs) = (all(x), all(grid));
        let mut y = Vec::new();
        for i in 0..n * c {
            for point in 0..out_h * out_w {
                let at = 2 * (i / c * out_h * out_w + point);
                let px = ((gs[at] + 1.0) * w as f64 - 1.0) / 2.0;
                let py = ((gs[at + 1] + 1.0) * h as f64 - 1.0) / 2.0;
                let tent = |distance: f64| (1.0 - distance.abs()).max(0.0);
                let sum: f64 = (0..h * w)
                    .map(|j| {
                        tent(px - (j % w) as f64) * tent(py - (j / w) as f64) * xs[i * h * w + j]
                    })
                    .sum();
                y.push(sum);
            }
        }
        Tensor::from_vec(y, (n, c, out_h, out_w), &Device::Cpu).unwrap()
    }

    #[test]
    fn equals_the_slow_sum_with_every_instruction_set() {
        for (shape, out) in [([2, 3, 7, 5], [9, 11]), ([1, 10, 4, 6], [1, 70])] {
            let x = tensor(1, &shape, 1.0);
            let grid = tensor(2, &[shape[0], out[0], out[1], 2], 1.6);
            let expected = slow(&x, &grid);
            assert!(distance(&grid_sample(&x, &grid).unwrap(), &expected) < 1e-13);
            let (x, grid) = (
                x.to_dtype(DType::F32).unwrap(),
                grid.to_dtype(DType::F32).unwrap(),
            );
            for isa in Isa::available() {
                force_isa(Some(isa));
                let y = grid_sample(&x, &grid).unwrap();
                force_isa(None);
                assert!(distance(&y, &expected) < 5e-6, "{isa:?}");
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let x = Var::from_tensor(&tensor(1, &[2, 3, 6, 5], 1.0)).unwrap();
        let grid = Var::from_tensor(&tensor(2, &[2, 4, 7, 2], 1.2)).unwrap();
        let dy = tensor(3, &[2, 3, 4, 7], 1.0);
        let loss = |x: &Tensor, grid: &Tensor| dot(&grid_sample(x, grid).unwrap(), &dy);
        let y = grid_sample(&x, &grid).unwrap();
        let grads = (y * &dy).unwrap().sum_all().unwrap().backward().unwrap();
        let e = 1e-6;
        for (seed, var) in [(4, &x), (5, &grid)] {
            let v = tensor(seed, var.dims(), 1.0);
            let moved = |e: f64| {
                let moved = (var.as_tensor() + (&v * e).unwrap()).unwrap();
                if seed == 4 {
                    loss(&moved, &grid)
                } else {
                    loss(&x, &moved)
                }
            };
            let expected = (moved(e) - moved(-e)) / (2.0 * e);
            let got = dot(grads.get(var).unwrap(), &v);
            assert!(
                (got - expected).abs() < 1e-6 * expected.abs().max(1.0),
                "{got} {expected}"
            );
        }
    }

    /// Checks that the derivative of the grid gradient along a direction `v` of `x` is the grid gradient for `v` in
    /// place of `x`, as sampling is linear in `x`, and that the gradient of the adjoint `Spread` with respect to `dy`
    /// is `grid_sample` again.
    #[test]
    fn second_derivatives_equal_finite_differences() {
        let (x, v) = (tensor(1, &[1, 2, 6, 5], 1.0), tensor(6, &[1, 2, 6, 5], 1.0));
        let grid = Var::from_tensor(&tensor(2, &[1, 4, 7, 2], 1.0)).unwrap();
        let dy = tensor(3, &[1, 2, 4, 7], 1.0);
        let grid_gradient = |x: &Tensor| {
            let y = grid_sample(x, &grid).unwrap();
            let grads = (y * &dy).unwrap().sum_all().unwrap().backward().unwrap();
            grads.get(&grid).unwrap().clone()
        };
        let moved = |e: f64| grid_gradient(&(&x + (&v * e).unwrap()).unwrap());
        let expected = ((moved(1e-3) - moved(-1e-3)).unwrap() / 2e-3).unwrap();
        assert!(distance(&grid_gradient(&v), &expected) < 1e-9);

        let var = Var::from_tensor(&dy).unwrap();
        let g = GridGeometry {
            n: 1,
            c: 2,
            h: 6,
            w: 5,
            out_h: 4,
            out_w: 7,
        };
        let dx = apply([&var, &grid], Spread(g)).unwrap();
        let loss = (dx * &v).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let expected = grid_sample(&v, &grid).unwrap();
        assert!(distance(grads.get(&var).unwrap(), &expected) < 1e-12);
        assert!(distance(grads.get(&grid).unwrap(), &grid_gradient(&v)) < 1e-12);
    }

    #[test]
    fn the_identity_map_returns_the_image() {
        let x = tensor(1, &[2, 3, 5, 8], 1.0);
        let theta = Tensor::from_vec(
            vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            (2, 2, 3),
            &Device::Cpu,
        )
        .unwrap();
        let y = grid_sample(&x, &affine_grid(&theta, (2, 3, 5, 8)).unwrap()).unwrap();
        assert!(distance(&y.get(0).unwrap(), &x.get(0).unwrap()) < 1e-12);
        let flipped = x.get(1).unwrap().flip(&[2]).unwrap();
        assert!(distance(&y.get(1).unwrap(), &flipped) < 1e-12);
    }

    #[test]
    fn the_affine_grid_has_a_gradient() {
        let theta = Var::from_tensor(&tensor(1, &[2, 2, 3], 1.0)).unwrap();
        let dy = tensor(2, &[2, 3, 4, 2], 1.0);
        let grid = affine_grid(&theta, (2, 1, 3, 4)).unwrap();
        let loss = (&grid * &dy).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        // The grid is linear in theta.
        assert!((dot(grads.get(&theta).unwrap(), &theta) - dot(&grid, &dy)).abs() < 1e-12);
        let last = all(&grid);
        let t = all(&theta);
        let expected = t[9] * 0.75 + t[10] * (2.0 / 3.0) + t[11];
        assert!((last[last.len() - 1] - expected).abs() < 1e-12);
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let x = tensor(1, &[2, 3, 4, 4], 1.0);
        let error = grid_sample(&x, &tensor(1, &[1, 4, 4, 2], 1.0)).unwrap_err();
        assert!(error.to_string().contains("do not fit"), "{error}");
        assert!(affine_grid(&x, (2, 3, 4, 4)).is_err());
        let mixed = tensor(1, &[2, 4, 4, 2], 1.0).to_dtype(DType::F32).unwrap();
        assert!(grid_sample(&x, &mixed).is_err());
    }
}
