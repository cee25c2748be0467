//! Conversion of a checkpoint file to another format.

use std::path::Path;

use crate::checkpoint::{Checkpoint, Format};
use crate::error::{Error, Result};
use crate::file::{read_checkpoint, write_checkpoint};

/// Result of [`convert`].
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// Format of the file that was read.
    pub from: Format,
    /// Format of the file that was written.
    pub to: Format,
    /// The [`Provenance::notes`](crate::Provenance::notes) of the file that was read, and remarks on content that the
    /// written format cannot hold.
    pub notes: Vec<String>,
}

/// The format to write for the extension of a file name: [`Format::SafeTensors`] for `.safetensors`,
/// [`Format::OfficialPkl`] for `.pkl`, [`Format::Rosinality`] for `.pt` and `.pth`, in upper or lower case.
///
/// # Errors
/// `Unsupported` for any other extension.
pub fn format_of(path: &Path) -> Result<Format> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "safetensors" => Ok(Format::SafeTensors),
        "pkl" => Ok(Format::OfficialPkl),
        "pt" | "pth" => Ok(Format::Rosinality),
        _ => Err(Error::Unsupported(format!(
            "{}: the name must end in .safetensors, .pkl (official) or .pt (rosinality)",
            path.display()
        ))),
    }
}

/// Reads a checkpoint in any format and writes it in the format of the extension of `output` ([`format_of`]).
///
/// # Errors
/// The errors of [`format_of`], [`read_checkpoint`] and [`write_checkpoint`].
pub fn convert(input: &Path, output: &Path) -> Result<Conversion> {
    write_as(read_checkpoint(input)?, format_of(output)?, output)
}

/// Converts a checkpoint to a safetensors file as [`convert`] does, but with the tensors in f16, which halves the file
/// size. [`read_checkpoint`] converts them back to f32.
///
/// # Errors
/// The errors of [`convert`], and `Unsupported` when the extension of `output` is not `.safetensors` or when a value is
/// beyond the range of f16.
pub fn convert_to_f16(input: &Path, output: &Path) -> Result<Conversion> {
    let to = format_of(output)?;
    if to != Format::SafeTensors {
        let reason = "only .safetensors can hold networks in f16";
        return Err(Error::Unsupported(reason.to_owned()));
    }
    let mut checkpoint = read_checkpoint(input)?;
    let networks = [&mut checkpoint.g, &mut checkpoint.d, &mut checkpoint.g_ema];
    for network in networks.into_iter().flatten() {
        let tensors = network.params.iter_mut().chain(&mut network.buffers);
        for (name, tensor) in tensors {
            *tensor = tensor.to_f16().ok_or_else(|| {
                Error::Unsupported(format!("{name} has values beyond the range of f16"))
            })?;
        }
    }
    write_as(checkpoint, to, output)
}

fn write_as(checkpoint: Checkpoint, to: Format, output: &Path) -> Result<Conversion> {
    let mut notes = checkpoint.provenance.notes.clone();
    notes.extend(lost(&checkpoint, to));
    write_checkpoint(output, to, &checkpoint)?;
    Ok(Conversion {
        from: checkpoint.provenance.format,
        to,
        notes,
    })
}

/// Returns remarks on the content of a checkpoint that the format `to` cannot hold.
fn lost(checkpoint: &Checkpoint, to: Format) -> Vec<String> {
    let mut notes = Vec::new();
    let kept = match to {
        Format::OfficialPkl => checkpoint
            .augment_pipe
            .as_ref()
            .is_none_or(|pipe| !pipe.buffers.is_empty()),
        _ => to == Format::SafeTensors || checkpoint.augment_pipe.is_none(),
    };
    if !kept {
        notes.push("augment_pipe was left out".into());
    }
    if to == Format::Rosinality {
        notes.push("conv_clamp and num_fp16_res have no place in .pt files: the network runs in fp32 there".into());
        if checkpoint.training_set_kwargs.is_some() {
            notes.push("training_set_kwargs was left out".into());
        }
    }
    if to == Format::OfficialPkl {
        let missing: Vec<&str> = ["G", "D", "G_ema"]
            .into_iter()
            .filter(|key| !checkpoint.networks().any(|(k, _)| k == *key))
            .collect();
        if !missing.is_empty() {
            notes.push(format!(
                "{} not in the file: the official loader asks for G, D and G_ema",
                missing.join(", ")
            ));
        }
    }
    notes
}
