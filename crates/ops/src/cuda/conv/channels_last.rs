//! Convolutions on channels-last copies of the operands.

use candle_core::Result;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};

use super::operands::Operands;
use crate::cuda::element::Element;
use crate::cuda::launch::enqueue;
use crate::cuda::plan::Params;

type Sizes = (usize, usize, usize, usize);

/// Calls `work` with channels-last copies of the inputs, and transposes its result back into `operands.y`.
///
/// `shapes` are those of `a`, `b` and `y`, each `[n, c, h, w]`. An operand whose elements have the same order in both
/// layouts is not copied.
pub(super) fn with_copies<T: Element>(
    device: &CudaDevice,
    shapes: [Sizes; 3],
    operands: &mut Operands<'_, '_, T>,
    work: impl FnOnce(&mut Operands<'_, '_, T>) -> Result<()>,
) -> Result<()> {
    let Operands { a, b, y } = operands;
    let (a_copy, b_copy) = (
        channels_last(device, shapes[0], a)?,
        channels_last(device, shapes[1], b)?,
    );
    let (a_last, b_last);
    let mut operands = Operands {
        a: match &a_copy {
            Some(copy) => {
                a_last = copy.slice(..);
                &a_last
            }
            None => *a,
        },
        b: match &b_copy {
            Some(copy) => {
                b_last = copy.slice(..);
                &b_last
            }
            None => *b,
        },
        y: &mut **y,
    };
    let (n, c, h, w) = shapes[2];
    if layouts_agree(shapes[2]) {
        return work(&mut operands);
    }
    // SAFETY: `work` writes all of it.
    let mut y_last = unsafe { device.alloc::<T>(n * c * h * w)? };
    operands.y = &mut y_last;
    work(&mut operands)?;
    transpose(device, [n, h * w, c], &y_last.slice(..), y)
}

/// Whether the elements have the same order in both layouts.
fn layouts_agree((_, c, h, w): Sizes) -> bool {
    c == 1 || h * w == 1
}

/// A channels-last copy of `x`, `[n, c, h, w]`; `None` where the order of the elements would not change.
fn channels_last<T: Element>(
    device: &CudaDevice,
    shape: Sizes,
    x: &CudaView<'_, T>,
) -> Result<Option<CudaSlice<T>>> {
    if layouts_agree(shape) {
        return Ok(None);
    }
    let (n, c, h, w) = shape;
    // SAFETY: the kernel writes all of it.
    let mut copy = unsafe { device.alloc::<T>(n * c * h * w)? };
    transpose(device, [n, c, h * w], x, &mut copy)?;
    Ok(Some(copy))
}

/// Transposes `[n, rows, columns]` to `[n, columns, rows]` on the GPU.
fn transpose<T: Element>(
    device: &CudaDevice,
    [n, rows, columns]: [usize; 3],
    from: &CudaView<'_, T>,
    to: &mut CudaSlice<T>,
) -> Result<()> {
    let params = Params::transposing(n, rows, columns)?;
    enqueue::<T, _, _>(device, "transpose", &params, std::slice::from_ref(from), to)
}
