//! Files of weights: read in their published formats, cached as safetensors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use files::TensorEntry;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::{inception, vgg};

/// The subfolder of the cache with weights and statistics of real images.
pub fn cache_folder(cache: &Path) -> PathBuf {
    cache.join("metrics")
}

/// Tensors of a file by name.
pub(crate) type NamedTensors = HashMap<String, interop::Tensor>;

/// The largest file, VGG16 with its classifier, has 0.6 GB.
const MAX_BYTES: u64 = 4 << 30;

/// Reads the tensors of a state dict, a TorchScript archive or safetensors.
///
/// # Errors
/// When the file cannot be read; `Weights` when it is one of ours and damaged.
pub(crate) fn read(path: &Path) -> Result<NamedTensors> {
    let bytes = files::read_input(path, MAX_BYTES).map_err(|error| interop::Error::Io {
        path: path.to_owned(),
        error,
    })?;
    parse(path, &bytes)
}

/// [`read`] from memory; `path` is for errors.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<NamedTensors> {
    match interop::read_tensors_bytes(bytes) {
        Ok(file) => Ok(file.tensors.into_iter().collect()),
        Err(interop::Error::Checksum) => Err(Error::Weights {
            path: path.to_owned(),
            reason: format!(
                "{}; make it anew with `eval weights --from FILE` or `--download`",
                files::ChecksumMismatch
            ),
        }),
        Err(error) => Err(interop::Error::In {
            path: path.to_owned(),
            error: Box::new(error),
        }
        .into()),
    }
}

/// Writes f32 tensors as safetensors, with metadata.
///
/// # Errors
/// `Cache` when the file cannot be written.
pub(crate) fn write(
    path: &Path,
    tensors: &[(String, Tensor)],
    facts: &[(&str, &str)],
) -> Result<()> {
    let entries: Vec<TensorEntry<'_>> = tensors
        .iter()
        .map(|(name, tensor)| TensorEntry {
            name,
            dtype: "F32",
            shape: tensor.dims(),
            n_bytes: tensor.elem_count() * size_of::<f32>(),
        })
        .collect();
    files::write_atomic(path, |file| {
        files::write_safetensors(file, facts, &entries, |out| {
            for (_, tensor) in tensors {
                let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                out.write_all(&bytes)?;
            }
            Ok(())
        })
    })
}

/// The beginning of the SHA-256 of f32 tensors with their names and shapes, independent of the file format.
///
/// # Errors
/// When the tensor library fails.
pub(crate) fn checksum(tensors: &HashMap<String, Tensor>) -> Result<String> {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        let tensor = &tensors[name];
        hash.update(format!("{name} {:?}\n", tensor.dims()));
        let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        hash.update(bytes);
    }
    Ok(short(&hash.finalize()))
}

/// The first four bytes of a checksum in hexadecimal.
pub(crate) fn short(digest: &[u8]) -> String {
    files::hex(&digest[..digest.len().min(4)])
}

/// A metadata entry of one of our files.
pub(crate) fn fact(bytes: &[u8], key: &str) -> Option<String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    metadata.metadata().as_ref()?.get(key).cloned()
}

/// A network whose weights were written to the cache.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConvertedWeights {
    /// `inception-2015-12-05` or `vgg16`.
    pub network: &'static str,
    /// The file in the cache.
    pub path: PathBuf,
    /// The weights that some metrics still lack, and their source.
    pub missing: Vec<String>,
}

/// Reads published files of weights, recognizes the network by its tensor names, and writes our files into `cache`.
///
/// Weights may be spread over several files, as torchvision's VGG16 and the linear weights of LPIPS are. Weights of
/// VGG16 that are in the cache already and not in the files are kept.
///
/// # Errors
/// `Weights` when a file contains neither network, or tensors are missing or have other shapes.
pub fn convert_weights(from: &[PathBuf], cache: &Path) -> Result<Vec<ConvertedWeights>> {
    let mut converted = Vec::new();
    let mut parts: Vec<(PathBuf, NamedTensors)> = Vec::new();
    for path in from {
        let file = read(path)?;
        if inception::is_inception(&file) {
            let target = cache.join(inception::FILE_NAME);
            inception::write(&inception::pick(path, &file)?, &target)?;
            converted.push(ConvertedWeights {
                network: "inception-2015-12-05",
                path: target,
                missing: Vec::new(),
            });
        } else if vgg::is_part(&file) {
            parts.push((path.clone(), file));
        } else {
            return Err(Error::Weights {
                path: path.clone(),
                reason: format!(
                    "neither the weights of the Inception network of FID (pt_inception-2015-12-05-6726825d.pth, {}) nor \
                     of VGG16 with LPIPS (vgg16.pt, {})",
                    inception::STATE_DICT_URL,
                    vgg::TORCHSCRIPT_URL
                ),
            });
        }
    }
    if !parts.is_empty() {
        let target = cache.join(vgg::FILE_NAME);
        converted.push(vgg::convert(&parts, &target, &vgg::VggShape::default())?);
    }
    Ok(converted)
}
