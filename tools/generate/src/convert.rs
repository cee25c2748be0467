//! `generate convert`: a checkpoint in another format.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use crate::args::ConvertArgs;
use crate::model::find;

#[derive(Serialize)]
struct Done {
    #[serde(serialize_with = "cli::lossy")]
    input: PathBuf,
    #[serde(serialize_with = "cli::lossy")]
    output: PathBuf,
    from: interop::Format,
    to: interop::Format,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Exported {
    #[serde(serialize_with = "cli::lossy")]
    input: PathBuf,
    #[serde(serialize_with = "cli::lossy")]
    output: PathBuf,
    bytes: usize,
}

pub fn run(args: &ConvertArgs) -> anyhow::Result<()> {
    // Before a long download or read.
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
    if is_onnx {
        return export(&input, args);
    }
    let conversion = interop::convert(&input, &args.output)?;
    for note in &conversion.notes {
        tracing::warn!("{note}");
    }
    let done = Done {
        input,
        output: args.output.clone(),
        from: conversion.from,
        to: conversion.to,
        notes: conversion.notes,
    };
    cli::report(&done, |done| {
        format!(
            "{} ({}) to {} ({})",
            done.input.display(),
            name(done.from),
            done.output.display(),
            name(done.to)
        )
    });
    Ok(())
}

/// Writes the generator alone, as a graph that other runtimes execute.
fn export(input: &Path, args: &ConvertArgs) -> anyhow::Result<()> {
    let checkpoint = interop::read_checkpoint(input)?;
    for note in &checkpoint.provenance.notes {
        tracing::warn!("{}: {note}", input.display());
    }
    let bytes = interop::onnx_bytes(&checkpoint)?;
    files::write_bytes(&args.output, &bytes)?;
    let done = Exported {
        input: input.to_owned(),
        output: args.output.clone(),
        bytes: bytes.len(),
    };
    cli::report(&done, |done| {
        format!(
            "the generator of {} to {} (fp32, stored noise)",
            done.input.display(),
            done.output.display()
        )
    });
    Ok(())
}

/// A format in words.
pub fn name(format: interop::Format) -> &'static str {
    match format {
        interop::Format::OfficialPkl => "official pickle, PyTorch",
        interop::Format::TensorflowPkl => "official pickle, TensorFlow",
        interop::Format::Rosinality => "rosinality",
        interop::Format::StateDict => "state dict under the official names",
        interop::Format::SafeTensors => "safetensors",
    }
}
