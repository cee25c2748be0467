//! Builds the module tree of the StyleGAN2 generator from its configuration.

use super::config::{Architecture, GeneratorConfig};
use super::layers::{ConvSpec, act_gain, affine, conv2d, mapping, mapping_kwargs, taps};
use crate::activation::Activation;
use crate::filter::DEFAULT_FILTER;
use crate::modules::{Attr, Init, Module, ModuleTensor, Pairs, pairs};

/// The module tree of a generator.
pub(super) fn generator(g: &GeneratorConfig) -> Module {
    let mapping_kwargs = mapping_kwargs(&g.mapping, g.w_dim, g.c_dim);
    let mut synthesis_kwargs = pairs! {
        channel_base: g.channel_base, channel_max: g.channel_max, num_fp16_res: g.num_fp16_res, conv_clamp: g.conv_clamp,
    };
    let defaults = (
        Architecture::Skip,
        true,
        Activation::Lrelu,
        &DEFAULT_FILTER[..],
    );
    if g.architecture != defaults.0 {
        synthesis_kwargs.extend(pairs! { architecture: g.architecture.name() });
    }
    if g.use_noise != defaults.1 {
        synthesis_kwargs.extend(pairs! { use_noise: g.use_noise });
    }
    if g.activation != defaults.2 {
        synthesis_kwargs.extend(pairs! { activation: g.activation });
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
            block_resolutions: g.block_resolutions().collect::<Vec<usize>>(),
            num_ws: g.num_ws(),
        },
    )
    .init(&[], kwargs);
    net.children = g
        .block_resolutions()
        .map(|r| synthesis_block(g, r))
        .collect();
    net
}

fn synthesis_block(g: &GeneratorConfig, r: usize) -> Module {
    let out = g.channels(r);
    let input = if r == 4 { 0 } else { g.channels(r / 2) };
    let is_last = r == g.img_resolution;
    let fp16 = r >= g.fp16_from();
    let has_torgb = is_last || g.architecture == Architecture::Skip;
    let mut block = Module::new(
        format!("b{r}"),
        "SynthesisBlock",
        pairs! {
            in_channels: input, w_dim: g.w_dim, resolution: r, img_channels: g.img_channels, is_last: is_last,
            architecture: g.architecture.name(), use_fp16: fp16, channels_last: false,
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
        block.params.push(normal("const", &[out, 4, 4]));
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
            normal("weight", &[g.img_channels, out, 1, 1]),
            zeros("bias", &[g.img_channels]),
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
            activation: Activation::Linear,
            up: 2,
            down: 1,
            clamp: None,
            is_frozen: false,
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
        resolution: r, up: up, use_noise: g.use_noise, activation: g.activation, conv_clamp: g.conv_clamp,
        padding: 1usize,
    };
    attrs.push(("act_gain".into(), act_gain(g.activation)));
    let filter = if up > 1 {
        &g.resample_filter[..]
    } else {
        &DEFAULT_FILTER
    };
    let mut layer = Module::new(name, "SynthesisLayer", attrs)
        .init(&[input, out], kwargs)
        .filter(filter);
    layer.params.push(normal("weight", &[out, input, 3, 3]));
    if g.use_noise {
        layer.params.push(zeros("noise_strength", &[]));
        layer.buffers.push(normal("noise_const", &[r, r]));
    }
    layer.params.push(zeros("bias", &[out]));
    layer.children.push(affine(g.w_dim, input));
    layer
}

fn normal(name: &'static str, shape: &[usize]) -> ModuleTensor {
    ModuleTensor::new(name, shape, Init::Normal(1.0))
}

fn zeros(name: &'static str, shape: &[usize]) -> ModuleTensor {
    ModuleTensor::new(name, shape, Init::Constant(0.0))
}
