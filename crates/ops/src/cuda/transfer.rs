//! Copies between host and card through page-locked memory, which the card reads and writes by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    CudaEvent, CudaStream, DevicePtr, DeviceRepr, PinnedHostSlice, result,
};
use candle_core::cuda_backend::{CudaDevice, DeviceId, WrapErr};
use candle_core::{Device, Result, Shape, Storage, Tensor, WithDType, bail};

/// Bytes of page-locked memory that a card may have in use; the host waits for the oldest copies beyond that.
const LIMIT: usize = 512 << 20;
/// Pieces are powers of two, and at least this.
const SMALLEST: usize = 4096;

/// A piece of page-locked memory.
#[derive(Debug)]
struct Piece {
    memory: PinnedHostSlice<u8>,
    /// Behind the last copy that uses it.
    copied: CudaEvent,
}

impl Piece {
    fn new(stream: &CudaStream, size: usize) -> Result<Self> {
        // SAFETY: bytes are written before they are read.
        let memory = unsafe { stream.context().alloc_pinned_with_flags(size, 0) };
        let memory = memory.w().map_err(|error| {
            error.context(format!("allocating {size} bytes of page-locked memory"))
        })?;
        let copied = stream.record_event(None).w()?;
        Ok(Self { memory, copied })
    }
}

impl Drop for Piece {
    /// The memory goes after the copy.
    fn drop(&mut self) {
        let _ = self.copied.synchronize();
    }
}

/// Pieces that no one holds, the one whose copy was asked for first in front.
#[derive(Default)]
struct Pool {
    pieces: VecDeque<Piece>,
    /// Of these pieces and of those that are held.
    bytes: usize,
}

static POOLS: Mutex<Option<HashMap<DeviceId, Pool>>> = Mutex::new(None);

/// Works with the pool of a card.
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
    /// A piece of at least `bytes` whose copy is done.
    fn take(&mut self, stream: &CudaStream, bytes: usize) -> Result<Piece> {
        let size = bytes.max(SMALLEST).next_power_of_two();
        let fits = |piece: &Piece| piece.memory.len() == size;
        let is_free = |piece: &Piece| piece.copied.is_complete();
        let free = self.pieces.iter().position(|p| fits(p) && is_free(p));
        if let Some(piece) = free.and_then(|place| self.pieces.remove(place)) {
            return Ok(piece);
        }
        if self.bytes + size > LIMIT
            && let Some(place) = self.pieces.iter().position(fits)
            && let Some(piece) = self.pieces.remove(place)
        {
            piece.copied.synchronize().w()?;
            return Ok(piece);
        }
        while self.bytes + size > LIMIT {
            let Some(oldest) = self.pieces.pop_front() else {
                break;
            };
            self.bytes -= oldest.memory.len();
        }
        let piece = Piece::new(stream, size)?;
        self.bytes += size;
        Ok(piece)
    }
}

/// A new tensor of these numbers.
pub(crate) fn upload<T: WithDType>(
    values: &[T],
    shape: Shape,
    device: &CudaDevice,
) -> Result<Tensor> {
    if shape.elem_count() != values.len() {
        bail!("upload: {} numbers for {shape:?}", values.len());
    }
    // SAFETY: all of it is written by the copy below, which comes before whatever reads it in the stream.
    let tensor = unsafe { Tensor::empty(shape, T::DTYPE, &Device::Cuda(device.clone()))? };
    let bytes = size_of_val(values);
    if bytes == 0 {
        return Ok(tensor);
    }
    let stream = device.cuda_stream();
    let mut piece = pool(device, |pool| pool.take(&stream, bytes))?;
    // SAFETY: numbers have no padding, and every byte of theirs is one.
    let from = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), bytes) };
    piece.memory.as_mut_slice().w()?[..bytes].copy_from_slice(from);
    let to = address(&tensor, &stream)?;
    // SAFETY: the tensor has as many bytes, and so has the piece, which is given to another user behind `copied` only.
    // The tensor is new: nothing else writes to it, and it is freed in the same stream.
    unsafe {
        let from = &piece.memory.as_slice().w()?[..bytes];
        result::memcpy_htod_async(to, from, stream.cu_stream()).w()?;
    }
    give_back(device, &stream, piece)?;
    Ok(tensor)
}

/// Puts a piece behind its copy.
fn give_back(device: &CudaDevice, stream: &CudaStream, piece: Piece) -> Result<()> {
    piece.copied.record(stream).w()?;
    pool(device, |pool| pool.pieces.push_back(piece));
    Ok(())
}

/// A copy to the host that was asked for.
#[derive(Debug)]
pub(crate) struct Download {
    device: CudaDevice,
    /// `None` where there is nothing to copy.
    piece: Option<Piece>,
    len: usize,
}

impl Download {
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        let Device::Cuda(device) = tensor.device() else {
            bail!("download: the tensor is not on a card");
        };
        let tensor = tensor.contiguous()?;
        let stream = device.cuda_stream();
        let len = tensor.elem_count();
        let mut download = Self {
            device: device.clone(),
            piece: None,
            len,
        };
        if len > 0 {
            let bytes = len * size_of::<f32>();
            let mut piece = pool(device, |pool| pool.take(&stream, bytes))?;
            let from = address(&tensor, &stream)?;
            // SAFETY: both have as many bytes; the piece is not touched before `copied`. The tensor is freed in the stream,
            // behind the copy.
            unsafe {
                let to = &mut piece.memory.as_mut_slice().w()?[..bytes];
                result::memcpy_dtoh_async(to, from, stream.cu_stream()).w()?;
            }
            piece.copied.record(&stream).w()?;
            download.piece = Some(piece);
        }
        Ok(download)
    }

    pub(crate) fn wait(mut self) -> Result<Vec<f32>> {
        let Some(piece) = self.piece.take() else {
            return Ok(Vec::new());
        };
        piece.copied.synchronize().w()?;
        let bytes = &piece.memory.as_slice().w()?[..self.len * size_of::<f32>()];
        let numbers = bytes.as_chunks::<4>().0.iter();
        let numbers = numbers.map(|bytes| f32::from_ne_bytes(*bytes)).collect();
        pool(&self.device, |pool| pool.pieces.push_back(piece));
        Ok(numbers)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(piece) = self.piece.take() {
            pool(&self.device, |pool| pool.pieces.push_back(piece));
        }
    }
}

/// Where the numbers of a contiguous tensor begin.
pub(super) fn address(tensor: &Tensor, stream: &CudaStream) -> Result<u64> {
    fn begin<T: DeviceRepr + candle_core::cuda_backend::CudaDType>(
        storage: &candle_core::CudaStorage,
        offset: usize,
        stream: &CudaStream,
    ) -> Result<u64> {
        let slice = storage.as_cuda_slice::<T>()?;
        Ok(slice.slice(offset..).device_ptr(stream).0)
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        bail!("the tensor is not on a card");
    };
    let offset = layout.start_offset();
    match tensor.dtype() {
        candle_core::DType::F32 => begin::<f32>(storage, offset, stream),
        candle_core::DType::U8 => begin::<u8>(storage, offset, stream),
        candle_core::DType::U32 => begin::<u32>(storage, offset, stream),
        other => bail!("{other:?} is not copied: f32, u8 and u32 are"),
    }
}
