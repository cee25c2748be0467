//! In-place arithmetic on weights: what an optimizer and a moving average do to each value.
//!
//! Every value is worked on alone, so the result does not depend on the number of threads. Each update is named beside
//! the function that the CPU runs: a card has kernels for the names.

use candle_core::{CpuStorage, CudaStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};
use ops::update::Update;
use rayon::prelude::*;

/// Values that one task works on.
const CHUNK: usize = 1 << 15;

/// `x[i] = f(x[i], y[i])`
///
/// # Errors
/// When the shapes differ or the tensors are not f32.
pub(crate) fn update2(
    x: &Tensor,
    y: &Tensor,
    update: Update,
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<()> {
    same_shape(x, y)?;
    x.inplace_op2(&y.contiguous()?, &Update2(update, f))
}

/// `x[i] = f(x[i], y[i], z[i])`
///
/// # Errors
/// As [`update2`].
pub(crate) fn update3(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    update: Update,
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) -> Result<()> {
    same_shape(x, y)?;
    same_shape(x, z)?;
    x.inplace_op3(&y.contiguous()?, &z.contiguous()?, &Update3(update, f))
}

struct Update2<F>(Update, F);

impl<F: Fn(f32, f32) -> f32 + Sync> InplaceOp2 for Update2<F> {
    fn name(&self) -> &'static str {
        "update2"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, xl: &Layout, y: &CpuStorage, yl: &Layout) -> Result<()> {
        let y = values(y, yl)?;
        let pairs = values_mut(x, xl)?
            .par_chunks_mut(CHUNK)
            .zip(y.par_chunks(CHUNK));
        pairs.for_each(|(x, y)| {
            for (x, &y) in x.iter_mut().zip(y) {
                *x = self.1(*x, y);
            }
        });
        Ok(())
    }

    fn cuda_fwd(
        &self,
        x: &mut CudaStorage,
        xl: &Layout,
        y: &CudaStorage,
        yl: &Layout,
    ) -> Result<()> {
        self.0.on_card(x, xl, &[(y, yl)])
    }
}

struct Update3<F>(Update, F);

impl<F: Fn(f32, f32, f32) -> f32 + Sync> InplaceOp3 for Update3<F> {
    fn name(&self) -> &'static str {
        "update3"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        xl: &Layout,
        y: &CpuStorage,
        yl: &Layout,
        z: &CpuStorage,
        zl: &Layout,
    ) -> Result<()> {
        let (y, z) = (values(y, yl)?, values(z, zl)?);
        let triples = values_mut(x, xl)?
            .par_chunks_mut(CHUNK)
            .zip(y.par_chunks(CHUNK))
            .zip(z.par_chunks(CHUNK));
        triples.for_each(|((x, y), z)| {
            for ((x, &y), &z) in x.iter_mut().zip(y).zip(z) {
                *x = self.1(*x, y, z);
            }
        });
        Ok(())
    }

    fn cuda_fwd(
        &self,
        x: &mut CudaStorage,
        xl: &Layout,
        y: &CudaStorage,
        yl: &Layout,
        z: &CudaStorage,
        zl: &Layout,
    ) -> Result<()> {
        self.0.on_card(x, xl, &[(y, yl), (z, zl)])
    }
}

fn same_shape(x: &Tensor, y: &Tensor) -> Result<()> {
    if x.dims() != y.dims() {
        bail!("update of {:?} with {:?}", x.shape(), y.shape());
    }
    Ok(())
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("weights are updated as contiguous f32"),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("weights are updated as contiguous f32"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn views_are_respected() {
        let x = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap();
        let y = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let part = x.narrow(0, 1, 4).unwrap().reshape((2, 2)).unwrap();
        update2(&part, &y.t().unwrap(), Update::Set, |x, y| x * 10.0 + y).unwrap();
        let values = x.to_vec1::<f32>().unwrap();
        assert_eq!(values, [0.0, 11.0, 23.0, 32.0, 44.0, 5.0]);
    }

    #[test]
    fn other_shapes_and_types_are_refused() {
        let x = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap();
        let y = Tensor::zeros(4, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(update2(&x, &y, Update::Set, |x, _| x).is_err());
        let y = Tensor::zeros(3, candle_core::DType::F64, &Device::Cpu).unwrap();
        assert!(update2(&x, &y, Update::Set, |x, _| x).is_err());
    }
}
