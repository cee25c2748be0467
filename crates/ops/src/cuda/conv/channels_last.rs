//! Work on channels-last copies of arrays.

use candle_core::Result;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};

use super::described::Arrays;
use crate::cuda::card::{Element, enqueue};
use crate::cuda::plan::Params;

type Sizes = (usize, usize, usize, usize);

/// Runs `work` on channels-last copies of the inputs, and brings its result back; `shapes` are those of `a`, `b` and `y`,
/// each `[n, c, h, w]`. Arrays that are the same in both layouts are not copied.
pub(super) fn around<T: Element>(
    device: &CudaDevice,
    shapes: [Sizes; 3],
    arrays: &mut Arrays<'_, '_, T>,
    work: impl FnOnce(&mut Arrays<'_, '_, T>) -> Result<()>,
) -> Result<()> {
    let Arrays { a, b, y } = arrays;
    let (a_copy, b_copy) = (copied(device, shapes[0], a)?, copied(device, shapes[1], b)?);
    let (a_last, b_last);
    let mut arrays = Arrays {
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
    if is_both(shapes[2]) {
        return work(&mut arrays);
    }
    // SAFETY: `work` writes all of it.
    let mut y_last = unsafe { device.alloc::<T>(n * c * h * w)? };
    arrays.y = &mut y_last;
    work(&mut arrays)?;
    turn(device, [n, h * w, c], &y_last.slice(..), y)
}

/// Whether both layouts are one.
fn is_both((_, c, h, w): Sizes) -> bool {
    c == 1 || h * w == 1
}

/// `[n, c, h, w]` as `[n, h, w, c]`; `None` where that is the same.
fn copied<T: Element>(
    device: &CudaDevice,
    shape: Sizes,
    x: &CudaView<'_, T>,
) -> Result<Option<CudaSlice<T>>> {
    if is_both(shape) {
        return Ok(None);
    }
    let (n, c, h, w) = shape;
    // SAFETY: the kernel writes all of it.
    let mut copy = unsafe { device.alloc::<T>(n * c * h * w)? };
    turn(device, [n, c, h * w], x, &mut copy)?;
    Ok(Some(copy))
}

/// `[n, rows, columns]` to `[n, columns, rows]`
fn turn<T: Element>(
    device: &CudaDevice,
    [n, rows, columns]: [usize; 3],
    from: &CudaView<'_, T>,
    to: &mut CudaSlice<T>,
) -> Result<()> {
    let params = Params::transposing(n, rows, columns)?;
    enqueue::<T, _, _>(device, "transpose", &params, std::slice::from_ref(from), to)
}
