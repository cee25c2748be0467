//! Executes the plans of ops on a GPU.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, DType, Layout, Result, Shape, bail};
use half::{bf16, f16};

use super::conv::{self, CudnnType};
use super::element::Element;
use super::launch::{enqueue, view};
use super::plan::{Launch, Params, Plan};

/// Executes the plan of an op on contiguous inputs of one number type; returns the result, of shape `shape`.
///
/// # Errors
/// When the inputs differ in device or number type, or no kernel exists for their type; also errors of the CUDA driver
/// and of cuDNN. Errors name the op.
pub(crate) fn execute(
    name: &str,
    plan: Option<&Plan>,
    inputs: &[(&CudaStorage, &Layout)],
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    let named = |error: candle_core::Error| error.context(format!("{name} on a CUDA device"));
    let dtype = inputs[0].0.dtype();
    if inputs.iter().any(|(s, _)| s.dtype() != dtype) {
        let dtypes: Vec<DType> = inputs.iter().map(|(s, _)| s.dtype()).collect();
        bail!("{name}: the number types {dtypes:?} differ");
    }
    let storage = match dtype {
        DType::F32 => typed::<f32>(plan, inputs, &shape),
        DType::F16 => typed::<f16>(plan, inputs, &shape),
        DType::BF16 => typed::<bf16>(plan, inputs, &shape),
        other => bail!("{name}: CUDA devices compute in f32, f16 and bf16, not {other:?}"),
    };
    Ok((storage.map_err(named)?, shape))
}

fn typed<T: Element + CudnnType>(
    plan: Option<&Plan>,
    inputs: &[(&CudaStorage, &Layout)],
    shape: &Shape,
) -> Result<CudaStorage> {
    let device = inputs[0].0.device();
    let views = inputs
        .iter()
        .map(|(storage, layout)| view::<T>(storage, layout))
        .collect::<Result<Vec<_>>>()?;
    let len = shape.elem_count();
    let y = match plan {
        Some(Plan::Launch(launch)) => run_kernel(device, launch, &views, len)?,
        Some(Plan::Convolution(g, convolution)) => {
            // SAFETY: the convolution writes all of it.
            let mut y = unsafe { device.alloc::<T>(len)? };
            conv::run(device, g, *convolution, &views[0], &views[1], &mut y)?;
            y
        }
        Some(Plan::Composed(_)) | None => bail!("no kernel was planned"),
    };
    Ok(CudaStorage::wrap_cuda_slice(y, device.clone()))
}

/// Runs a kernel; returns its `len` results. For kernels that write partial sums, adds those up with `sum_parts`.
fn run_kernel<T: Element>(
    device: &CudaDevice,
    launch: &Launch,
    views: &[CudaView<T>],
    len: usize,
) -> Result<CudaSlice<T>> {
    let mut y = match launch.zeroed {
        true => device.alloc_zeros::<T>(len)?,
        // SAFETY: every kernel writes each of its results.
        false => unsafe { device.alloc::<T>(len)? },
    };
    if !launch.is_sum() {
        enqueue::<T, _, _>(device, launch.kernel, &launch.params, views, &mut y)?;
        return Ok(y);
    }
    // SAFETY: the kernel writes all partial sums.
    let mut parts = unsafe { device.alloc::<f32>(len * launch.parts)? };
    enqueue::<T, _, _>(device, launch.kernel, &launch.params, views, &mut parts)?;
    let whole = Params::new(len, &[launch.parts], &[])?;
    enqueue::<T, _, _>(device, "sum_parts", &whole, &[parts.slice(..)], &mut y)?;
    Ok(y)
}
