//! The safetensors files of this project. Tensors have the names of NVIDIA's PyTorch code with the prefix `G.`, `D.` or
//! `G_ema.`; the configurations and other settings are JSON in the metadata.

use architecture::{NetworkConfig, NetworkKind};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Cursor;

use ::safetensors::SafeTensors;
use files::TensorEntry;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::checkpoint::{AugmentPipe, Checkpoint, Contents};
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::missing;
use crate::state_dict::{self, Listing};
use crate::tensor::{DType, Tensor};

/// Metadata keys of the file. The values are JSON.
const CONFIG: &str = "kaogan.config";
const PROVENANCE: &str = "kaogan.provenance";
const TRAINING_SET: &str = "kaogan.training_set_kwargs";
const AUGMENT_PIPE: &str = "kaogan.augment_pipe";
const ASSUMED: &str = "kaogan.assumed";

/// Prefix (before a dot) of the tensors of the augmentation pipe.
const AUGMENT_PIPE_KEY: &str = "augment_pipe";

/// Whether `data` begins like a safetensors file.
pub(crate) fn is_safetensors(data: &[u8]) -> bool {
    let Some((head, rest)) = data.split_first_chunk::<8>() else {
        return false;
    };
    // The format allows headers of up to 100 MB. A file that ends inside its header counts too; `check_length` reports
    // it.
    (2..=100_000_000).contains(&u64::from_le_bytes(*head)) && rest.first() == Some(&b'{')
}

/// The byte offsets of a tensor in the header; `None` in the entry `__metadata__`.
#[derive(Deserialize)]
struct Entry {
    data_offsets: Option<[u64; 2]>,
}

/// Checks that the file is exactly as long as the offsets in its header say.
///
/// # Errors
/// `Truncated` when it is shorter, `Layout` when it is longer or the header cannot be parsed.
pub(crate) fn check_length(data: &[u8]) -> Result<()> {
    let cut = |what| Error::Truncated {
        offset: data.len(),
        what,
    };
    let Some((head, rest)) = data.split_first_chunk::<8>() else {
        return Err(cut("the length of a header"));
    };
    let header = usize::try_from(u64::from_le_bytes(*head))
        .ok()
        .and_then(|n| rest.split_at_checked(n));
    let Some((header, tensors)) = header else {
        return Err(cut("the header of a safetensors file"));
    };
    if header.contains(&0) {
        return Err(cut("the header of a safetensors file, which holds zeros"));
    }
    let header: HashMap<String, Entry> = serde_json::from_slice(header).map_err(|error| {
        layout!("the header of the safetensors file is damaged ({error}): fetch the file again")
    })?;
    let ends = header
        .values()
        .filter_map(|entry| Some(entry.data_offsets?[1]));
    let end = ends.max().unwrap_or(0);
    match (tensors.len() as u64).cmp(&end) {
        Ordering::Less => Err(cut("the tensors of a safetensors file")),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(layout!(
            "the file has {} bytes more than its header tells: it is damaged, fetch it again",
            tensors.len() as u64 - end
        )),
    }
}

/// Reads all tensors of a file, in the order of their offsets, and its metadata.
pub(crate) fn tensors(data: &[u8]) -> Result<(IndexMap<String, Tensor>, HashMap<String, String>)> {
    use ::safetensors::Dtype as S;
    check_length(data)?;
    let (_, header) = SafeTensors::read_metadata(data)?;
    let file = SafeTensors::deserialize(data)?;
    let mut out = IndexMap::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name)?;
        let dtype = match view.dtype() {
            S::F64 => DType::F64,
            S::F32 => DType::F32,
            S::F16 => DType::F16,
            S::BF16 => DType::BF16,
            S::I64 => DType::I64,
            S::I32 => DType::I32,
            S::I16 => DType::I16,
            S::I8 => DType::I8,
            S::U8 => DType::U8,
            S::BOOL => DType::Bool,
            other => {
                return Err(Error::tensor(
                    &name,
                    format!("element kind {other:?} has no place here"),
                ));
            }
        };
        let tensor = Tensor::new(dtype, view.shape().to_vec(), view.data().to_vec())?;
        out.insert(name, tensor);
    }
    Ok((out, header.metadata().clone().unwrap_or_default()))
}

/// Reads the networks of a safetensors file. If the metadata has no configuration for a network, it is inferred from
/// the names and shapes of the tensors.
pub(crate) fn read(data: &[u8]) -> Result<Contents> {
    let (all, metadata) = tensors(data)?;
    // Parsed JSON takes up to 40 times the memory of its text.
    const MOST_SETTINGS: usize = 16 << 20;
    let parse = |key: &str| -> Result<Option<Json>> {
        match metadata.get(key) {
            Some(text) if text.len() > MOST_SETTINGS => Err(Error::Limit {
                what: "length of the settings in the metadata",
                limit: MOST_SETTINGS as u64,
            }),
            Some(text) => Ok(Some(serde_json::from_str(text)?)),
            None => Ok(None),
        }
    };
    let mut configs: HashMap<String, NetworkConfig> = match parse(CONFIG)? {
        Some(json) => serde_json::from_value(json)?,
        None => HashMap::new(),
    };
    let mut assumed: HashMap<String, Vec<String>> = match parse(ASSUMED)? {
        Some(json) => serde_json::from_value(json)?,
        None => HashMap::new(),
    };
    let mut groups: IndexMap<&str, IndexMap<String, Tensor>> = IndexMap::new();
    let mut out = Contents::default();
    let all: IndexMap<String, Tensor> = all
        .into_iter()
        .map(|(name, tensor)| (without_wrappers(&name), tensor))
        .collect();
    let is_of_others = || {
        let names: Vec<String> = all.keys().cloned().collect();
        !metadata.contains_key(CONFIG) && state_dict::has_network(&names)
    };
    if !all
        .keys()
        .any(|name| ["G.", "D.", "G_ema."].iter().any(|p| name.starts_with(p)))
        || is_of_others()
    {
        return of_others(all);
    }
    for (name, tensor) in all {
        let (key, rest) = match name.split_once('.') {
            Some(("G", rest)) => ("G", rest),
            Some(("D", rest)) => ("D", rest),
            Some(("G_ema", rest)) => ("G_ema", rest),
            Some((AUGMENT_PIPE_KEY, rest)) => (AUGMENT_PIPE_KEY, rest),
            _ => {
                out.notes.push(format!(
                    "tensor `{}` was left out",
                    name.chars().take(60).collect::<String>()
                ));
                continue;
            }
        };
        groups
            .entry(key)
            .or_default()
            .insert(rest.to_owned(), tensor);
    }
    let buffers = groups.shift_remove(AUGMENT_PIPE_KEY).unwrap_or_default();
    for (key, tensors) in groups {
        let kind = if key == "D" {
            NetworkKind::Discriminator
        } else {
            NetworkKind::Generator
        };
        let network = match configs.remove(key) {
            Some(config) if config.kind() == kind => {
                let checked = config.definition().check_counts();
                checked.map_err(|error| layout!("the metadata describes no network: {error}"))?;
                infer::assemble(config, tensors, assumed.remove(key).unwrap_or_default())?
            }
            Some(_) => {
                return Err(layout!(
                    "the metadata says that `{key}` is of the other kind"
                ));
            }
            None if kind == NetworkKind::Generator => {
                missing::generator(tensors, key, &mut out.notes, Stated::nothing())?
            }
            None => infer::network(kind, tensors, Stated::nothing())?,
        };
        *out.slot(key).expect("known key") = Some(network);
    }
    out.training_set_kwargs = parse(TRAINING_SET)?;
    out.augment_pipe = match parse(AUGMENT_PIPE)? {
        Some(json) => Some(AugmentPipe {
            buffers,
            ..serde_json::from_value(json)?
        }),
        None => None,
    };
    out.parent = parse(PROVENANCE)?.map(serde_json::from_value).transpose()?;
    Ok(out)
}

/// A tensor name without the words that `DataParallel` (`module`) and `torch.compile` (`_orig_mod`) insert.
fn without_wrappers(name: &str) -> String {
    let words = name.split('.');
    let words = words.filter(|word| !matches!(*word, "module" | "_orig_mod"));
    words.collect::<Vec<_>>().join(".")
}

/// Reads the state dicts of another program from a safetensors file.
fn of_others(all: IndexMap<String, Tensor>) -> Result<Contents> {
    let mut keys: Vec<String> = Vec::new();
    for name in all.keys() {
        let key = name.split('.').next().unwrap_or_default();
        if keys.iter().all(|known| known != key) {
            keys.push(key.to_owned());
        }
    }
    state_dict::read(&Listing {
        names: all.keys().cloned().collect(),
        load: &|at| Ok(all[at].clone()),
        keys,
    })
}

/// Returns the bytes of a safetensors file with everything in a checkpoint. Equal checkpoints give equal bytes.
///
/// # Errors
/// `Tensor` when a tensor is neither f32 nor f16, `Json` when settings cannot be expressed as JSON.
pub(crate) fn write(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut texts: Vec<(&str, String)> = Vec::new();
    let mut text = |key, value: Json| texts.push((key, value.to_string()));
    let collect = |of: &dyn Fn(&crate::Network) -> Result<Json>| -> Result<Json> {
        let pairs = checkpoint
            .networks()
            .map(|(key, network)| Ok((key.to_owned(), of(network)?)));
        Ok(Json::Object(pairs.collect::<Result<_>>()?))
    };
    fn to_json<T: Serialize>(value: &T) -> Result<Json> {
        Ok(serde_json::to_value(value)?)
    }
    text(CONFIG, collect(&|network| to_json(&network.config))?);
    text(ASSUMED, collect(&|network| to_json(&network.assumed))?);
    text(PROVENANCE, to_json(&checkpoint.provenance)?);
    if let Some(kwargs) = &checkpoint.training_set_kwargs {
        text(TRAINING_SET, kwargs.clone());
    }
    if let Some(pipe) = &checkpoint.augment_pipe {
        text(AUGMENT_PIPE, to_json(pipe)?);
    }
    // Some loaders require this entry.
    texts.push(("format", "pt".to_owned()));

    let pipe = checkpoint
        .augment_pipe
        .iter()
        .flat_map(|pipe| &pipe.buffers);
    let tensors: Vec<(String, &Tensor)> = checkpoint
        .networks()
        .flat_map(|(key, network)| {
            network
                .tensors()
                .map(move |(name, t)| (format!("{key}.{name}"), t))
        })
        .chain(pipe.map(|(name, t)| (format!("{AUGMENT_PIPE_KEY}.{name}"), t)))
        .collect();
    let type_name = |dtype| match dtype {
        DType::F32 => Some("F32"),
        DType::F16 => Some("F16"),
        _ => None,
    };
    if let Some((name, _)) = tensors.iter().find(|(_, t)| type_name(t.dtype).is_none()) {
        return Err(Error::tensor(name, "only f32 and f16 tensors are written"));
    }
    let metadata: Vec<(&str, &str)> = texts.iter().map(|(key, text)| (*key, &text[..])).collect();
    let entries: Vec<TensorEntry<'_>> = tensors
        .iter()
        .map(|(name, tensor)| TensorEntry {
            name,
            dtype: type_name(tensor.dtype).unwrap_or("F32"),
            shape: &tensor.shape,
            n_bytes: tensor.data.len(),
        })
        .collect();
    let mut out = Cursor::new(Vec::new());
    files::write_safetensors(&mut out, &metadata, &entries, |out| {
        tensors.iter().try_for_each(|(_, t)| out.write_all(&t.data))
    })
    .map_err(Error::Write)?;
    Ok(out.into_inner())
}
