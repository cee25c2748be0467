//! The official module tree of a network: classes, attributes, tensor names and shapes, in the official order.
//!
//! Readers check files against it; the writer of official files walks it.

use crate::config::{
    Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig, NetworkConfig,
    filter_buffer, uses_fp16,
};

/// A plain Python value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Tuple(Vec<Attr>),
    List(Vec<Attr>),
    Dict(Vec<(String, Attr)>),
}

macro_rules! attr_from {
    ($($ty:ty => |$v:ident| $make:expr;)*) => {
        $(impl From<$ty> for Attr { fn from($v: $ty) -> Self { $make } })*
    };
}
attr_from! {
    bool => |v| Attr::Bool(v);
    usize => |v| Attr::Int(v as i64);
    f64 => |v| Attr::Float(v);
    &str => |v| Attr::Str(v.to_owned());
    Option<f64> => |v| v.map_or(Attr::None, clamp_number);
    Option<usize> => |v| v.map_or(Attr::None, Attr::from);
    Architecture => |v| v.name().into();
    Vec<usize> => |v| Attr::List(v.into_iter().map(Attr::from).collect());
}

/// A whole number as an int, as the official settings have it (`conv_clamp=256`, `lr_multiplier=1`).
pub(crate) fn clamp_number(v: f64) -> Attr {
    if v.fract() == 0.0 && v.abs() < 1e15 {
        Attr::Int(v as i64)
    } else {
        Attr::Float(v)
    }
}

/// One module.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub name: String,
    pub class: &'static str,
    pub init_args: Vec<Attr>,
    pub init_kwargs: Vec<(String, Attr)>,
    pub attrs: Vec<(String, Attr)>,
    pub params: Vec<(&'static str, Vec<usize>)>,
    pub buffers: Vec<(&'static str, Vec<usize>)>,
    pub children: Vec<Module>,
    /// Taps behind the `resample_filter` buffer.
    pub filter: Vec<f64>,
}

/// A tensor that a network has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub name: String,
    pub shape: Vec<usize>,
    pub is_buffer: bool,
    /// The value when it follows from the settings (resampling filters).
    pub filter: Option<Vec<f64>>,
}

type Pairs = Vec<(String, Attr)>;

macro_rules! pairs {
    ($($key:ident : $value:expr),* $(,)?) => { vec![$((stringify!($key).to_owned(), Attr::from($value))),*] };
}

impl Module {
    fn new(name: impl Into<String>, class: &'static str, attrs: Pairs) -> Self {
        Self {
            name: name.into(),
            class,
            init_args: Vec::new(),
            init_kwargs: Vec::new(),
            attrs,
            params: Vec::new(),
            buffers: Vec::new(),
            children: Vec::new(),
            filter: Vec::new(),
        }
    }

    fn init(mut self, args: &[usize], kwargs: Pairs) -> Self {
        self.init_args = args.iter().map(|&a| a.into()).collect();
        self.init_kwargs = kwargs;
        self
    }

    fn filter(mut self, taps: &[f64]) -> Self {
        self.buffers
            .insert(0, ("resample_filter", filter_buffer(taps).0));
        self.filter = taps.to_vec();
        self
    }

    /// Every tensor of this module and those below it: parameters first, then buffers, as the official listings do.
    pub fn slots(&self) -> Vec<Slot> {
        let mut params = Vec::new();
        let mut buffers = Vec::new();
        self.collect("", &mut params, &mut buffers);
        params.extend(buffers);
        params
    }

    fn collect(&self, prefix: &str, params: &mut Vec<Slot>, buffers: &mut Vec<Slot>) {
        for (list, is_buffer, out) in [
            (&self.params, false, &mut *params),
            (&self.buffers, true, &mut *buffers),
        ] {
            for (name, shape) in list {
                let filter = (*name == "resample_filter").then(|| self.filter.clone());
                out.push(Slot {
                    name: format!("{prefix}{name}"),
                    shape: shape.clone(),
                    is_buffer,
                    filter,
                });
            }
        }
        for child in &self.children {
            child.collect(&format!("{prefix}{}.", child.name), params, buffers);
        }
    }
}

/// The module tree of a network.
pub(crate) fn tree(config: &NetworkConfig) -> Module {
    match config {
        NetworkConfig::Generator(g) => generator(g),
        NetworkConfig::Discriminator(d) => discriminator(d),
    }
}

fn taps(filter: &[f64]) -> Attr {
    Attr::List(filter.iter().map(|&t| clamp_number(t)).collect())
}

/// Gain that follows an activation.
fn act_gain(activation: &str) -> Attr {
    match activation {
        "relu" | "lrelu" | "swish" => Attr::Float(std::f64::consts::SQRT_2),
        _ => Attr::Int(1),
    }
}

/// Filter of layers that are not told another.
const DEFAULT_TAPS: [f64; 4] = [1.0, 3.0, 3.0, 1.0];

fn generator(g: &GeneratorConfig) -> Module {
    let mapping_kwargs = mapping_kwargs(&g.mapping, g.w_dim, g.c_dim);
    let mut synthesis_kwargs = pairs! {
        channel_base: g.channel_base, channel_max: g.channel_max, num_fp16_res: g.num_fp16_res, conv_clamp: g.conv_clamp,
    };
    let defaults = (Architecture::Skip, true, "lrelu", &DEFAULT_TAPS[..]);
    if g.architecture != defaults.0 {
        synthesis_kwargs.extend(pairs! { architecture: g.architecture });
    }
    if g.use_noise != defaults.1 {
        synthesis_kwargs.extend(pairs! { use_noise: g.use_noise });
    }
    if g.activation != defaults.2 {
        synthesis_kwargs.extend(pairs! { activation: g.activation.as_str() });
    }
    if g.resample_filter != defaults.3 {
        synthesis_kwargs.push(("resample_filter".into(), taps(&g.resample_filter)));
    }
    let base = pairs! {
        z_dim: g.z_dim, c_dim: g.c_dim, w_dim: g.w_dim, img_resolution: g.img_resolution, img_channels: g.img_channels,
    };
    let mut attrs = base.clone();
    attrs.extend(pairs! { num_ws: g.num_ws() });
    let mut kwargs = base;
    kwargs.push(("mapping_kwargs".into(), Attr::Dict(mapping_kwargs)));
    kwargs.push((
        "synthesis_kwargs".into(),
        Attr::Dict(synthesis_kwargs.clone()),
    ));
    let mut root = Module::new("", "Generator", attrs).init(&[], kwargs);
    root.children = vec![
        synthesis(g, synthesis_kwargs),
        mapping(&g.mapping, g.z_dim, g.c_dim, g.w_dim, Some(g.num_ws())),
    ];
    root
}

fn synthesis(g: &GeneratorConfig, synthesis_kwargs: Pairs) -> Module {
    let mut kwargs =
        pairs! { w_dim: g.w_dim, img_resolution: g.img_resolution, img_channels: g.img_channels };
    kwargs.extend(synthesis_kwargs);
    let mut net = Module::new(
        "synthesis",
        "SynthesisNetwork",
        pairs! {
            w_dim: g.w_dim,
            img_resolution: g.img_resolution,
            img_resolution_log2: g.img_resolution.ilog2() as usize,
            img_channels: g.img_channels,
            block_resolutions: g.block_resolutions(),
            num_ws: g.num_ws(),
        },
    )
    .init(&[], kwargs);
    net.children = g
        .block_resolutions()
        .into_iter()
        .map(|r| synthesis_block(g, r))
        .collect();
    net
}

fn synthesis_block(g: &GeneratorConfig, r: usize) -> Module {
    let out = g.channels(r);
    let input = if r == 4 { 0 } else { g.channels(r / 2) };
    let is_last = r == g.img_resolution;
    let fp16 = uses_fp16(g.img_resolution, g.num_fp16_res, r);
    let has_torgb = is_last || g.architecture == Architecture::Skip;
    let mut block = Module::new(
        format!("b{r}"),
        "SynthesisBlock",
        pairs! {
            in_channels: input, w_dim: g.w_dim, resolution: r, img_channels: g.img_channels, is_last: is_last,
            architecture: g.architecture, use_fp16: fp16, channels_last: false,
            num_conv: if r == 4 { 1usize } else { 2 }, num_torgb: usize::from(has_torgb),
        },
    )
    .init(
        &[input, out],
        pairs! {
            w_dim: g.w_dim, resolution: r, img_channels: g.img_channels, is_last: is_last, use_fp16: fp16,
            conv_clamp: g.conv_clamp,
        },
    )
    .filter(&g.resample_filter);
    if r == 4 {
        block.params.push(("const", vec![out, 4, 4]));
    } else {
        block
            .children
            .push(synthesis_layer(g, "conv0", input, out, r, 2));
    }
    block
        .children
        .push(synthesis_layer(g, "conv1", out, out, r, 1));
    if has_torgb {
        let mut torgb = Module::new(
            "torgb",
            "ToRGBLayer",
            pairs! { conv_clamp: g.conv_clamp, weight_gain: 1.0 / (out as f64).sqrt() },
        )
        .init(
            &[out, g.img_channels],
            pairs! { w_dim: g.w_dim, conv_clamp: g.conv_clamp, channels_last: false },
        );
        torgb.params = vec![
            ("weight", vec![g.img_channels, out, 1, 1]),
            ("bias", vec![g.img_channels]),
        ];
        torgb.children.push(affine(g.w_dim, out));
        block.children.push(torgb);
    }
    if r != 4 && g.architecture == Architecture::Resnet {
        let skip = ConvSpec {
            name: "skip",
            input,
            out,
            kernel: 1,
            bias: false,
            activation: "linear",
            up: 2,
            down: 1,
            clamp: None,
        };
        block.children.push(conv2d(&skip, &g.resample_filter));
    }
    block
}

fn synthesis_layer(
    g: &GeneratorConfig,
    name: &str,
    input: usize,
    out: usize,
    r: usize,
    up: usize,
) -> Module {
    let mut kwargs = pairs! { w_dim: g.w_dim, resolution: r };
    if up > 1 {
        kwargs.extend(pairs! { up: up });
        kwargs.push(("resample_filter".into(), taps(&g.resample_filter)));
    }
    kwargs.extend(pairs! { conv_clamp: g.conv_clamp, channels_last: false });
    let mut attrs = pairs! {
        resolution: r, up: up, use_noise: g.use_noise, activation: g.activation.as_str(), conv_clamp: g.conv_clamp,
        padding: 1usize,
    };
    attrs.push(("act_gain".into(), act_gain(&g.activation)));
    let filter = if up > 1 {
        &g.resample_filter[..]
    } else {
        &DEFAULT_TAPS
    };
    let mut layer = Module::new(name, "SynthesisLayer", attrs)
        .init(&[input, out], kwargs)
        .filter(filter);
    layer.params.push(("weight", vec![out, input, 3, 3]));
    if g.use_noise {
        layer.params.push(("noise_strength", vec![]));
        layer.buffers.push(("noise_const", vec![r, r]));
    }
    layer.params.push(("bias", vec![out]));
    layer.children.push(affine(g.w_dim, input));
    layer
}

fn affine(w_dim: usize, out: usize) -> Module {
    dense(
        "affine",
        w_dim,
        out,
        "linear",
        1.0,
        pairs! { bias_init: 1usize },
    )
}

fn dense(
    name: &str,
    input: usize,
    out: usize,
    activation: &str,
    lr_multiplier: f64,
    kwargs: Pairs,
) -> Module {
    let mut attrs =
        pairs! { activation: activation, weight_gain: lr_multiplier / (input as f64).sqrt() };
    attrs.push(("bias_gain".into(), clamp_number(lr_multiplier)));
    let mut layer = Module::new(name, "FullyConnectedLayer", attrs).init(&[input, out], kwargs);
    layer.params = vec![("weight", vec![out, input]), ("bias", vec![out])];
    layer
}

fn mapping_kwargs(m: &MappingConfig, w_dim: usize, c_dim: usize) -> Pairs {
    let mut kwargs = pairs! { num_layers: m.num_layers };
    if c_dim > 0 && m.embed_features != w_dim {
        kwargs.extend(pairs! { embed_features: m.embed_features });
    }
    if m.layer_features != w_dim {
        kwargs.extend(pairs! { layer_features: m.layer_features });
    }
    if m.activation != "lrelu" {
        kwargs.extend(pairs! { activation: m.activation.as_str() });
    }
    if m.lr_multiplier != 0.01 {
        kwargs.push(("lr_multiplier".into(), clamp_number(m.lr_multiplier)));
    }
    if let Some(beta) = m.w_avg_beta.filter(|&beta| beta != 0.995) {
        kwargs.extend(pairs! { w_avg_beta: beta });
    }
    kwargs
}

fn mapping(
    m: &MappingConfig,
    z_dim: usize,
    c_dim: usize,
    w_dim: usize,
    num_ws: Option<usize>,
) -> Module {
    let mut kwargs = pairs! { z_dim: z_dim, c_dim: c_dim, w_dim: w_dim, num_ws: num_ws };
    if num_ws.is_none() {
        kwargs.push(("w_avg_beta".into(), Attr::None));
    }
    kwargs.extend(mapping_kwargs(m, w_dim, c_dim));
    let mut attrs = pairs! { z_dim: z_dim, c_dim: c_dim, w_dim: w_dim, num_ws: num_ws, num_layers: m.num_layers };
    attrs.push((
        "w_avg_beta".into(),
        m.w_avg_beta.map_or(Attr::None, Attr::Float),
    ));
    let mut net = Module::new("mapping", "MappingNetwork", attrs).init(&[], kwargs);
    let embedded = if c_dim > 0 { m.embed_features } else { 0 };
    if c_dim > 0 {
        net.children.push(dense(
            "embed",
            c_dim,
            m.embed_features,
            "linear",
            1.0,
            Vec::new(),
        ));
    }
    let mut input = z_dim + embedded;
    for i in 0..m.num_layers {
        let out = if i + 1 == m.num_layers {
            w_dim
        } else {
            m.layer_features
        };
        let mut kwargs = pairs! { activation: m.activation.as_str() };
        kwargs.push(("lr_multiplier".into(), clamp_number(m.lr_multiplier)));
        net.children.push(dense(
            &format!("fc{i}"),
            input,
            out,
            &m.activation,
            m.lr_multiplier,
            kwargs,
        ));
        input = out;
    }
    if num_ws.is_some() && m.w_avg_beta.is_some() {
        net.buffers.push(("w_avg", vec![w_dim]));
    }
    net
}

struct ConvSpec<'s> {
    name: &'s str,
    input: usize,
    out: usize,
    kernel: usize,
    bias: bool,
    activation: &'s str,
    up: usize,
    down: usize,
    clamp: Option<f64>,
}

fn conv2d(s: &ConvSpec<'_>, filter: &[f64]) -> Module {
    let mut kwargs = pairs! { kernel_size: s.kernel };
    if s.bias {
        kwargs.extend(pairs! { activation: s.activation, conv_clamp: s.clamp });
    } else {
        kwargs.extend(pairs! { bias: false });
    }
    for (name, factor) in [("up", s.up), ("down", s.down)] {
        if factor > 1 {
            kwargs.push((name.into(), factor.into()));
            kwargs.push(("resample_filter".into(), taps(filter)));
        }
    }
    let fan_in = (s.input * s.kernel * s.kernel) as f64;
    let mut attrs = pairs! {
        activation: s.activation, up: s.up, down: s.down, conv_clamp: s.clamp, padding: s.kernel / 2,
        weight_gain: 1.0 / fan_in.sqrt(),
    };
    attrs.push(("act_gain".into(), act_gain(s.activation)));
    if !s.bias {
        attrs.push(("bias".into(), Attr::None));
    }
    let filter = if s.up > 1 || s.down > 1 {
        filter
    } else {
        &DEFAULT_TAPS
    };
    let mut layer = Module::new(s.name, "Conv2dLayer", attrs)
        .init(&[s.input, s.out], kwargs)
        .filter(filter);
    layer
        .params
        .push(("weight", vec![s.out, s.input, s.kernel, s.kernel]));
    if s.bias {
        layer.params.push(("bias", vec![s.out]));
    }
    layer
}

fn discriminator(d: &DiscriminatorConfig) -> Module {
    let mut block_kwargs = Vec::new();
    if d.activation != "lrelu" {
        block_kwargs.extend(pairs! { activation: d.activation.as_str() });
    }
    if d.resample_filter != DEFAULT_TAPS {
        block_kwargs.push(("resample_filter".to_owned(), taps(&d.resample_filter)));
    }
    let mut epilogue_kwargs = pairs! { mbstd_group_size: d.mbstd_group_size };
    if d.mbstd_num_channels != 1 {
        epilogue_kwargs.extend(pairs! { mbstd_num_channels: d.mbstd_num_channels });
    }
    if d.epilogue_activation != "lrelu" {
        epilogue_kwargs.extend(pairs! { activation: d.epilogue_activation.as_str() });
    }
    let mapping_kwargs = if d.c_dim > 0 {
        mapping_kwargs(&d.mapping, d.cmap_dim, d.c_dim)
    } else {
        Vec::new()
    };
    let mut kwargs = pairs! {
        c_dim: d.c_dim, img_resolution: d.img_resolution, img_channels: d.img_channels, architecture: d.architecture,
        channel_base: d.channel_base, channel_max: d.channel_max, num_fp16_res: d.num_fp16_res, conv_clamp: d.conv_clamp,
    };
    if d.c_dim > 0 {
        kwargs.extend(pairs! { cmap_dim: d.cmap_dim });
    }
    kwargs.push(("block_kwargs".into(), Attr::Dict(block_kwargs)));
    kwargs.push(("mapping_kwargs".into(), Attr::Dict(mapping_kwargs)));
    kwargs.push(("epilogue_kwargs".into(), Attr::Dict(epilogue_kwargs)));
    let mut root = Module::new(
        "",
        "Discriminator",
        pairs! {
            c_dim: d.c_dim, img_resolution: d.img_resolution, img_resolution_log2: d.img_resolution.ilog2() as usize,
            img_channels: d.img_channels, block_resolutions: d.block_resolutions(),
        },
    )
    .init(&[], kwargs);
    let mut first_layer = 0;
    for r in d.block_resolutions() {
        let block = discriminator_block(d, r, first_layer);
        first_layer += block.children.len();
        root.children.push(block);
    }
    if d.c_dim > 0 {
        root.children
            .push(mapping(&d.mapping, 0, d.c_dim, d.cmap_dim, None));
    }
    root.children.push(epilogue(d));
    root
}

fn from_rgb<'s>(
    d: &'s DiscriminatorConfig,
    out: usize,
    activation: &'s str,
    clamp: Option<f64>,
) -> ConvSpec<'s> {
    ConvSpec {
        name: "fromrgb",
        input: d.img_channels,
        out,
        kernel: 1,
        bias: true,
        activation,
        up: 1,
        down: 1,
        clamp,
    }
}

fn discriminator_block(d: &DiscriminatorConfig, r: usize, first_layer_idx: usize) -> Module {
    let tmp = d.channels(r);
    let out = d.channels(r / 2);
    let input = if r == d.img_resolution { 0 } else { tmp };
    let fp16 = uses_fp16(d.img_resolution, d.num_fp16_res, r);
    let conv = |name, out, down| ConvSpec {
        name,
        input: tmp,
        out,
        kernel: 3,
        bias: true,
        activation: &d.activation,
        up: 1,
        down,
        clamp: d.conv_clamp,
    };
    let mut children = Vec::new();
    if input == 0 || d.architecture == Architecture::Skip {
        children.push(conv2d(
            &from_rgb(d, tmp, &d.activation, d.conv_clamp),
            &d.resample_filter,
        ));
    }
    children.push(conv2d(&conv("conv0", tmp, 1), &d.resample_filter));
    children.push(conv2d(&conv("conv1", out, 2), &d.resample_filter));
    if d.architecture == Architecture::Resnet {
        let skip = ConvSpec {
            kernel: 1,
            bias: false,
            activation: "linear",
            clamp: None,
            ..conv("skip", out, 2)
        };
        children.push(conv2d(&skip, &d.resample_filter));
    }
    let mut block = Module::new(
        format!("b{r}"),
        "DiscriminatorBlock",
        pairs! {
            in_channels: input, resolution: r, img_channels: d.img_channels, first_layer_idx: first_layer_idx,
            architecture: d.architecture, use_fp16: fp16, channels_last: false, num_layers: children.len(),
        },
    )
    .init(
        &[input, tmp, out],
        pairs! {
            resolution: r, first_layer_idx: first_layer_idx, use_fp16: fp16, img_channels: d.img_channels,
            architecture: d.architecture, conv_clamp: d.conv_clamp,
        },
    )
    .filter(&d.resample_filter);
    block.children = children;
    block
}

fn epilogue(d: &DiscriminatorConfig) -> Module {
    let channels = d.channels(4);
    let activation = d.epilogue_activation.as_str();
    let mut attrs = pairs! {
        in_channels: channels, cmap_dim: d.cmap_dim, resolution: 4usize, img_channels: d.img_channels,
        architecture: d.architecture,
    };
    if d.mbstd_num_channels == 0 {
        attrs.push(("mbstd".into(), Attr::None));
    }
    let mut block = Module::new("b4", "DiscriminatorEpilogue", attrs).init(
        &[channels],
        pairs! {
            cmap_dim: d.cmap_dim, resolution: 4usize, mbstd_group_size: d.mbstd_group_size,
            mbstd_num_channels: d.mbstd_num_channels, img_channels: d.img_channels, architecture: d.architecture,
            conv_clamp: d.conv_clamp,
        },
    );
    if d.architecture == Architecture::Skip {
        block.children.push(conv2d(
            &from_rgb(d, channels, activation, None),
            &DEFAULT_TAPS,
        ));
    }
    if d.mbstd_num_channels > 0 {
        let kwargs = pairs! { group_size: d.mbstd_group_size, num_channels: d.mbstd_num_channels };
        block
            .children
            .push(Module::new("mbstd", "MinibatchStdLayer", kwargs.clone()).init(&[], kwargs));
    }
    let conv = ConvSpec {
        name: "conv",
        input: channels + d.mbstd_num_channels,
        out: channels,
        kernel: 3,
        bias: true,
        activation,
        up: 1,
        down: 1,
        clamp: d.conv_clamp,
    };
    block.children.push(conv2d(&conv, &DEFAULT_TAPS));
    block.children.push(dense(
        "fc",
        channels * 16,
        channels,
        activation,
        1.0,
        pairs! { activation: activation },
    ));
    block.children.push(dense(
        "out",
        channels,
        if d.cmap_dim == 0 { 1 } else { d.cmap_dim },
        "linear",
        1.0,
        Vec::new(),
    ));
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(config: &NetworkConfig) -> [usize; 4] {
        let slots = tree(config).slots();
        let of = |buffers: bool| {
            let these = slots.iter().filter(|slot| slot.is_buffer == buffers);
            let values = these
                .clone()
                .map(|slot| slot.shape.iter().product::<usize>())
                .sum();
            [these.count(), values]
        };
        [of(false), of(true)].concat().try_into().unwrap()
    }

    fn networks(resolution: usize, channel_base: usize, num_layers: usize) -> [NetworkConfig; 2] {
        let mapping = MappingConfig {
            num_layers,
            embed_features: 0,
            layer_features: 512,
            activation: "lrelu".into(),
            lr_multiplier: 0.01,
            w_avg_beta: Some(0.995),
        };
        let g = GeneratorConfig {
            z_dim: 512,
            c_dim: 0,
            w_dim: 512,
            img_resolution: resolution,
            img_channels: 3,
            mapping: mapping.clone(),
            channel_base,
            channel_max: 512,
            num_fp16_res: 4,
            conv_clamp: Some(256.0),
            architecture: Architecture::Skip,
            use_noise: true,
            activation: "lrelu".into(),
            resample_filter: DEFAULT_TAPS.to_vec(),
        };
        let d = DiscriminatorConfig {
            c_dim: 0,
            img_resolution: resolution,
            img_channels: 3,
            architecture: Architecture::Resnet,
            channel_base,
            channel_max: 512,
            num_fp16_res: 4,
            conv_clamp: Some(256.0),
            cmap_dim: 0,
            mapping,
            activation: "lrelu".into(),
            resample_filter: DEFAULT_TAPS.to_vec(),
            epilogue_activation: "lrelu".into(),
            mbstd_group_size: Some(8),
            mbstd_num_channels: 1,
            freeze_layers: 0,
        };
        [NetworkConfig::Generator(g), NetworkConfig::Discriminator(d)]
    }

    /// Tensors and values of parameters and of buffers, as the reference implementation counts them.
    #[test]
    fn sizes_of_the_real_networks() {
        for (resolution, channel_base, num_layers, g, d) in [
            (
                512,
                32768,
                8,
                [124, 30_276_583, 39, 699_904],
                [43, 28_982_849, 30, 480],
            ),
            (
                512,
                32768,
                2,
                [112, 28_700_647, 39, 699_904],
                [43, 28_982_849, 30, 480],
            ),
            (
                256,
                32768,
                8,
                [110, 30_034_338, 34, 175_568],
                [38, 28_864_129, 26, 416],
            ),
            (
                256,
                16384,
                2,
                [98, 23_191_522, 34, 175_568],
                [38, 24_001_089, 26, 416],
            ),
        ] {
            let networks = networks(resolution, channel_base, num_layers);
            assert_eq!(
                networks.map(|config| counts(&config)),
                [g, d],
                "{resolution} {channel_base} {num_layers}"
            );
        }
    }

    #[test]
    fn module_attributes_follow_the_blocks() {
        let [g, d] = networks(512, 32768, 8);
        let g = tree(&g);
        let of = |module: &Module, name: &str| {
            module
                .attrs
                .iter()
                .find(|(key, _)| key == name)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(of(&g, "num_ws"), Attr::Int(16));
        let blocks = &g.children[0].children;
        let fp16: Vec<Attr> = blocks.iter().map(|block| of(block, "use_fp16")).collect();
        assert_eq!(
            fp16,
            [false, false, false, false, true, true, true, true].map(Attr::Bool)
        );
        let d = tree(&d);
        // 4 layers in the first block, 3 in each other: what --freezed counts.
        let first: Vec<Attr> = d.children[..7]
            .iter()
            .map(|block| of(block, "first_layer_idx"))
            .collect();
        assert_eq!(first, [0, 4, 7, 10, 13, 16, 19].map(Attr::Int));
    }
}
