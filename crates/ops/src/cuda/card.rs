//! Carries out plans on a card.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{self, sys::CUresult};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, CudaView, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
    ValidAsZeroBits,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, WrapErr};
use candle_core::{CudaStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

use super::conv;
use super::plan::{Launch, Params, Plan};
use super::table::{ARRAYS, Row, Table};
use super::transfer;
use crate::device::{CardReport, DeviceError};

/// All kernels, as PTX: the driver compiles it for the card at hand, once.
pub(crate) const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));
/// What candle keeps the module under.
const MODULE: &str = "kaogan";
/// Threads of a block.
const BLOCK: u32 = 256;

// SAFETY: plain numbers, as the kernels declare them.
unsafe impl DeviceRepr for Params {}

/// A number type that kernels exist for.
pub(super) trait Element: CudaDType + DeviceRepr + ValidAsZeroBits {
    const SUFFIX: &'static str;
}
impl Element for f32 {
    const SUFFIX: &'static str = "f32";
}
impl Element for f16 {
    const SUFFIX: &'static str = "f16";
}
impl Element for bf16 {
    const SUFFIX: &'static str = "bf16";
}

/// What an op makes of contiguous inputs of one type.
///
/// # Errors
/// Names the op: when inputs are on several devices, of several types or of one that there is no kernel for, and what
/// the driver or cuDNN says.
pub(crate) fn run(
    name: &str,
    plan: Option<&Plan>,
    inputs: &[(&CudaStorage, &Layout)],
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    let named = |error: candle_core::Error| error.context(format!("{name} on a CUDA device"));
    let dtype = inputs[0].0.dtype();
    if inputs.iter().any(|(s, _)| s.dtype() != dtype) {
        let dtypes: Vec<DType> = inputs.iter().map(|(s, _)| s.dtype()).collect();
        bail!("{name}: the types {dtypes:?} differ");
    }
    let storage = match dtype {
        DType::F32 => typed::<f32>(plan, inputs, &shape),
        DType::F16 => typed::<f16>(plan, inputs, &shape),
        DType::BF16 => typed::<bf16>(plan, inputs, &shape),
        other => bail!("{name}: CUDA devices compute in f32, f16 and bf16, not {other:?}"),
    };
    Ok((storage.map_err(named)?, shape))
}

fn typed<T: Element + conv::Number>(
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
        Some(Plan::Launch(launch)) => kernel(device, launch, &views, len)?,
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

/// `len` results of a kernel.
fn kernel<T: Element>(
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
    // SAFETY: the kernel writes each part.
    let mut parts = unsafe { device.alloc::<f32>(len * launch.parts)? };
    enqueue::<T, _, _>(device, launch.kernel, &launch.params, views, &mut parts)?;
    let whole = Params::new(len, &[launch.parts], &[])?;
    enqueue::<T, _, _>(device, "sum_parts", &whole, &[parts.slice(..)], &mut y)?;
    Ok(y)
}

/// Puts one kernel for the type `T` behind what the card already has to do.
pub(super) fn enqueue<T: Element, I, Y>(
    device: &CudaDevice,
    name: &str,
    params: &Params,
    inputs: &[CudaView<I>],
    y: &mut CudaSlice<Y>,
) -> Result<()> {
    if params.n == 0 {
        return Ok(());
    }
    let function = function(device, &format!("{name}_{}", T::SUFFIX))?;
    let nothing = 0u64;
    let stream = device.cuda_stream();
    let mut arguments = stream.launch_builder(&function);
    for i in 0..3 {
        match inputs.get(i) {
            Some(input) => arguments.arg(input),
            None => arguments.arg(&nothing),
        };
    }
    arguments.arg(y).arg(params);
    // SAFETY: the arguments are those of all our kernels, and no thread reaches beyond the sizes in `params`.
    unsafe { arguments.launch(blocks(params)) }.w()?;
    Ok(())
}

/// A function of our module, which is loaded at its first use.
///
/// # Errors
/// What the driver says, with the name; a driver that is too old for the PTX among it.
pub(crate) fn function(device: &CudaDevice, name: &str) -> Result<CudaFunction> {
    let loaded = device
        .get_or_load_custom_func(name, MODULE, PTX)
        .map_err(|error| error.context(format!("loading the kernel {name}")))?;
    Ok(loaded.into_cuda_function())
}

/// Blocks that cover all threads.
fn blocks(params: &Params) -> LaunchConfig {
    LaunchConfig {
        grid_dim: ((params.n as u64).div_ceil(u64::from(BLOCK)) as u32, 1, 1),
        block_dim: (BLOCK, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// Opens a card. Everything that can be missing is looked for first, so that it can be named.
pub(crate) fn open(ordinal: usize) -> std::result::Result<Device, DeviceError> {
    // The archives that we link load the driver late and answer with this where there is none.
    const STUB: CUresult = CUresult::CUDA_ERROR_STUB_LIBRARY;
    if let Err(error) = driver::result::init() {
        return Err(match error.0 {
            STUB => DeviceError::Driver,
            CUresult::CUDA_ERROR_NO_DEVICE => DeviceError::Card { ordinal, count: 0 },
            _ => DeviceError::Failed(error.to_string()),
        });
    }
    let count = driver::result::device::get_count();
    let count = count.map_err(|error| DeviceError::Failed(error.to_string()))?;
    let count = usize::try_from(count).unwrap_or(0);
    if ordinal >= count {
        return Err(DeviceError::Card { ordinal, count });
    }
    let failed = |error: candle_core::Error| DeviceError::Failed(error.to_string());
    // One stream for all threads: candle's other constructor takes that of the calling thread at each call, and memory
    // that one thread frees could still be read by what another one enqueued.
    let device = CudaDevice::new_with_stream(ordinal).map_err(failed)?;
    // SAFETY: the stream is the only one, so nothing has to wait for another; events beside each allocation would only
    // cost time.
    unsafe { device.disable_event_tracking() };
    // A driver that refuses is slower, and no more than that.
    let _ = keep_memory(&device);
    Ok(Device::Cuda(device))
}

/// Keeps freed memory for the next allocation. Else the driver gives it back whenever the host waits for the card.
fn keep_memory(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let everything = u64::MAX;
    // SAFETY: the attribute is a number of 64 bits, which is read during the call.
    unsafe {
        let pool = driver::result::device::get_default_mem_pool(context.cu_device()).w()?;
        driver::result::mem_pool::set_attribute(
            pool,
            driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            (&raw const everything).cast_mut().cast(),
        )
        .w()
    }
}

/// The most that the pool of all allocations has held; `None` where the card has no such pool.
pub(crate) fn peak_memory(device: &CudaDevice) -> Result<Option<u64>> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(None);
    }
    let mut bytes = 0u64;
    // SAFETY: the attribute is a number of 64 bits, which is written during the call.
    unsafe {
        let pool = driver::result::device::get_default_mem_pool(context.cu_device()).w()?;
        driver::result::mem_pool::get_attribute(
            pool,
            driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH,
            (&raw mut bytes).cast(),
        )
        .w()?;
    }
    Ok(Some(bytes))
}

/// What the card is, after all kernels were loaded.
pub(crate) fn inspect(device: &CudaDevice) -> Result<CardReport> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let mut kernels = 0;
    for entry in PTX.split(".visible .entry ").skip(1) {
        function(device, entry.split('(').next().unwrap_or_default())?;
        kernels += 1;
    }
    let mut driver_version = 0;
    // SAFETY: it writes one number.
    unsafe { driver::sys::cuDriverGetVersion(&mut driver_version) }
        .result()
        .w()?;
    Ok(CardReport {
        name: context.name().w()?,
        capability: context.compute_capability().w()?,
        driver: driver_version,
        memory: context.mem_get_info().w()?,
        kernels,
    })
}

/// Runs a kernel over all values of many tensors, in one launch. The first tensor of a row may be written, the others of
/// it are as the kernel wants them.
///
/// # Errors
/// When a tensor is not f32 on the device of the first one; what the driver says.
pub(crate) fn over_rows(
    name: &str,
    rows: impl Iterator<Item = Result<Row>>,
    floats: &[f32],
) -> Result<()> {
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    let Some(Device::Cuda(device)) = rows.iter().find_map(Row::device) else {
        return Ok(());
    };
    let stream = device.cuda_stream();
    let addresses = |row: &Row| -> Result<([u64; ARRAYS], usize)> {
        let (mut addresses, mut len) = ([0; ARRAYS], 0);
        for (address, tensor) in addresses.iter_mut().zip(row.tensors()) {
            let Some(tensor) = tensor else { continue };
            let (storage, layout) = tensor.storage_and_layout();
            let Storage::Cuda(storage) = &*storage else {
                bail!("{name}: a tensor is not on the card");
            };
            *address = view::<f32>(storage, layout)?.device_ptr(&stream).0;
            len = tensor.elem_count();
        }
        Ok((addresses, len))
    };
    let addresses = rows.iter().map(addresses).collect::<Result<Vec<_>>>()?;
    let Table { words, params } = Table::new(addresses.into_iter(), floats)?;
    if params.n == 0 {
        return Ok(());
    }
    let function = function(device, &format!("{name}_f32"))?;
    // In halves: candle has no type of 64 bits without a sign.
    let halves = words
        .iter()
        .flat_map(|&word| [word as u32, (word >> 32) as u32]);
    let halves: Vec<u32> = halves.collect();
    let uploaded = transfer::upload(&halves, halves.len().into(), device)?;
    let table = transfer::address(&uploaded, &stream)?;
    let nothing = 0u64;
    let mut arguments = stream.launch_builder(&function);
    arguments.arg(&table).arg(&nothing).arg(&nothing);
    arguments.arg(&nothing).arg(&params);
    // SAFETY: the table has `params.i[0]` rows, and each row's arrays have its length. `rows` keeps the tensors until the
    // kernel is in the stream. Their memory was allocated in the same stream ([`open`] makes the only one), and so was
    // the table's: both are freed in it, behind the kernel, and whatever reads or writes the tensors before or after is
    // in it, too. The host has no reference to that memory.
    unsafe { arguments.launch(blocks(&params)) }.w()?;
    Ok(())
}

/// Runs a kernel that makes the f32 numbers of a new tensor from words of 32 bits.
///
/// # Errors
/// When a tensor is not contiguous on this card; what the driver says.
pub(super) fn generate(
    device: &CudaDevice,
    name: &str,
    words: &Tensor,
    params: &Params,
    to: &Tensor,
) -> Result<()> {
    let function = function(device, &format!("{name}_f32"))?;
    let stream = device.cuda_stream();
    let from = transfer::address(words, &stream)?;
    let to = transfer::address(to, &stream)?;
    let nothing = 0u64;
    let mut arguments = stream.launch_builder(&function);
    arguments.arg(&from).arg(&nothing).arg(&nothing);
    arguments.arg(&to).arg(params);
    // SAFETY: the caller made both tensors for these sizes; nobody else has the new one yet, and both are freed in the
    // stream, behind the kernel.
    unsafe { arguments.launch(blocks(params)) }.w()?;
    Ok(())
}

/// The numbers of a contiguous tensor.
fn view<'a, T: Element>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the tensor is not contiguous");
    };
    Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::host::KERNELS;

    #[test]
    fn the_module_has_every_kernel_for_every_type() {
        for (name, types) in KERNELS {
            for suffix in *types {
                let entry = format!(".visible .entry {name}_{suffix}(");
                assert!(PTX.contains(&entry), "no {entry}");
            }
        }
        let entries = PTX.matches(".visible .entry ").count();
        let named: usize = KERNELS.iter().map(|(_, types)| types.len()).sum();
        assert_eq!(entries, named, "a kernel is not in the list");
    }
}
