//! Opening files: what they are, by their contents, and which reader they go to.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, Contents, Format, Provenance};
use crate::error::{Error, Result, layout};
use crate::pickle::{Limits, Pickle, Value};
use crate::tensor::Tensor;
use crate::torch::{Archive, LegacyFile, TensorReader, flatten, is_legacy};
use crate::{official, official_write, rosinality, safetensors, tensorflow};

/// Kinds of containers for named tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// `torch.save`, zip layout.
    TorchZip,
    /// `torch.save` before torch 1.6.
    TorchLegacy,
    /// `torch.jit.save`.
    TorchScript,
    /// A plain Python pickle.
    Pickle,
    /// safetensors.
    SafeTensors,
}

/// Named tensors of any file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorFile {
    /// Kind of file.
    pub container: Container,
    /// Every tensor under its path in the saved object, in the order of the file.
    pub tensors: IndexMap<String, Tensor>,
}

/// Reads a checkpoint of any known kind.
///
/// # Errors
/// [`Error::In`] with the file's name around what is wrong.
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let data = read(path)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    read_checkpoint_bytes(&data, &name).map_err(|e| e.in_file(path))
}

/// Reads a checkpoint from memory; `source` is the file name that its provenance shall tell.
///
/// # Errors
/// What is wrong with the contents.
pub fn read_checkpoint_bytes(data: &[u8], source: &str) -> Result<Checkpoint> {
    let (format, contents) = contents(data)?;
    let Contents {
        g,
        d,
        g_ema,
        training_set_kwargs,
        augment_pipe,
        notes,
        parent,
    } = contents;
    let provenance = Provenance {
        source: source.to_owned(),
        sha256: sha256(data),
        format,
        notes,
        parent: parent.map(Box::new),
    };
    Ok(Checkpoint {
        g,
        d,
        g_ema,
        training_set_kwargs,
        augment_pipe,
        provenance,
    })
}

/// Reads the tensors of a state dict (`.pt`, `.pth`, TorchScript, pickle) or a safetensors file.
///
/// # Errors
/// [`Error::In`] with the file's name around what is wrong.
pub fn read_tensors(path: &Path) -> Result<TensorFile> {
    let data = read(path)?;
    read_tensors_bytes(&data).map_err(|e| e.in_file(path))
}

/// Reads named tensors from memory, as [`read_tensors`].
///
/// # Errors
/// What is wrong with the contents.
pub fn read_tensors_bytes(data: &[u8]) -> Result<TensorFile> {
    let container = container(data)?;
    let tensors = match container {
        Container::SafeTensors => safetensors::tensors(data)?.0,
        _ => with_pickles(data, container, &mut |pickles| {
            let mut out = IndexMap::new();
            for (prefix, root, reader) in pickles {
                for (name, tensor) in flatten(*root, reader)? {
                    out.insert(
                        if prefix.is_empty() {
                            name
                        } else {
                            format!("{prefix}.{name}")
                        },
                        tensor,
                    );
                }
            }
            Ok(out)
        })?,
    };
    Ok(TensorFile { container, tensors })
}

/// Writes a checkpoint in a format of this program or of others; it is complete or not there at all.
///
/// # Errors
/// `Unsupported` when the format cannot express the networks, `Io`.
pub fn write_checkpoint(path: &Path, format: Format, checkpoint: &Checkpoint) -> Result<()> {
    let bytes = checkpoint_bytes(format, checkpoint).map_err(|e| e.in_file(path))?;
    files::write_bytes(path, &bytes).map_err(Error::Write)
}

/// The bytes of a checkpoint in a format.
///
/// # Errors
/// `Unsupported` when the format cannot express the networks.
pub fn checkpoint_bytes(format: Format, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    match format {
        Format::SafeTensors => safetensors::write(checkpoint),
        Format::OfficialPkl => official_write::write(checkpoint),
        Format::Rosinality => rosinality::write(checkpoint),
        Format::TensorflowPkl => Err(Error::Unsupported(
            "the TensorFlow layout is read but not written".into(),
        )),
    }
}

fn contents(data: &[u8]) -> Result<(Format, Contents)> {
    let container = container(data)?;
    match container {
        Container::SafeTensors => Ok((Format::SafeTensors, safetensors::read(data)?)),
        Container::TorchScript => Err(layout!(
            "this is a TorchScript archive: its tensors can be read, but it is no StyleGAN2 checkpoint"
        )),
        _ => with_pickles(data, container, &mut |pickles| {
            let Some((_, root, reader)) = pickles.first() else {
                return Err(layout!("the file is empty"));
            };
            let (root, reader) = (*root, reader);
            if tensorflow::is_tensorflow(root) {
                Ok((Format::TensorflowPkl, tensorflow::read(root, reader)?))
            } else if container == Container::Pickle {
                Ok((Format::OfficialPkl, official::read(root, reader)?))
            } else if rosinality::is_rosinality(root) {
                Ok((Format::Rosinality, rosinality::read(root, reader)?))
            } else {
                Err(layout!(
                    "a torch.save file without `g_ema`, `g` or `d`: no StyleGAN2 checkpoint that is known"
                ))
            }
        }),
    }
}

/// A prefix for names, the saved object, and the reader of its tensors.
type Part<'p, 'a> = (&'static str, Value<'p, 'a>, TensorReader<'a>);

/// Parses the pickles of a container and hands them on.
fn with_pickles<T>(
    data: &[u8],
    container: Container,
    with: &mut dyn FnMut(&[Part<'_, '_>]) -> Result<T>,
) -> Result<T> {
    let limits = Limits::default();
    let n = data.len();
    match container {
        Container::TorchZip | Container::TorchScript => {
            let archive = Archive::open(data)?;
            let bytes = archive
                .get("data.pkl")
                .ok_or_else(|| layout!("no data.pkl in the archive"))?;
            let main = Pickle::parse(bytes, limits)?;
            let constants = archive
                .get("constants.pkl")
                .map(|bytes| Pickle::parse(bytes, limits))
                .transpose()?;
            let mut parts = vec![(
                "",
                main.root(),
                TensorReader::new(archive.storages("data"), n),
            )];
            if let Some(constants) = &constants {
                parts.push((
                    "constants",
                    constants.root(),
                    TensorReader::new(archive.storages("constants"), n),
                ));
            }
            with(&parts)
        }
        Container::TorchLegacy => {
            let file = LegacyFile::parse(data, limits)?;
            with(&[(
                "",
                file.pickle.root(),
                TensorReader::new(file.storages.clone(), n),
            )])
        }
        Container::Pickle => {
            let pickle = Pickle::parse(data, limits)?;
            with(&[("", pickle.root(), TensorReader::new(Default::default(), n))])
        }
        Container::SafeTensors => Err(layout!("a safetensors file holds no pickle")),
    }
}

/// What a file is, by its first bytes.
fn container(data: &[u8]) -> Result<Container> {
    let text = String::from_utf8_lossy(&data[..data.len().min(200)])
        .trim_start()
        .to_lowercase();
    if data.is_empty() {
        return Err(layout!("the file is empty"));
    }
    if data.starts_with(b"PK\x03\x04") || data.starts_with(b"PK\x05\x06") {
        return Ok(if Archive::open(data)?.is_torchscript() {
            Container::TorchScript
        } else {
            Container::TorchZip
        });
    }
    if is_legacy(data) {
        return Ok(Container::TorchLegacy);
    }
    if safetensors::is_safetensors(data) {
        return Ok(Container::SafeTensors);
    }
    if text.starts_with("<!doctype") || text.starts_with("<html") {
        return Err(layout!(
            "this is a web page, not a checkpoint: the download needs a confirmation or a login"
        ));
    }
    if text.starts_with("version https://git-lfs") {
        return Err(layout!(
            "this is a pointer of git-lfs, not the file: run `git lfs pull` where it comes from"
        ));
    }
    if data.starts_with(b"\x89HDF\r\n") {
        return Err(layout!(
            "this is an HDF5 file (Keras?); only StyleGAN2 checkpoints are read"
        ));
    }
    if data.starts_with(b"\x1f\x8b") || data.starts_with(b"7z\xbc\xaf") || data.starts_with(b"Rar!")
    {
        return Err(layout!("this is a compressed archive: unpack it first"));
    }
    if (2..=5).contains(&data.get(1).copied().unwrap_or(0)) && data[0] == 0x80
        || matches!(data[0], b'(' | b'c' | b'}' | b']')
    {
        return Ok(Container::Pickle);
    }
    Err(layout!(
        "this is neither a pickle, nor a torch.save file, nor safetensors"
    ))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::Io {
        path: path.to_owned(),
        error,
    })
}

/// SHA-256 in hex.
pub(crate) fn sha256(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
