//! Writes files and storages that `torch.load` reads.

use std::io::{Cursor, Write};

use indexmap::IndexMap;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{Error, Result};
use crate::pickle::write::Writer;
use crate::tensor::{DType, Tensor};

/// A value of the dictionary that [`zip_file`] writes.
pub(crate) enum Saved<'t> {
    Tensor(&'t Tensor),
    StateDict(&'t IndexMap<String, Tensor>),
}

/// Returns the bytes of a zip file as `torch.save` writes it, with a dictionary of `entries`. `torch.load` reads it
/// with `weights_only=True`.
///
/// # Errors
/// `Tensor` when a tensor is not f32.
pub(crate) fn zip_file(entries: &[(&str, Saved<'_>)]) -> Result<Vec<u8>> {
    let mut storages: Vec<&Tensor> = Vec::new();
    let mut pickle = Writer::new(2);
    pickle.ops(b"}(");
    for (key, value) in entries {
        pickle.text(key);
        match value {
            Saved::Tensor(tensor) => add(&mut pickle, &mut storages, key, tensor)?,
            Saved::StateDict(tensors) => {
                pickle.ordered_dict();
                pickle.op(b'(');
                for (name, tensor) in *tensors {
                    pickle.text(name);
                    add(&mut pickle, &mut storages, name, tensor)?;
                }
                pickle.op(b'u');
            }
        }
    }
    pickle.op(b'u');

    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut member = |name: &str, bytes: &[u8]| -> Result<()> {
        // As torch does: no compression, and aligned to 64 bytes for memory mapping.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() >= u32::MAX as usize)
            .with_alignment(64);
        zip.start_file(format!("archive/{name}"), options)?;
        zip.write_all(bytes).map_err(zip::result::ZipError::Io)?;
        Ok(())
    };
    member("data.pkl", &pickle.finish())?;
    member("byteorder", b"little")?;
    for (key, tensor) in storages.iter().enumerate() {
        member(&format!("data/{key}"), &tensor.data)?;
    }
    member("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

fn add<'t>(
    pickle: &mut Writer,
    storages: &mut Vec<&'t Tensor>,
    name: &str,
    tensor: &'t Tensor,
) -> Result<()> {
    check_f32(name, tensor)?;
    let key = storages.len().to_string();
    pickle.tensor(&tensor.shape, |w| {
        w.float_storage_id(&key, tensor.len(), false)
    });
    storages.push(tensor);
    Ok(())
}

fn check_f32(name: &str, tensor: &Tensor) -> Result<()> {
    if tensor.dtype == DType::F32 {
        Ok(())
    } else {
        Err(Error::tensor(name, "only f32 tensors are written"))
    }
}

/// Returns the elements of a tensor as a legacy `torch.save` stream of one storage, which a plain pickle embeds for
/// each of its tensors.
///
/// # Errors
/// `Tensor` when the tensor is not f32.
pub(crate) fn legacy_storage(name: &str, tensor: &Tensor) -> Result<Vec<u8>> {
    check_f32(name, tensor)?;
    let mut out = Vec::with_capacity(tensor.data.len() + 300);
    out.extend_from_slice(&[0x80, 2]);
    out.extend_from_slice(super::legacy::MAGIC);
    let mut version = Writer::new(2);
    version.int(super::legacy::PROTOCOL_VERSION);
    out.extend(version.finish());
    let mut system = Writer::new(2);
    system.ops(b"}(");
    system.text("protocol_version");
    system.int(super::legacy::PROTOCOL_VERSION);
    system.text("little_endian");
    system.op(0x88);
    system.text("type_sizes");
    system.ops(b"}(");
    for (kind, size) in [("short", 2), ("int", 4), ("long", 4)] {
        system.text(kind);
        system.int(size);
    }
    system.ops(b"uu");
    out.extend(system.finish());
    let mut object = Writer::new(2);
    object.float_storage_id("0", tensor.len(), true);
    out.extend(object.finish());
    let mut keys = Writer::new(2);
    keys.op(b']');
    keys.text("0");
    keys.op(b'a');
    out.extend(keys.finish());
    out.extend_from_slice(&(tensor.len() as u64).to_le_bytes());
    out.extend_from_slice(&tensor.data);
    Ok(out)
}
