//! Reading candle's CPU storage in custom ops.

use candle_core::{CpuStorage, Layout, Result, bail};

/// The contiguous values of an f32 or f64 tensor.
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// The values of `storage`; the tensor must be contiguous.
pub(crate) fn values<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<Values<'a>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!(
            "{op}: the tensor is not contiguous (shape {:?}, strides {:?})",
            layout.shape(),
            layout.stride()
        );
    };
    match storage {
        CpuStorage::F32(values) => Ok(Values::F32(&values[start..end])),
        CpuStorage::F64(values) => Ok(Values::F64(&values[start..end])),
        other => bail!(
            "{op}: {:?} is not supported on the CPU, only f32 and f64",
            candle_core::backend::BackendStorage::dtype(other)
        ),
    }
}

/// Runs one of two closures for two tensors of the same type.
pub(crate) fn both<'a>(
    op: &str,
    (s1, l1): (&'a CpuStorage, &Layout),
    (s2, l2): (&'a CpuStorage, &Layout),
    f32: impl FnOnce(&'a [f32], &'a [f32]) -> Vec<f32>,
    f64: impl FnOnce(&'a [f64], &'a [f64]) -> Vec<f64>,
) -> Result<CpuStorage> {
    match (values(op, s1, l1)?, values(op, s2, l2)?) {
        (Values::F32(a), Values::F32(b)) => Ok(CpuStorage::F32(f32(a, b))),
        (Values::F64(a), Values::F64(b)) => Ok(CpuStorage::F64(f64(a, b))),
        _ => bail!("{op}: both tensors must be f32 or both f64"),
    }
}
