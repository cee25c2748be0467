//! A distance between images without a perceptual network: differences of pixels and edges at several resolutions.

use candle_core::{Result, Tensor};
use ops::{Filter, UpFirDn2dOptions, upfirdn2d};

/// Smallest width and height of a level in pixels.
const SMALLEST: usize = 8;

/// Added to squared gradient magnitudes, so that the square root is differentiable at zero.
const EPSILON: f64 = 1e-4;

/// An image at several resolutions, with the edges at each of them.
pub struct Pyramid(Vec<Level>);

struct Level {
    pixels: Tensor,
    edges: Tensor,
}

impl Pyramid {
    /// The pyramid of an image `x`, `[1, channels, side, side]`. Each level has half the width and height of the one
    /// before.
    pub fn new(x: &Tensor) -> Result<Self> {
        let filter = Filter::resample();
        let mut levels = Vec::new();
        let mut x = x.clone();
        loop {
            levels.push(Level {
                edges: edges(&x)?,
                pixels: x.clone(),
            });
            if x.dim(2)? < 2 * SMALLEST {
                return Ok(Self(levels));
            }
            let halving = UpFirDn2dOptions::downsampling(&filter, [2; 2], [0; 4]);
            x = upfirdn2d(&x, &filter, &halving)?;
        }
    }

    /// Mean squared difference of pixels and of edges, averaged over all levels, as a scalar tensor.
    pub fn distance(&self, other: &Self) -> Result<Tensor> {
        let mut terms = Vec::new();
        for (a, b) in self.0.iter().zip(&other.0) {
            terms.push((&a.pixels - &b.pixels)?.sqr()?.mean_all()?);
            terms.push((&a.edges - &b.edges)?.sqr()?.mean_all()?);
        }
        Tensor::stack(&terms, 0)?.mean_all()
    }
}

/// The gradient magnitude `sqrt(dx^2 + dy^2)` of each channel at each pixel, except the last row and column.
fn edges(x: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let inner =
        |x: &Tensor, dy: usize, dx: usize| x.narrow(2, dy, height - 1)?.narrow(3, dx, width - 1);
    let here = inner(x, 0, 0)?;
    let dx = (inner(x, 0, 1)? - &here)?;
    let dy = (inner(x, 1, 0)? - &here)?;
    ((dx.sqr()? + dy.sqr()?)? + EPSILON)?.sqrt()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn the_distance_is_zero_only_for_equal_images_and_its_gradient_is_right() {
        let device = Device::Cpu;
        let image = |seed: u32| {
            let values = rng::RandomState::new(seed).randn(2 * 32 * 32);
            Tensor::from_vec(values, (1, 2, 32, 32), &device).unwrap()
        };
        let (a, b) = (image(1), image(2));
        let target = Pyramid::new(&b).unwrap();
        assert_eq!(target.0.len(), 3);
        let distance = |x: &Tensor| {
            let d = Pyramid::new(x).unwrap().distance(&target).unwrap();
            d.to_scalar::<f64>().unwrap()
        };
        assert_eq!(distance(&b), 0.0);
        assert!(distance(&a) > 0.5);

        let x = Var::from_tensor(&a).unwrap();
        let loss = Pyramid::new(&x).unwrap().distance(&target).unwrap();
        let grads = loss.backward().unwrap();
        let derivative = (grads.get(&x).unwrap() * (&b - &a).unwrap()).unwrap();
        let derivative = derivative.sum_all().unwrap().to_scalar::<f64>().unwrap();
        let step = |h: f64| distance(&(&a + ((&b - &a).unwrap() * h).unwrap()).unwrap());
        let numeric = (step(1e-5) - step(-1e-5)) / 2e-5;
        assert!(
            (derivative - numeric).abs() < 1e-6 * numeric.abs(),
            "{derivative} {numeric}"
        );
        assert_eq!(x.dtype(), DType::F64);
    }
}
