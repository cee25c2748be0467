//! Reads and writes whole files: recognizes the format of a file by its first bytes and calls the reader of that
//! format.

use std::path::Path;

use files::ForeignContent;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, Contents, Format, Provenance};
use crate::error::{Error, Result, layout};
use crate::pickle::{Limits, Pickle, Value};
use crate::state_dict::{self, Listing};
use crate::tensor::Tensor;
use crate::torch::{Archive, LegacyFile, TensorReader, flatten, is_legacy, list};
use crate::{official, official_write, rosinality, safetensors, tensorflow};

/// The file formats that named tensors are stored in, independent of the networks that the tensors belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// A zip archive written by `torch.save` (torch 1.6 or later).
    TorchZip,
    /// A stream of pickles written by `torch.save` before torch 1.6.
    TorchLegacy,
    /// A TorchScript archive written by `torch.jit.save`.
    TorchScript,
    /// A Python pickle that was not written by `torch.save`.
    Pickle,
    /// A safetensors file.
    SafeTensors,
}

/// All tensors of a file, by name. Returned by [`read_tensors`].
#[derive(Debug, Clone, PartialEq)]
pub struct TensorFile {
    /// The file format.
    pub container: Container,
    /// Every tensor under its path in the saved object (`a.b.c`), in the order of the file.
    pub tensors: IndexMap<String, Tensor>,
}

/// Reads the networks of a file in any [`Format`]. The format is recognized by content, not by the file name.
///
/// ```no_run
/// let checkpoint = interop::read_checkpoint("ffhq-512.pkl".as_ref())?;
/// for (key, network) in checkpoint.networks() {
///     println!("{key}: {} parameters", network.num_params());
/// }
/// # Ok::<(), interop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::In`] with the path and the reason when it holds no known
/// network or is damaged.
pub fn read_checkpoint(path: &Path) -> Result<Checkpoint> {
    let data = read(path)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    read_checkpoint_bytes(&data, &name).map_err(|e| e.in_file(path))
}

/// Reads a checkpoint from the bytes of a file. `source` is the file name to record in [`Provenance::source`].
///
/// # Errors
/// The errors that [`read_checkpoint`] wraps in [`Error::In`].
pub fn read_checkpoint_bytes(data: &[u8], source: &str) -> Result<Checkpoint> {
    let (format, mut contents) = contents(data).map_err(|error| of_zeros(error, data))?;
    let unfilled = unfilled(&contents);
    contents.notes.extend(unfilled);
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

/// Reads all tensors of a state dict (`.pt`, `.pth`, TorchScript, pickle) or a safetensors file, without interpreting
/// their names.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::In`] with the path and the reason when its format is unknown or
/// it is damaged.
pub fn read_tensors(path: &Path) -> Result<TensorFile> {
    let data = read(path)?;
    read_tensors_bytes(&data).map_err(|e| e.in_file(path))
}

/// Reads all tensors from the bytes of a file, as [`read_tensors`] does from a file.
///
/// # Errors
/// The errors that [`read_tensors`] wraps in [`Error::In`].
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
        })
        .map_err(|error| of_zeros(error, data))?,
    };
    Ok(TensorFile { container, tensors })
}

/// Writes a checkpoint to a file in the given format, replacing an existing file. An error leaves that file unchanged.
///
/// # Errors
/// [`Error::In`] with the path around the errors of [`checkpoint_bytes`]; [`Error::Write`] when the file cannot be
/// written.
pub fn write_checkpoint(path: &Path, format: Format, checkpoint: &Checkpoint) -> Result<()> {
    let bytes = checkpoint_bytes(format, checkpoint).map_err(|e| e.in_file(path))?;
    files::write_bytes(path, &bytes).map_err(Error::Write)
}

/// Returns the content of the file that [`write_checkpoint`] writes.
///
/// # Errors
/// `Unsupported` when the format cannot express the networks, or is [`Format::TensorflowPkl`] or [`Format::StateDict`],
/// which are only read; `Tensor` when a tensor is not f32 (safetensors files may also hold f16); `Layout` when a tensor
/// is missing.
pub fn checkpoint_bytes(format: Format, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    match format {
        Format::SafeTensors => safetensors::write(checkpoint),
        Format::OfficialPkl => official_write::write(checkpoint),
        Format::Rosinality => rosinality::write(checkpoint),
        Format::TensorflowPkl | Format::StateDict => Err(Error::Unsupported(
            "the TensorFlow layout and bare state dicts are read but not written".into(),
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
            } else {
                state_dicts(root, reader, container)
            }
        }),
    }
}

/// Reads the networks of a pickle that is not a TensorFlow snapshot: a snapshot of NVIDIA's PyTorch code, or state
/// dicts.
fn state_dicts(
    root: Value<'_, '_>,
    reader: &TensorReader<'_>,
    container: Container,
) -> Result<(Format, Contents)> {
    let (names, values): (Vec<String>, Vec<_>) = list(root)?.into_iter().unzip();
    // In a snapshot, the networks are persistent objects, and `list` finds no tensors inside them.
    if container == Container::Pickle && !state_dict::has_network(&names) {
        return Ok((Format::OfficialPkl, official::read(root, reader)?));
    }
    let keys = root.entries().unwrap_or_default();
    let listing = Listing {
        load: &|at| reader.read(values[at], &names[at]),
        keys: keys
            .into_iter()
            .filter_map(|(key, _)| Some(key.text()?.to_owned()))
            .collect(),
        names: names.clone(),
    };
    let contents = state_dict::read(&listing)?;
    let format = match state_dict::is_official(&names) {
        true => Format::StateDict,
        false => Format::Rosinality,
    };
    Ok((format, contents))
}

/// Returns notes on suspicious weights: weights of only zeros, as in a file whose download was not finished, and NaN or
/// infinite values, as after a diverged training.
fn unfilled(contents: &Contents) -> Vec<String> {
    let networks = [
        ("G", &contents.g),
        ("D", &contents.d),
        ("G_ema", &contents.g_ema),
    ];
    let mut notes = Vec::new();
    for (key, network) in networks {
        let Some(network) = network else { continue };
        let is_unfilled = |name: &str, tensor: &Tensor| {
            name.ends_with(".weight") && tensor.len() >= 16 && tensor.data.iter().all(|b| *b == 0)
        };
        let mut zeros = network.params.iter().filter(|(n, t)| is_unfilled(n, t));
        if let Some((first, _)) = zeros.next() {
            notes.push(format!(
                "{} weights of {key} hold only zeros ({first} is the first): was the download of the file finished?",
                zeros.count() + 1
            ));
        }
        // NaN and infinity have all exponent bits of an f32 set.
        let is_broken = |tensor: &Tensor| {
            let values = tensor.data.as_chunks::<4>().0;
            values
                .iter()
                .any(|b| b[3] & 0x7f == 0x7f && b[2] & 0x80 != 0)
        };
        let mut broken = network.params.iter().filter(|(_, t)| is_broken(t));
        if let Some((first, _)) = broken.next() {
            notes.push(format!(
                "{} tensors of {key} hold NaN or infinite numbers ({first} is the first): its training has diverged",
                broken.count() + 1
            ));
        }
    }
    notes
}

/// One pickle of a file: the prefix for its tensor names, the saved object, and the reader of its tensors.
type Part<'p, 'a> = (&'static str, Value<'p, 'a>, TensorReader<'a>);

/// Parses the pickles of a file (two in a TorchScript archive, else one) and passes them to `with`.
///
/// # Errors
/// `Limit` when reading the values exceeded the budget of a pickle; otherwise the errors of parsing and of `with`.
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
            let result = with(&parts);
            // When the budget was exceeded, `with` did not see all values: report that instead of its error.
            main.check_budget()?;
            constants.map_or(Ok(()), |pickle| pickle.check_budget())?;
            result
        }
        Container::TorchLegacy => {
            let file = LegacyFile::parse(data, limits)?;
            let result = with(&[(
                "",
                file.pickle.root(),
                TensorReader::new(file.storages.clone(), n),
            )]);
            file.pickle.check_budget()?;
            result
        }
        Container::Pickle => {
            let pickle = Pickle::parse(data, limits)?;
            let result = with(&[("", pickle.root(), TensorReader::new(Default::default(), n))]);
            pickle.check_budget()?;
            result
        }
        Container::SafeTensors => Err(layout!("a safetensors file holds no pickle")),
    }
}

/// Replaces a `Pickle` or `Limit` error by `Truncated` when the file ends with at least 64 zero bytes, as after a
/// download that reserved the space and did not fill it. Other errors are returned unchanged.
fn of_zeros(error: Error, data: &[u8]) -> Error {
    const FEWEST: usize = 64;
    let length = data.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    match error {
        Error::Pickle { .. } | Error::Limit { .. } if data.len() - length >= FEWEST => {
            Error::Truncated {
                offset: length,
                what: "a pickle, behind which only zeros follow",
            }
        }
        other => other,
    }
}

/// Names the kind of a file that is often confused with a checkpoint; `None` for other files.
fn other_kind(data: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| data.starts_with(magic);
    let is_riff = |kind: &[u8]| starts(b"RIFF") && data.get(8..12) == Some(kind);
    if data.get(257..262) == Some(b"ustar") {
        Some("a tar archive (unpack it first)")
    } else if starts(b"\x89PNG\r\n")
        || starts(b"\xff\xd8\xff")
        || starts(b"GIF8")
        || is_riff(b"WEBP")
    {
        Some("an image")
    } else if data.get(4..8) == Some(b"ftyp") || is_riff(b"AVI ") {
        Some("a video")
    } else if starts(b"\x93NUMPY") {
        Some("numpy's .npy, an array")
    } else if matches!(data, [8, 1..=32, field, ..] if matches!(field, 0x12 | 0x3a)) {
        // Protobuf fields of an ONNX file: `ir_version`, then the name of the exporting program or the graph.
        Some(
            "an ONNX model, which does not tell how the network is made (give the file it was exported from)",
        )
    } else if starts(b"%PDF") {
        Some("a PDF document")
    } else {
        None
    }
}

/// Recognizes the format of a file by its content.
///
/// # Errors
/// `Checksum` for a safetensors file of this project that was changed, `Truncated` for one that is incomplete; the
/// errors of [`Archive::open`] for a damaged zip file; `Layout` for any other kind of file, naming the kind if it is
/// known.
fn container(data: &[u8]) -> Result<Container> {
    // Checked first, because the damage may be in the bytes by which the format is recognized.
    if files::check_safetensors(data).is_err() {
        return Err(match safetensors::check_length(data) {
            Err(cut @ Error::Truncated { .. }) => cut,
            _ => Error::Checksum,
        });
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
    if let Some(foreign) = ForeignContent::of(data) {
        return Err(layout!("{foreign}"));
    }
    const SHORTEST: usize = 16;
    let is_pickle = (2..=5).contains(&data.get(1).copied().unwrap_or(0)) && data[0] == 0x80
        || matches!(data[0], b'(' | b'c' | b'}' | b']');
    if is_pickle {
        return Ok(Container::Pickle);
    }
    if let Some(other) = other_kind(data) {
        return Err(layout!("this is {other}, not a checkpoint"));
    }
    if data.len() < SHORTEST {
        return Err(layout!(
            "the file has only {} bytes: it is cut short, fetch it again",
            data.len()
        ));
    }
    Err(layout!(
        "this is neither a pickle, nor a torch.save file, nor safetensors"
    ))
}

/// Size of the largest file that is read, in bytes (16 GiB). NVIDIA's largest snapshots have 0.4 GB, files with
/// optimizer states a few GB.
pub const MAX_BYTES: u64 = 16 << 30;

fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_input(path, MAX_BYTES).map_err(|error| Error::Io {
        path: path.to_owned(),
        error,
    })
}

/// Returns the SHA-256 of `data` in hexadecimal.
pub(crate) fn sha256(data: &[u8]) -> String {
    files::hex(&Sha256::digest(data))
}
