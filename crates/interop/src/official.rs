//! Reads `.pkl` snapshots of NVIDIA's StyleGAN2-ADA for PyTorch. The networks are persistent objects
//! (`torch_utils.persistence`) whose state is that of a `torch.nn.Module`.

use architecture::NetworkKind;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use crate::checkpoint::{AugmentPipe, Contents, Network};
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::pickle::{Constructor, Value};
use crate::tensor::Tensor;
use crate::torch::TensorReader;

/// The only known version of `torch_utils.persistence`.
const PERSISTENCE_VERSION: i64 = 6;

/// Reads a snapshot: a dictionary with the networks under `G`, `D` and `G_ema`, or one network alone (read as `G_ema`
/// or `D`).
///
/// # Errors
/// `Layout` when there is no network; the errors of building a network from its tensors.
pub(crate) fn read(root: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<Contents> {
    let mut out = Contents::default();
    let Some(entries) = root.entries() else {
        // The file has one network instead of a dictionary.
        let (kind, network) = network(root, reader, "the network")?;
        *out.slot(if kind == NetworkKind::Generator {
            "G_ema"
        } else {
            "D"
        })
        .expect("known key") = Some(network);
        return Ok(out);
    };
    for (key, value) in entries {
        let key = key.text().unwrap_or_default();
        match key {
            "G" | "D" | "G_ema" if !value.is_none() => {
                let (kind, network) = network(value, reader, key)?;
                let wanted = if key == "D" {
                    NetworkKind::Discriminator
                } else {
                    NetworkKind::Generator
                };
                if kind != wanted {
                    return Err(layout!("`{key}` is a {kind:?}"));
                }
                *out.slot(key).expect("known key") = Some(network);
            }
            "training_set_kwargs" if !value.is_none() => {
                out.training_set_kwargs = Some(value.to_json()?)
            }
            "augment_pipe" if !value.is_none() => out.augment_pipe = augment_pipe(value, reader)?,
            "G" | "D" | "G_ema" | "training_set_kwargs" | "augment_pipe" => {}
            other => out.notes.push(format!(
                "`{}` was left out",
                other.chars().take(60).collect::<String>()
            )),
        }
    }
    if out.g.is_none() && out.d.is_none() && out.g_ema.is_none() {
        return Err(layout!(
            "the pickle holds none of G, D and G_ema, so it is no snapshot of a network"
        ));
    }
    Ok(out)
}

/// The class name and the state of a persistent object; `what` names it in messages.
fn persistent<'p, 'a>(value: Value<'p, 'a>, what: &str) -> Result<(&'p str, Value<'p, 'a>)> {
    if value.constructor() != Some(Constructor::PersistentObject) || value.object().is_none() {
        return Err(layout!(
            "{what} is {}, not a network of the official code",
            value.kind()
        ));
    }
    let meta = value.args().and_then(|args| args.first().copied());
    let meta = meta.ok_or_else(|| layout!("{what} has no contents"))?;
    let version = meta.need("version")?.int();
    if version != Some(PERSISTENCE_VERSION) {
        return Err(Error::Unsupported(format!(
            "{what} has persistence version {version:?}; {PERSISTENCE_VERSION} is known"
        )));
    }
    let class = meta
        .need("class_name")?
        .text()
        .ok_or_else(|| layout!("{what} has no class name"))?;
    let state = meta.need("state")?;
    // A torch module has about thirty attributes. Searching a huge dictionary that a hostile file shares between many
    // modules would take too long.
    const ATTRIBUTES: usize = 1000;
    if state.count() > ATTRIBUTES || meta.count() > ATTRIBUTES {
        return Err(Error::Limit {
            what: "number of a module's attributes",
            limit: ATTRIBUTES as u64,
        });
    }
    Ok((class, state))
}

fn network(
    value: Value<'_, '_>,
    reader: &TensorReader<'_>,
    what: &str,
) -> Result<(NetworkKind, Network)> {
    let (class, state) = persistent(value, what)?;
    let kind = match class {
        "Generator" => NetworkKind::Generator,
        "Discriminator" => NetworkKind::Discriminator,
        other => {
            return Err(Error::Unsupported(format!(
                "{what} is of class `{}`; Generator and Discriminator of StyleGAN2-ADA are known",
                other.chars().take(60).collect::<String>()
            )));
        }
    };
    let stated = Json::Object(stated(state, kind)?);
    let tensors = tensors(value, reader)?;
    Ok((kind, infer::network(kind, tensors, Stated::new(&stated))?))
}

/// Returns the settings stored with a network, by argument name: its attributes, overridden by its constructor
/// arguments.
fn stated(state: Value<'_, '_>, kind: NetworkKind) -> Result<Map<String, Json>> {
    let positional: &[&str] = match kind {
        NetworkKind::Generator => &["z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"],
        NetworkKind::Discriminator => &["c_dim", "img_resolution", "img_channels"],
    };
    let mut out = Map::new();
    for name in positional {
        if let Some(value) = state.get(name) {
            out.insert((*name).to_owned(), value.to_json()?);
        }
    }
    if let Some(args) = state.get("_init_args").and_then(Value::elements) {
        for (name, value) in positional.iter().zip(args) {
            out.insert((*name).to_owned(), value.to_json()?);
        }
    }
    if let Some(Json::Object(kwargs)) = state.get("_init_kwargs").map(Value::to_json).transpose()? {
        out.extend(kwargs);
    }
    Ok(out)
}

/// Reads the parameters and buffers of a module and its submodules, under their paths (`synthesis.b4.const`).
fn tensors(root: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<IndexMap<String, Tensor>> {
    const DEPTH: usize = 16;
    const MODULES: usize = 2000;
    const LONGEST_NAME: usize = 1000;
    let mut out = IndexMap::new();
    let mut todo = vec![(String::new(), root, 0)];
    let mut seen = 0;
    while let Some((prefix, module, depth)) = todo.pop() {
        seen += 1;
        if depth > DEPTH || seen + todo.len() > MODULES {
            return Err(Error::Limit {
                what: "number of nested modules",
                limit: MODULES as u64,
            });
        }
        let (_, state) = persistent(
            module,
            if prefix.is_empty() {
                "the network"
            } else {
                &prefix
            },
        )?;
        // NVIDIA's code keeps the weights of frozen layers in `_buffers`. `infer` sorts parameters and buffers by name.
        for group in ["_parameters", "_buffers"] {
            for (key, value) in state.need(group)?.entries().unwrap_or_default() {
                let key = key
                    .text()
                    .ok_or_else(|| layout!("a tensor of `{prefix}` without a name"))?;
                if value.is_none() {
                    continue;
                }
                if prefix.len() + key.len() > LONGEST_NAME {
                    return Err(Error::Limit {
                        what: "length of a tensor's name",
                        limit: LONGEST_NAME as u64,
                    });
                }
                let name = format!("{prefix}{key}");
                let tensor = reader.read(value, &name)?;
                if out.insert(name, tensor).is_some() {
                    return Err(layout!("tensor `{prefix}{key}` is there twice"));
                }
            }
        }
        let children = state.need("_modules")?.entries().unwrap_or_default();
        if children.len() > MODULES {
            return Err(Error::Limit {
                what: "number of nested modules",
                limit: MODULES as u64,
            });
        }
        for (key, child) in children.into_iter().rev() {
            let key = key
                .text()
                .ok_or_else(|| layout!("a module of `{prefix}` without a name"))?;
            if !child.is_none() {
                if prefix.len() + key.len() > LONGEST_NAME {
                    return Err(Error::Limit {
                        what: "length of a module name",
                        limit: LONGEST_NAME as u64,
                    });
                }
                todo.push((format!("{prefix}{key}."), child, depth + 1));
            }
        }
    }
    Ok(out)
}

fn augment_pipe(value: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<Option<AugmentPipe>> {
    let (_, state) = persistent(value, "augment_pipe")?;
    let mut buffers = IndexMap::new();
    for (key, value) in state.need("_buffers")?.entries().unwrap_or_default() {
        let key = key
            .text()
            .ok_or_else(|| layout!("a tensor of augment_pipe without a name"))?;
        if !value.is_none() {
            buffers.insert(key.to_owned(), reader.read(value, key)?.into_f32());
        }
    }
    let p = buffers
        .get("p")
        .and_then(|p: &Tensor| p.to_f64().first().copied())
        .unwrap_or(0.0);
    let kwargs = match state.get("_init_kwargs") {
        Some(kwargs) => kwargs.to_json()?,
        None => Json::Object(Map::new()),
    };
    // The settings are the attributes without a leading underscore; the others belong to torch.
    let mut settings = Map::new();
    for (key, value) in state.entries().unwrap_or_default() {
        match key.text() {
            Some(key) if !key.starts_with('_') && key != "training" => {
                settings.insert(key.to_owned(), value.to_json()?);
            }
            _ => {}
        }
    }
    Ok(Some(AugmentPipe {
        kwargs,
        settings: Json::Object(settings),
        p,
        buffers,
    }))
}
