//! In-place updates of weights: one launch for all tensors of a network.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{DevicePtr, PushKernelArg};
use candle_core::{Device, Result, Storage, Tensor, bail};

use super::launch::{blocks, function, view};
use super::table::{ARRAYS, Table};
use super::transfer;

/// Tensors of one shape that a kernel processes together, for example a weight, its gradient and its moments.
pub(crate) struct Row([Option<Tensor>; ARRAYS]);

impl Row {
    /// Makes a row. A tensor that is not contiguous is replaced by a copy, so a kernel must not write to it.
    pub(crate) fn of(tensors: [Option<&Tensor>; ARRAYS]) -> Result<Row> {
        let mut row = [const { None }; ARRAYS];
        for (entry, tensor) in row.iter_mut().zip(tensors) {
            *entry = tensor.map(Tensor::contiguous).transpose()?;
        }
        Ok(Row(row))
    }

    fn device(&self) -> Option<&Device> {
        self.tensors().flatten().next().map(Tensor::device)
    }

    fn tensors(&self) -> impl Iterator<Item = Option<&Tensor>> {
        self.0.iter().map(Option::as_ref)
    }
}

/// Runs an f32 kernel over all elements of many rows of tensors, in one launch.
///
/// # Errors
/// When a tensor is not f32 or not on the device of the first one; also errors of the CUDA driver.
pub(crate) fn update_rows(
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
                bail!("{name}: a tensor is not on the GPU");
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
    // Each word as two u32, since candle has no u64.
    let halves = words
        .iter()
        .flat_map(|&word| [word as u32, (word >> 32) as u32]);
    let halves: Vec<u32> = halves.collect();
    let uploaded = transfer::upload(&halves, halves.len().into(), device)?;
    let table = transfer::address(&uploaded, &stream)?;
    let null = 0u64;
    let mut arguments = stream.launch_builder(&function);
    arguments.arg(&table).arg(&null).arg(&null);
    arguments.arg(&null).arg(&params);
    // SAFETY: the table has `params.i[0]` rows, and each row's arrays have its length. `rows` keeps the tensors until
    // the kernel is enqueued. The memory of the tensors and of the table was allocated in the only stream
    // (`device::open` creates it), so it is freed there after the kernel, and all other accesses to it are ordered in
    // that stream as well. The host has no reference to that memory.
    unsafe { arguments.launch(blocks(&params)) }.w()?;
    Ok(())
}
