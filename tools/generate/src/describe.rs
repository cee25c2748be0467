//! `generate describe`: prints the content of a checkpoint.

use std::fmt::Write;

use architecture::NetworkConfig;
use interop::{Description, NetworkDescription};

use crate::args::DescribeArgs;
use crate::convert::name;
use crate::model::find;

pub fn run(args: &DescribeArgs) -> anyhow::Result<()> {
    let path = find(&args.input, args.checkpoint)?;
    let description = interop::describe(&path)?;
    let mut tensors = String::new();
    if args.tensors && !cli::is_json() && !description.networks.is_empty() {
        for (key, network) in interop::read_checkpoint(&path)?.networks() {
            for (name, tensor) in network.tensors() {
                let _ = writeln!(tensors, "{key}.{name} {:?}", tensor.shape);
            }
        }
    }
    cli::report(&description, |d| text(d) + &tensors);
    Ok(())
}

fn text(d: &Description) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<14} {value}");
    };
    line(
        "file",
        format!("{} ({:.1} MB)", d.file, d.size as f64 / 1e6),
    );
    line("sha256", d.sha256.clone());
    match (d.format, d.container) {
        (Some(format), _) => line("format", name(format).to_owned()),
        (None, Some(container)) => line("format", format!("{container:?}, no checkpoint")),
        (None, None) => {}
    }
    for network in &d.networks {
        line(&network.key, architecture(&network.config));
        for (label, value) in properties(network) {
            line(&format!("  {label}"), value);
        }
    }
    for tensor in &d.tensors {
        line(
            "tensor",
            format!("{} {:?} {:?}", tensor.name, tensor.dtype, tensor.shape),
        );
    }
    if let Some(kwargs) = &d.training_set_kwargs {
        line("training set", kwargs.to_string());
    }
    if let Some(pipe) = &d.augment_pipe {
        line("augmentation", format!("p {:.3}, {}", pipe.p, pipe.kwargs));
    }
    if let Some(parent) = &d.converted_from {
        line(
            "made from",
            format!(
                "{} ({}, {})",
                parent.source,
                name(parent.format),
                parent.sha256
            ),
        );
    }
    for note in &d.notes {
        line("note", note.clone());
    }
    out
}

/// The most important settings of a network as one line of text.
fn architecture(config: &NetworkConfig) -> String {
    let labels = |c_dim: usize| match c_dim {
        0 => String::new(),
        n => format!(", {n} labels"),
    };
    let clamp = |clamp: Option<f64>| clamp.map_or("no clamp".into(), |c| format!("clamp {c}"));
    match config {
        NetworkConfig::Generator(g) => format!(
            "{0}x{0}, {1} channels, mapping of {2} layers, z {3}, w {4}, cbase {5}, cmax {6}, {7}, {8}, {9} fp16 blocks{10}",
            g.img_resolution,
            g.img_channels,
            g.mapping.num_layers,
            g.z_dim,
            g.w_dim,
            g.channel_base,
            g.channel_max,
            g.architecture.name(),
            clamp(g.conv_clamp),
            g.num_fp16_res,
            labels(g.c_dim)
        ),
        NetworkConfig::Discriminator(d) => format!(
            "{0}x{0}, {1} channels, cbase {2}, cmax {3}, {4}, {5}, {6} fp16 blocks, mbstd group {7}{8}{9}",
            d.img_resolution,
            d.img_channels,
            d.channel_base,
            d.channel_max,
            d.architecture.name(),
            clamp(d.conv_clamp),
            d.num_fp16_res,
            d.mbstd_group_size
                .map_or("whole batch".into(), |n| n.to_string()),
            match d.freeze_layers {
                0 => String::new(),
                n => format!(", {n} frozen layers"),
            },
            labels(d.c_dim)
        ),
    }
}

/// Further properties of a network, as pairs of a label and a text.
fn properties(network: &NetworkDescription) -> Vec<(&'static str, String)> {
    let (params, buffers) = network.num_tensors;
    let mut properties = vec![
        (
            "weights",
            format!(
                "{} in {params} tensors, and {buffers} buffers",
                network.num_params
            ),
        ),
        ("weights sha256", network.checksum.clone()),
    ];
    if !network.assumed.is_empty() {
        properties.push(("assumed", network.assumed.join(", ")));
    }
    if network.has_non_finite {
        properties.push(("damaged", "some weights are NaN or infinite".into()));
    }
    properties
}
