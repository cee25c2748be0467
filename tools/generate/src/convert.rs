//! `generate convert`: a checkpoint in another format.

use std::path::PathBuf;

use anyhow::ensure;
use serde::Serialize;

use crate::args::ConvertArgs;
use crate::model::find;

#[derive(Serialize)]
struct Done {
    input: PathBuf,
    output: PathBuf,
    from: interop::Format,
    to: interop::Format,
    notes: Vec<String>,
}

pub fn run(args: &ConvertArgs) -> anyhow::Result<()> {
    // Before a long download or read.
    interop::format_of(&args.output)?;
    ensure!(
        args.overwrite || !args.output.exists(),
        "{} exists; --overwrite replaces it",
        args.output.display()
    );
    let input = find(&args.input)?;
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

/// A format in words.
pub fn name(format: interop::Format) -> &'static str {
    match format {
        interop::Format::OfficialPkl => "official pickle, PyTorch",
        interop::Format::TensorflowPkl => "official pickle, TensorFlow",
        interop::Format::Rosinality => "rosinality",
        interop::Format::SafeTensors => "safetensors",
    }
}
