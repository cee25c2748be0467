//! Asynchronous copies between host and GPU through page-locked memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaStream, DevicePtr, DeviceRepr, PinnedHostSlice, result,
};
use candle_core::cuda_backend::{CudaDevice, DeviceId, WrapErr};
use candle_core::{Device, Result, Shape, Storage, Tensor, WithDType, bail};

/// The limit of page-locked memory for one GPU, in bytes. At the limit the host waits for the oldest copies.
const LIMIT: usize = 512 << 20;
/// The smallest buffer, in bytes; all sizes are powers of two.
const SMALLEST: usize = 4096;

/// A buffer of page-locked host memory.
#[derive(Debug)]
struct PinnedBuffer {
    memory: PinnedHostSlice<u8>,
    /// An event after the last copy that uses the buffer.
    copied: CudaEvent,
}

impl PinnedBuffer {
    fn new(stream: &CudaStream, size: usize) -> Result<Self> {
        // SAFETY: all uses write the bytes before they read them.
        let memory = unsafe { stream.context().alloc_pinned_with_flags(size, 0) };
        let memory = memory.w().map_err(|error| {
            error.context(format!("allocating {size} bytes of page-locked memory"))
        })?;
        let copied = stream.record_event(None).w()?;
        Ok(Self { memory, copied })
    }
}

impl Drop for PinnedBuffer {
    /// Waits for the last copy before the memory is freed.
    fn drop(&mut self) {
        let _ = self.copied.synchronize();
    }
}

/// The buffers that are not in use by [`upload`] or a [`Download`], in the order in which they were returned.
#[derive(Default)]
struct Pool {
    buffers: VecDeque<PinnedBuffer>,
    /// The total size of these buffers and of those in use.
    bytes: usize,
}

static POOLS: Mutex<Option<HashMap<DeviceId, Pool>>> = Mutex::new(None);

/// Calls `work` with the pool of a GPU, which is created at its first use.
fn pool<T>(device: &CudaDevice, work: impl FnOnce(&mut Pool) -> T) -> T {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    work(
        pools
            .get_or_insert_default()
            .entry(device.id())
            .or_default(),
    )
}

impl Pool {
    /// A buffer of at least `bytes` bytes whose last copy is complete; waits for a copy when the limit is reached.
    fn take(&mut self, stream: &CudaStream, bytes: usize) -> Result<PinnedBuffer> {
        let size = bytes.max(SMALLEST).next_power_of_two();
        let fits = |buffer: &PinnedBuffer| buffer.memory.len() == size;
        let is_free = |buffer: &PinnedBuffer| buffer.copied.is_complete();
        let free = self.buffers.iter().position(|p| fits(p) && is_free(p));
        if let Some(buffer) = free.and_then(|place| self.buffers.remove(place)) {
            return Ok(buffer);
        }
        if self.bytes + size > LIMIT
            && let Some(place) = self.buffers.iter().position(fits)
            && let Some(buffer) = self.buffers.remove(place)
        {
            buffer.copied.synchronize().w()?;
            return Ok(buffer);
        }
        while self.bytes + size > LIMIT {
            let Some(oldest) = self.buffers.pop_front() else {
                break;
            };
            self.bytes -= oldest.memory.len();
        }
        let buffer = PinnedBuffer::new(stream, size)?;
        self.bytes += size;
        Ok(buffer)
    }
}

/// A new tensor with these values in row-major order. Returns before the GPU has read them.
pub(crate) fn upload<T: WithDType>(
    values: &[T],
    shape: Shape,
    device: &CudaDevice,
) -> Result<Tensor> {
    if shape.elem_count() != values.len() {
        bail!("upload: {} numbers for {shape:?}", values.len());
    }
    // SAFETY: the copy below writes the whole tensor, before any later work in the stream reads it.
    let tensor = unsafe { Tensor::empty(shape, T::DTYPE, &Device::Cuda(device.clone()))? };
    let bytes = size_of_val(values);
    if bytes == 0 {
        return Ok(tensor);
    }
    let stream = device.cuda_stream();
    let mut buffer = pool(device, |pool| pool.take(&stream, bytes))?;
    // SAFETY: numbers have no padding, and all their bytes are initialized.
    let from = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), bytes) };
    buffer.memory.as_mut_slice().w()?[..bytes].copy_from_slice(from);
    let to = address(&tensor, &stream)?;
    // SAFETY: tensor and buffer have at least that many bytes, and the buffer is not reused before `copied` is reached.
    // Nothing else writes to the new tensor, and its memory is freed in the same stream.
    unsafe {
        let from = &buffer.memory.as_slice().w()?[..bytes];
        result::memcpy_htod_async(to, from, stream.cu_stream()).w()?;
    }
    return_buffer(device, &stream, buffer)?;
    Ok(tensor)
}

/// Records the end of the copies that use a buffer, and returns it to the pool.
fn return_buffer(device: &CudaDevice, stream: &CudaStream, buffer: PinnedBuffer) -> Result<()> {
    buffer.copied.record(stream).w()?;
    pool(device, |pool| pool.buffers.push_back(buffer));
    Ok(())
}

/// A copy to the host that was enqueued.
#[derive(Debug)]
pub(crate) struct Download {
    device: CudaDevice,
    /// The destination; `None` for an empty tensor.
    buffer: Option<PinnedBuffer>,
    len: usize,
}

impl Download {
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        let Device::Cuda(device) = tensor.device() else {
            bail!("download: the tensor is not on a GPU");
        };
        let tensor = tensor.contiguous()?;
        let stream = device.cuda_stream();
        let len = tensor.elem_count();
        let mut download = Self {
            device: device.clone(),
            buffer: None,
            len,
        };
        if len > 0 {
            let bytes = len * size_of::<f32>();
            let mut buffer = pool(device, |pool| pool.take(&stream, bytes))?;
            let from = address(&tensor, &stream)?;
            // SAFETY: both have at least that many bytes, and the buffer is not read before `copied` is reached. The
            // memory of the tensor is freed in stream order, after the copy.
            unsafe {
                let to = &mut buffer.memory.as_mut_slice().w()?[..bytes];
                result::memcpy_dtoh_async(to, from, stream.cu_stream()).w()?;
            }
            buffer.copied.record(&stream).w()?;
            download.buffer = Some(buffer);
        }
        Ok(download)
    }

    pub(crate) fn wait(mut self) -> Result<Vec<f32>> {
        let Some(buffer) = self.buffer.take() else {
            return Ok(Vec::new());
        };
        buffer.copied.synchronize().w()?;
        let bytes = &buffer.memory.as_slice().w()?[..self.len * size_of::<f32>()];
        let numbers = bytes.as_chunks::<4>().0.iter();
        let numbers = numbers.map(|bytes| f32::from_ne_bytes(*bytes)).collect();
        pool(&self.device, |pool| pool.buffers.push_back(buffer));
        Ok(numbers)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            pool(&self.device, |pool| pool.buffers.push_back(buffer));
        }
    }
}

/// The GPU address of the first element of a contiguous tensor of f32, u8 or u32.
pub(super) fn address(tensor: &Tensor, stream: &CudaStream) -> Result<u64> {
    fn address_of<T: DeviceRepr + candle_core::cuda_backend::CudaDType>(
        storage: &candle_core::CudaStorage,
        offset: usize,
        stream: &CudaStream,
    ) -> Result<u64> {
        let slice = storage.as_cuda_slice::<T>()?;
        Ok(slice.slice(offset..).device_ptr(stream).0)
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        bail!("the tensor is not on a GPU");
    };
    let offset = layout.start_offset();
    match tensor.dtype() {
        candle_core::DType::F32 => address_of::<f32>(storage, offset, stream),
        candle_core::DType::U8 => address_of::<u8>(storage, offset, stream),
        candle_core::DType::U32 => address_of::<u32>(storage, offset, stream),
        other => bail!("{other:?} is not copied; f32, u8 and u32 are"),
    }
}
