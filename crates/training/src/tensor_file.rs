//! Safetensors files with a checksum. Their last tensor is the CRC-32 of all bytes before it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use crc32fast::Hasher;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Name of the last tensor, which holds the CRC-32 of all bytes before it.
const CHECKSUM: &str = "crc32";

/// Writes `metadata`, and f32 tensors in the given order. The file is written under a temporary name and synced to the
/// disk, then renamed to `path`.
///
/// # Errors
/// `File` when it cannot be written.
pub(crate) fn write(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: &[(String, Tensor)],
) -> Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += tensor.elem_count() * size_of::<f32>();
        let entry = json!({"dtype": "F32", "shape": tensor.dims(), "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let entry = json!({"dtype": "U32", "shape": [], "data_offsets": [end, end + 4]});
    header.insert(CHECKSUM.to_owned(), entry);
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = files::AtomicFile::create(path).map_err(Error::file(path))?;
    let mut hasher = Hasher::new();
    let mut put = |bytes: &[u8], hasher: &mut Hasher| {
        hasher.update(bytes);
        file.write_all(bytes).map_err(Error::file(path))
    };
    put(&(header.len() as u64).to_le_bytes(), &mut hasher)?;
    put(&header, &mut hasher)?;
    for (_, tensor) in tensors {
        let values = tensor
            .flatten_all()?
            .to_device(&Device::Cpu)?
            .to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        put(&bytes, &mut hasher)?;
    }
    let checksum = hasher.clone().finalize().to_le_bytes();
    put(&checksum, &mut hasher)?;
    file.commit().map_err(Error::file(path))
}

/// The content of a file that [`write`] wrote.
pub(crate) struct TensorFile {
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
    /// Reads a file and checks its checksum.
    ///
    /// # Errors
    /// `File` when it cannot be read; `State` when it is cut short, damaged or not a training state.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let bytes = files::read_input(path, u64::MAX).map_err(Error::file(path))?;
        Self::parse(&bytes, device)
            .map_err(|reason| Error::state(format!("'{}' {reason}", path.display())))
    }

    fn parse(bytes: &[u8], device: &Device) -> std::result::Result<Self, String> {
        let not_safetensors = |_| "is cut short or not a safetensors file".to_owned();
        let file = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or("is empty")?;
        if file.tensor(CHECKSUM).is_err() {
            return Err(
                "is not a training state; give networks to start from with --init-from".into(),
            );
        }
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err("is damaged: its checksum does not fit".to_owned());
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            if name != CHECKSUM {
                if !files::is_countable(view.shape()) {
                    let shape = view.shape();
                    return Err(format!(
                        "has a tensor `{name}` of the shape {shape:?}, which no tensor has: it is damaged"
                    ));
                }
                let dtype = DType::try_from(view.dtype()).map_err(|e| e.to_string())?;
                let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device);
                tensors.insert(name, tensor.map_err(|e| e.to_string())?);
            }
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self {
            metadata: metadata.into_iter().collect(),
            tensors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_no_tensor_has_are_refused_by_name() {
        let huge = usize::MAX / 2;
        for (shape, is_refused) in [
            (vec![0, huge, huge], true),
            (vec![huge, 0, huge], true),
            (vec![0, 3, 4], false),
        ] {
            let header = serde_json::json!({
                "a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]},
                CHECKSUM: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
            })
            .to_string();
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            match TensorFile::parse(&bytes, &Device::Cpu) {
                Err(error) => assert!(is_refused && error.contains("`a` of the shape"), "{error}"),
                Ok(file) => assert!(!is_refused && file.tensors["a"].dims() == shape),
            }
        }
    }

    #[test]
    fn a_file_comes_back_and_every_flipped_or_missing_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        let metadata = BTreeMap::from([("note".to_owned(), "7".to_owned())]);
        let a = Tensor::new(&[[1f32, -2.5], [f32::MIN_POSITIVE, 4.0]], &Device::Cpu).unwrap();
        let b = Tensor::new(3f32, &Device::Cpu).unwrap();
        write(
            &path,
            &metadata,
            &[("a".to_owned(), a.clone()), ("b".to_owned(), b)],
        )
        .unwrap();
        let file = TensorFile::read(&path, &Device::Cpu).unwrap();
        assert_eq!(file.metadata, metadata);
        let values = |t: &Tensor| t.to_vec2::<f32>().unwrap();
        assert_eq!(values(&file.tensors["a"]), values(&a));
        assert_eq!(file.tensors["b"].to_scalar::<f32>().unwrap(), 3.0);

        let bytes = std::fs::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1;
            assert!(
                TensorFile::parse(&damaged, &Device::Cpu).is_err(),
                "byte {i}"
            );
            assert!(
                TensorFile::parse(&bytes[..i], &Device::Cpu).is_err(),
                "length {i}"
            );
        }
    }
}
