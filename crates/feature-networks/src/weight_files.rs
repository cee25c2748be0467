//! Weight files of the feature networks: reads the published formats, and writes safetensors files to the cache.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use files::TensorEntry;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::{inception, vgg};

/// Returns the subfolder of the user's cache folder `cache` for the weights of feature networks and the statistics of
/// real images.
pub fn cache_folder(cache: &Path) -> PathBuf {
    cache.join("metrics")
}

/// The tensors of a file by name.
pub(crate) type NamedTensors = HashMap<String, interop::Tensor>;

/// Size of the largest file that is read, in bytes (4 GiB). The largest published file, VGG16 with its classifier, has
/// 0.6 GB.
const MAX_BYTES: u64 = 4 << 30;

/// Reads the tensors of a state dict, a TorchScript archive or a safetensors file.
///
/// # Errors
/// `Checkpoint` when the file cannot be read; `Weights` when the checksum of a file in the cache does not match.
pub(crate) fn read(path: &Path) -> Result<NamedTensors> {
    let bytes = files::read_input(path, MAX_BYTES).map_err(|error| interop::Error::Io {
        path: path.to_owned(),
        error,
    })?;
    parse(path, &bytes)
}

/// Reads the tensors from the bytes of a file, as [`read`] does. `path` is the path of the file for error messages.
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

/// Writes f32 tensors to a safetensors file. `facts` are the keys and values of its metadata.
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

/// The first 8 hexadecimal digits of the SHA-256 of the names, shapes and values of f32 tensors. It does not depend on
/// the format of the file that they were read from.
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

/// The first four bytes of a checksum as 8 hexadecimal digits.
pub(crate) fn short(digest: &[u8]) -> String {
    files::hex(&digest[..digest.len().min(4)])
}

/// The value of a metadata key of a safetensors file; `None` if there is none or the file cannot be parsed.
pub(crate) fn fact(bytes: &[u8], key: &str) -> Option<String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    metadata.metadata().as_ref()?.get(key).cloned()
}

/// A network whose weights [`convert_weights`] wrote to the cache.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConvertedWeights {
    /// The name of the network: `inception-2015-12-05` or `vgg16`.
    pub network: &'static str,
    /// The path of the file in the cache.
    pub path: PathBuf,
    /// One sentence for each part of the weights that the file still lacks: what needs it, and where it can be
    /// obtained.
    pub missing: Vec<String>,
}

/// Converts published weight files: reads the files `from`, recognizes the network of each by its tensor names, and
/// writes one safetensors file per network to the folder `cache`.
///
/// The weights of VGG16 may be spread over several files, such as torchvision's VGG16 and the linear weights of LPIPS.
/// Weights of VGG16 that are in the cache and not in the given files are kept.
///
/// # Errors
/// `Checkpoint` when a file cannot be read; `Weights` when a file contains neither network, or when tensors are missing
/// or have the wrong shape; `Cache` when the cache cannot be written.
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
