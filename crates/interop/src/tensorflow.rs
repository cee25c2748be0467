//! Reads `.pkl` files of NVIDIA's StyleGAN2 and StyleGAN2-ADA for TensorFlow, whose networks are
//! `dnnlib.tflib.network.Network` objects.
//!
//! Differences from the PyTorch code: dense weights are `[in, out]` and convolution weights `[height, width, in, out]`;
//! the weights of upsampling convolutions and of the generator's skip are flipped along both spatial axes; the biases
//! of the style layers are stored minus 1; `fmap_base` is half of `channel_base`.

use architecture::NetworkKind;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use crate::checkpoint::{Contents, Network};
use crate::error::{Error, Result, layout};
use crate::infer::{self, Stated};
use crate::pickle::{Constructor, Value};
use crate::tensor::Tensor;
use crate::torch::TensorReader;

type Tensors = IndexMap<String, Tensor>;

/// Whether the root of a pickle is a TensorFlow network or a sequence that begins with one.
pub(crate) fn is_tensorflow(root: Value<'_, '_>) -> bool {
    let is_network =
        |v: Value<'_, '_>| v.constructor() == Some(Constructor::TfNetwork) && v.object().is_some();
    is_network(root)
        || root
            .elements()
            .is_some_and(|list| list.first().is_some_and(|&v| is_network(v)))
}

/// Reads the networks `(G, D, Gs)` of a snapshot, or one network alone (read as `G_ema` or `D`).
pub(crate) fn read(root: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<Contents> {
    let networks = root.elements().unwrap_or_else(|| vec![root]);
    let mut out = Contents::default();
    match networks[..] {
        [g, d, g_ema] => {
            out.g = Some(generator(g, reader, &mut out.notes)?);
            out.d = Some(discriminator(d, reader, &mut out.notes)?);
            out.g_ema = Some(generator(g_ema, reader, &mut out.notes)?);
        }
        [one] => {
            let is_generator = state(one)?
                .get("components")
                .and_then(Value::entries)
                .is_some_and(|c| !c.is_empty());
            if is_generator {
                out.g_ema = Some(generator(one, reader, &mut out.notes)?);
            } else {
                out.d = Some(discriminator(one, reader, &mut out.notes)?);
            }
        }
        _ => {
            return Err(layout!(
                "a TensorFlow pickle of {} networks; (G, D, Gs) is known",
                networks.len()
            ));
        }
    }
    out.notes.dedup();
    Ok(out)
}

fn state<'p, 'a>(network: Value<'p, 'a>) -> Result<Value<'p, 'a>> {
    if network.constructor() != Some(Constructor::TfNetwork) {
        return Err(layout!(
            "expected a TensorFlow network, found {}",
            network.kind()
        ));
    }
    let state = network
        .state()
        .ok_or_else(|| layout!("a TensorFlow network without contents"))?;
    match state.need("version")?.int() {
        Some(version) if version >= 4 => Ok(state),
        version => Err(Error::Unsupported(format!(
            "a TensorFlow network of version {version:?}; 4 and newer are known"
        ))),
    }
}

/// Reads the variables of a network and of its components (sub-networks), named `component/name`.
fn variables(network: Value<'_, '_>, reader: &TensorReader<'_>) -> Result<Tensors> {
    const LONGEST_NAME: usize = 1000;
    let mut out = Tensors::new();
    let mut todo = vec![(String::new(), network, 0)];
    let mut seen = 0;
    while let Some((prefix, network, depth)) = todo.pop() {
        seen += 1;
        if depth > 4 || seen > 100 {
            return Err(Error::Limit {
                what: "number of network components",
                limit: 100,
            });
        }
        let state = state(network)?;
        for pair in state.need("variables")?.elements().unwrap_or_default() {
            let pair = pair.few().unwrap_or_default();
            let [name, value] = pair[..] else {
                return Err(layout!("a variable that is no (name, value)"));
            };
            let name = name
                .text()
                .ok_or_else(|| layout!("a variable without a name"))?;
            if prefix.len() + name.len() > LONGEST_NAME {
                return Err(Error::Limit {
                    what: "length of a variable's name",
                    limit: LONGEST_NAME as u64,
                });
            }
            let name = format!("{prefix}{name}");
            let tensor = reader.read(value, &name)?;
            out.insert(name, tensor);
        }
        for (name, component) in state
            .get("components")
            .and_then(Value::entries)
            .unwrap_or_default()
        {
            let name = name
                .text()
                .ok_or_else(|| layout!("a component without a name"))?;
            if todo.len() >= 100 || prefix.len() + name.len() > LONGEST_NAME {
                return Err(Error::Limit {
                    what: "number of network components",
                    limit: 100,
                });
            }
            todo.push((format!("{prefix}{name}/"), component, depth + 1));
        }
    }
    Ok(out)
}

/// Converts the settings of a TensorFlow network (`static_kwargs`) to the arguments of the PyTorch code. Each row of
/// `table` is a TensorFlow name and the path of the PyTorch argument.
fn settings(
    network: Value<'_, '_>,
    table: &[(&str, &str)],
    notes: &mut Vec<String>,
) -> Result<Json> {
    // Settings of running the network in TensorFlow, which do not change the architecture.
    const RUN_TIME: [&str; 20] = [
        "func_name",
        "is_validation",
        "is_training",
        "return_dlatents",
        "dtype",
        "structure",
        "fused_modconv",
        "randomize_noise",
        "noise_strength",
        "truncation_psi",
        "truncation_cutoff",
        "truncation_psi_val",
        "truncation_cutoff_val",
        "normalize_latents",
        "synthesis_func",
        "mapping_func",
        "force_clean_graph",
        "is_template_graph",
        "style_mixing_prob",
        "template_variables",
    ];
    let mut out = Map::new();
    for (key, value) in state(network)?
        .get("static_kwargs")
        .and_then(Value::entries)
        .unwrap_or_default()
    {
        let Some(key) = key.text() else { continue };
        let mut value = value.to_json()?;
        let Some((_, path)) = table.iter().find(|(tf, _)| *tf == key) else {
            if !RUN_TIME.contains(&key) {
                notes.push(format!(
                    "setting `{}` was left out",
                    key.chars().take(60).collect::<String>()
                ));
            }
            continue;
        };
        if key == "fmap_base" {
            value = json!(
                value
                    .as_f64()
                    .ok_or_else(|| layout!("fmap_base is no number"))?
                    * 2.0
            );
        }
        match path.split_once('.') {
            None => {
                out.insert((*path).to_owned(), value);
            }
            Some((outer, inner)) => {
                let group = out.entry(outer).or_insert_with(|| Json::Object(Map::new()));
                group[inner] = value;
            }
        }
    }
    Ok(Json::Object(out))
}

fn generator(
    network: Value<'_, '_>,
    reader: &TensorReader<'_>,
    notes: &mut Vec<String>,
) -> Result<Network> {
    let table = [
        ("latent_size", "z_dim"),
        ("label_size", "c_dim"),
        ("dlatent_size", "w_dim"),
        ("resolution", "img_resolution"),
        ("num_channels", "img_channels"),
        ("mapping_layers", "mapping_kwargs.num_layers"),
        ("label_fmaps", "mapping_kwargs.embed_features"),
        ("mapping_fmaps", "mapping_kwargs.layer_features"),
        ("mapping_nonlinearity", "mapping_kwargs.activation"),
        ("mapping_lrmul", "mapping_kwargs.lr_multiplier"),
        ("w_avg_beta", "mapping_kwargs.w_avg_beta"),
        ("dlatent_avg_beta", "mapping_kwargs.w_avg_beta"),
        ("fmap_base", "synthesis_kwargs.channel_base"),
        ("fmap_max", "synthesis_kwargs.channel_max"),
        ("num_fp16_res", "synthesis_kwargs.num_fp16_res"),
        ("conv_clamp", "synthesis_kwargs.conv_clamp"),
        ("architecture", "synthesis_kwargs.architecture"),
        ("resample_kernel", "synthesis_kwargs.resample_filter"),
        ("use_noise", "synthesis_kwargs.use_noise"),
        ("nonlinearity", "synthesis_kwargs.activation"),
    ];
    let mut stated = settings(network, &table, notes)?;
    // None disables the moving average of w, which equals a decay of 1.
    if let Some(beta) = stated
        .pointer_mut("/mapping_kwargs/w_avg_beta")
        .filter(|beta| beta.is_null())
    {
        *beta = json!(1.0);
    }
    let mut tensors = Tensors::new();
    let variables = variables(network, reader)?;
    let resolution = largest_block(&variables, "synthesis/");
    for (name, value) in &variables {
        for (name, value) in generator_tensor(name, value, resolution, &mut stated)? {
            tensors.insert(name, value);
        }
    }
    infer::network(NetworkKind::Generator, tensors, Stated::new(&stated))
}

/// Converts one TensorFlow variable of a generator to the name and value of a tensor of the PyTorch code; empty for
/// variables that are not weights.
fn generator_tensor(
    name: &str,
    value: &Tensor,
    resolution: usize,
    stated: &mut Json,
) -> Result<Vec<(String, Tensor)>> {
    let parts: Vec<&str> = name.split('/').collect();
    let named = |name: String, value: Result<Tensor>| value.map(|value| vec![(name, value)]);
    match parts[..] {
        [.., "lod"] => Ok(Vec::new()),
        ["dlatent_avg"] => named("mapping.w_avg".into(), Ok(value.clone())),
        ["mapping", layer, kind] => {
            let layer = match (layer, layer.strip_prefix("Dense")) {
                ("LabelEmbed", _) => "embed".to_owned(),
                (_, Some(index)) => format!("fc{index}"),
                _ => return Err(unknown(name)),
            };
            named(format!("mapping.{layer}.{kind}"), dense(kind, value))
        }
        ["synthesis", noise] if noise.starts_with("noise") => {
            // noise0 belongs to the only layer at 4 px; each larger resolution has two layers and so two noise maps.
            let index: u32 = noise["noise".len()..].parse().map_err(|_| unknown(name))?;
            let (log2, layer) = (2 + index.div_ceil(2), u32::from(index.is_multiple_of(2)));
            let side = 1usize
                .checked_shl(log2)
                .filter(|_| log2 < 15)
                .ok_or_else(|| unknown(name))?;
            named(
                format!("synthesis.b{side}.conv{layer}.noise_const"),
                value.clone().reshape(vec![side, side]),
            )
        }
        ["synthesis", "4x4", "Const", "const"] => {
            let shape = value.shape.get(1..).unwrap_or_default().to_vec();
            named("synthesis.b4.const".into(), value.clone().reshape(shape))
        }
        ["synthesis", torgb, kind] if torgb.starts_with("ToRGB_lod") => {
            // Generators without skip connections use the layer names of progressive growing, in which level of detail
            // (lod) 0 is the full resolution.
            let lod: u32 = torgb["ToRGB_lod".len()..]
                .parse()
                .map_err(|_| unknown(name))?;
            let side = resolution.checked_shr(lod).unwrap_or(0);
            if stated
                .pointer("/synthesis_kwargs/architecture")
                .is_none_or(Json::is_null)
            {
                stated["synthesis_kwargs"]["architecture"] = json!("orig");
            }
            modulated(format!("synthesis.b{side}.torgb"), kind, value, false, name)
        }
        ["synthesis", block, layer, kind] => {
            let side = side(block).ok_or_else(|| unknown(name))?;
            let (layer, flipped) = match layer {
                "Conv" | "Conv1" => ("conv1", false),
                "Conv0_up" => ("conv0", true),
                "ToRGB" => ("torgb", false),
                "Skip" => ("skip", true),
                _ => return Err(unknown(name)),
            };
            modulated(
                format!("synthesis.b{side}.{layer}"),
                kind,
                value,
                flipped,
                name,
            )
        }
        _ => Err(unknown(name)),
    }
}

fn modulated(
    layer: String,
    kind: &str,
    value: &Tensor,
    flipped: bool,
    name: &str,
) -> Result<Vec<(String, Tensor)>> {
    let (suffix, value) = match kind {
        "weight" => ("weight", convolution(value, flipped)?),
        "mod_weight" => ("affine.weight", dense("weight", value)?),
        "mod_bias" => {
            let plus_one: Vec<f32> = value.to_f32().iter().map(|v| v + 1.0).collect();
            (
                "affine.bias",
                Tensor::from_f32(value.shape.clone(), &plus_one)?,
            )
        }
        "bias" => ("bias", value.clone()),
        // A scalar, which some files store as an array of one element.
        "noise_strength" => ("noise_strength", value.clone().reshape(Vec::new())?),
        _ => return Err(unknown(name)),
    };
    Ok(vec![(format!("{layer}.{suffix}"), value)])
}

fn discriminator(
    network: Value<'_, '_>,
    reader: &TensorReader<'_>,
    notes: &mut Vec<String>,
) -> Result<Network> {
    let table = [
        ("label_size", "c_dim"),
        ("resolution", "img_resolution"),
        ("num_channels", "img_channels"),
        ("architecture", "architecture"),
        ("fmap_base", "channel_base"),
        ("fmap_max", "channel_max"),
        ("num_fp16_res", "num_fp16_res"),
        ("conv_clamp", "conv_clamp"),
        ("nonlinearity", "block_kwargs.activation"),
        ("resample_kernel", "block_kwargs.resample_filter"),
        ("mapping_layers", "mapping_kwargs.num_layers"),
        ("label_fmaps", "mapping_kwargs.embed_features"),
        ("mapping_fmaps", "cmap_dim"),
        ("freeze_layers", "block_kwargs.freeze_layers"),
        ("mapping_lrmul", "mapping_kwargs.lr_multiplier"),
        ("mbstd_group_size", "epilogue_kwargs.mbstd_group_size"),
        ("mbstd_num_features", "epilogue_kwargs.mbstd_num_channels"),
    ];
    let mut stated = settings(network, &table, notes)?;
    // In TensorFlow, one activation applies to all of D, and the default learning rate multiplier of its mapping
    // network is 0.1.
    if let Some(activation) = stated.pointer("/block_kwargs/activation").cloned() {
        stated["epilogue_kwargs"]["activation"] = activation.clone();
        stated["mapping_kwargs"]["activation"] = activation;
    }
    if stated.pointer("/mapping_kwargs/lr_multiplier").is_none() {
        stated["mapping_kwargs"]["lr_multiplier"] = json!(0.1);
    }
    let variables = variables(network, reader)?;
    let resolution = largest_block(&variables, "");
    let mut tensors = Tensors::new();
    for (name, value) in &variables {
        if let Some((name, value)) = discriminator_tensor(name, value, resolution)? {
            tensors.insert(name, value);
        }
    }
    let mut stated = Stated::new(&stated);
    stated.mbstd_group_size = None;
    infer::network(NetworkKind::Discriminator, tensors, stated)
}

fn discriminator_tensor(
    name: &str,
    value: &Tensor,
    resolution: usize,
) -> Result<Option<(String, Tensor)>> {
    let parts: Vec<&str> = name.split('/').collect();
    let convolution = |kind: &str| match kind {
        "weight" => convolution(value, false),
        "bias" => Ok(value.clone()),
        _ => Err(unknown(name)),
    };
    let (name, value) = match parts[..] {
        ["lod"] => return Ok(None),
        ["LabelEmbed", kind] => (format!("mapping.embed.{kind}"), dense(kind, value)?),
        ["Output", kind] => (format!("b4.out.{kind}"), dense(kind, value)?),
        [layer, kind] if layer.starts_with("Mapping") => (
            format!("mapping.fc{}.{kind}", &layer["Mapping".len()..]),
            dense(kind, value)?,
        ),
        [layer, kind] if layer.starts_with("FromRGB_lod") => {
            let lod: u32 = layer["FromRGB_lod".len()..]
                .parse()
                .map_err(|_| unknown(name))?;
            (
                format!(
                    "b{}.fromrgb.{kind}",
                    resolution.checked_shr(lod).unwrap_or(0)
                ),
                convolution(kind)?,
            )
        }
        ["4x4", "Dense0", kind] => (format!("b4.fc.{kind}"), dense(kind, value)?),
        ["4x4", "Conv", kind] => (format!("b4.conv.{kind}"), convolution(kind)?),
        [block, layer, kind] => {
            let side = side(block).ok_or_else(|| unknown(name))?;
            let layer = match layer {
                "FromRGB" => "fromrgb",
                "Conv0" => "conv0",
                "Conv1_down" => "conv1",
                "Skip" => "skip",
                _ => return Err(unknown(name)),
            };
            (format!("b{side}.{layer}.{kind}"), convolution(kind)?)
        }
        _ => return Err(unknown(name)),
    };
    Ok(Some((name, value)))
}

fn unknown(name: &str) -> Error {
    Error::Unsupported(format!(
        "TensorFlow variable `{}` is not part of StyleGAN2 (a file of the first StyleGAN or of ProGAN?)",
        name.chars().take(80).collect::<String>()
    ))
}

/// The side of a block from its name, for example 64 from `64x64`.
fn side(block: &str) -> Option<usize> {
    let (a, b) = block.split_once('x')?;
    let side: usize = a.parse().ok()?;
    (a == b && side.is_power_of_two() && (4..=1 << 14).contains(&side)).then_some(side)
}

fn largest_block(variables: &Tensors, prefix: &str) -> usize {
    variables
        .keys()
        .filter_map(|name| side(name.strip_prefix(prefix)?.split('/').next()?))
        .max()
        .unwrap_or(4)
}

fn dense(kind: &str, value: &Tensor) -> Result<Tensor> {
    match kind {
        "weight" => value.permute(&[1, 0]),
        "bias" => Ok(value.clone()),
        _ => Err(layout!("a dense layer with a `{kind}`")),
    }
}

fn convolution(value: &Tensor, flipped: bool) -> Result<Tensor> {
    if flipped {
        value.flip2(0, 1)?.permute(&[3, 2, 0, 1])
    } else {
        value.permute(&[3, 2, 0, 1])
    }
}
