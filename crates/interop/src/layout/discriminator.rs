use super::layers::{ConvSpec, DEFAULT_TAPS, conv2d, dense, mapping, mapping_kwargs, taps};
use super::{Attr, Module};
use crate::config::{Architecture, DiscriminatorConfig, uses_fp16};

/// The module tree of a discriminator.
pub(super) fn discriminator(d: &DiscriminatorConfig) -> Module {
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
