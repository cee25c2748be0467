//! `generate convert`: writes a checkpoint in another format.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use crate::args::ConvertArgs;
use crate::model::find;

#[derive(Serialize)]
struct Summary {
    #[serde(serialize_with = "cli::lossy")]
    input: PathBuf,
    #[serde(serialize_with = "cli::lossy")]
    output: PathBuf,
    from: interop::Format,
    to: interop::Format,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct ExportSummary {
    #[serde(serialize_with = "cli::lossy")]
    input: PathBuf,
    #[serde(serialize_with = "cli::lossy")]
    output: PathBuf,
    bytes: usize,
}

pub fn run(args: &ConvertArgs) -> anyhow::Result<()> {
    // Check the output name before a long download or read.
    let ending = args.output.extension().map(|e| e.to_ascii_lowercase());
    let is_onnx = ending.is_some_and(|ending| ending == "onnx");
    if !is_onnx && interop::format_of(&args.output).is_err() {
        bail!(
            "{}: the name must end in .safetensors, .pkl (official), .pt (rosinality) or .onnx",
            args.output.display()
        );
    }
    ensure!(
        args.force || !args.output.exists(),
        "{} exists; --force replaces it",
        args.output.display()
    );
    let input = find(&args.input, args.checkpoint)?;
    ensure!(
        !(is_onnx && args.f16),
        "--f16 is for .safetensors: the graph is written in f32"
    );
    if is_onnx {
        return export(&input, args);
    }
    let conversion = match args.f16 {
        true => interop::convert_to_f16(&input, &args.output),
        false => interop::convert(&input, &args.output),
    }?;
    for note in &conversion.notes {
        tracing::warn!("{note}");
    }
    let summary = Summary {
        input,
        output: args.output.clone(),
        from: conversion.from,
        to: conversion.to,
        notes: conversion.notes,
    };
    cli::report(&summary, |summary| {
        format!(
            "{} ({}) to {} ({})",
            summary.input.display(),
            name(summary.from),
            summary.output.display(),
            name(summary.to)
        )
    });
    Ok(())
}

/// Writes the generator as an ONNX graph, without the other networks of the checkpoint.
fn export(input: &Path, args: &ConvertArgs) -> anyhow::Result<()> {
    let checkpoint = interop::read_checkpoint(input)?;
    for note in &checkpoint.provenance.notes {
        tracing::warn!("{}: {note}", input.display());
    }
    let bytes = interop::onnx_bytes(&checkpoint)?;
    files::write_bytes(&args.output, &bytes)?;
    let summary = ExportSummary {
        input: input.to_owned(),
        output: args.output.clone(),
        bytes: bytes.len(),
    };
    cli::report(&summary, |summary| {
        format!(
            "the generator of {} to {} (fp32, stored noise)",
            summary.input.display(),
            summary.output.display()
        )
    });
    Ok(())
}

/// The name of a format in messages.
pub fn name(format: interop::Format) -> &'static str {
    match format {
        interop::Format::OfficialPkl => "official pickle, PyTorch",
        interop::Format::TensorflowPkl => "official pickle, TensorFlow",
        interop::Format::Rosinality => "rosinality",
        interop::Format::StateDict => "state dict under the official names",
        interop::Format::SafeTensors => "safetensors",
    }
}
