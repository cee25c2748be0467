//! Builds the module tree of the StyleGAN2 discriminator from its configuration.

use super::config::{Architecture, DiscriminatorConfig};
use super::layers::{ConvSpec, conv2d, dense, mapping, mapping_kwargs, taps};
use crate::activation::Activation;
use crate::filter::DEFAULT_FILTER;
use crate::modules::{Attr, Module, pairs};

/// The module tree of a discriminator.
pub(super) fn discriminator(d: &DiscriminatorConfig) -> Module {
    let mut block_kwargs = Vec::new();
    if d.activation != Activation::Lrelu {
        block_kwargs.extend(pairs! { activation: d.activation });
    }
    if d.resample_filter != DEFAULT_FILTER {
        block_kwargs.push(("resample_filter".to_owned(), taps(&d.resample_filter)));
    }
    let mut epilogue_kwargs = pairs! { mbstd_group_size: d.mbstd_group_size };
    if d.mbstd_num_channels != 1 {
        epilogue_kwargs.extend(pairs! { mbstd_num_channels: d.mbstd_num_channels });
    }
    if d.epilogue_activation != Activation::Lrelu {
        epilogue_kwargs.extend(pairs! { activation: d.epilogue_activation });
    }
    let mapping_kwargs = if d.c_dim > 0 {
        mapping_kwargs(&d.mapping, d.cmap_dim, d.c_dim)
    } else {
        Vec::new()
    };
    let mut kwargs = pairs! {
        c_dim: d.c_dim, img_resolution: d.img_resolution, img_channels: d.img_channels, architecture: d.architecture.name(),
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
            img_channels: d.img_channels, block_resolutions: d.block_resolutions().collect::<Vec<usize>>(),
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

fn from_rgb(
    d: &DiscriminatorConfig,
    out: usize,
    activation: Activation,
    clamp: Option<f64>,
) -> ConvSpec<'static> {
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
        is_frozen: false,
    }
}

fn discriminator_block(d: &DiscriminatorConfig, r: usize, first_layer_idx: usize) -> Module {
    let tmp = d.channels(r);
    let out = d.channels(r / 2);
    let input = if r == d.img_resolution { 0 } else { tmp };
    let fp16 = r >= d.fp16_from();
    let conv = |name, out, down| ConvSpec {
        name,
        input: tmp,
        out,
        kernel: 3,
        bias: true,
        activation: d.activation,
        up: 1,
        down,
        clamp: d.conv_clamp,
        is_frozen: false,
    };
    let mut children = Vec::new();
    if input == 0 || d.architecture == Architecture::Skip {
        children.push(from_rgb(d, tmp, d.activation, d.conv_clamp));
    }
    children.push(conv("conv0", tmp, 1));
    children.push(conv("conv1", out, 2));
    if d.architecture == Architecture::Resnet {
        children.push(ConvSpec {
            kernel: 1,
            bias: false,
            activation: Activation::Linear,
            clamp: None,
            ..conv("skip", out, 2)
        });
    }
    let mut block = Module::new(
        format!("b{r}"),
        "DiscriminatorBlock",
        pairs! {
            in_channels: input, resolution: r, img_channels: d.img_channels, first_layer_idx: first_layer_idx,
            architecture: d.architecture.name(), use_fp16: fp16, channels_last: false, num_layers: children.len(),
        },
    )
    .init(
        &[input, tmp, out],
        pairs! {
            resolution: r, first_layer_idx: first_layer_idx, use_fp16: fp16, img_channels: d.img_channels,
            architecture: d.architecture.name(), conv_clamp: d.conv_clamp,
        },
    )
    .filter(&d.resample_filter);
    // The first `freeze_layers` layers after the image are frozen.
    for (i, layer) in children.into_iter().enumerate() {
        let is_frozen = first_layer_idx + i < d.freeze_layers;
        let layer = ConvSpec { is_frozen, ..layer };
        block.children.push(conv2d(&layer, &d.resample_filter));
    }
    block
}

fn epilogue(d: &DiscriminatorConfig) -> Module {
    let channels = d.channels(4);
    let activation = d.epilogue_activation;
    let mut attrs = pairs! {
        in_channels: channels, cmap_dim: d.cmap_dim, resolution: 4usize, img_channels: d.img_channels,
        architecture: d.architecture.name(),
    };
    if d.mbstd_num_channels == 0 {
        attrs.push(("mbstd".into(), Attr::None));
    }
    let mut block = Module::new("b4", "DiscriminatorEpilogue", attrs).init(
        &[channels],
        pairs! {
            cmap_dim: d.cmap_dim, resolution: 4usize, mbstd_group_size: d.mbstd_group_size,
            mbstd_num_channels: d.mbstd_num_channels, img_channels: d.img_channels, architecture: d.architecture.name(),
            conv_clamp: d.conv_clamp,
        },
    );
    // At a resolution of 4 px there is no other block, so the epilogue reads the image.
    if d.architecture == Architecture::Skip || d.img_resolution == 4 {
        block.children.push(conv2d(
            &from_rgb(d, channels, activation, None),
            &DEFAULT_FILTER,
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
        is_frozen: false,
    };
    block.children.push(conv2d(&conv, &DEFAULT_FILTER));
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
        Activation::Linear,
        1.0,
        Vec::new(),
    ));
    block
}
