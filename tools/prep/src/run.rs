//! `prep run`: makes a dataset zip and prints a summary.

use crate::args::RunArgs;
use crate::child_process::in_a_child;
use crate::output;
use crate::progress::Bars;
use crate::recipe::resolve;
use anyhow::{Context, bail};
use curation::metadata::MetadataSummary;
use curation::record::Reason;
use curation::{CurationConfig, Memory, RunOptions, Summary};
use detect::DetectorSpec;
use std::fmt::Write;

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let resolved = resolve(args)?;
    output::check(&resolved, args.force)?;
    // Make the recipe before the work, since not every path can be written in a recipe.
    let recipe = resolved
        .to_toml()
        .context("these settings make no recipe")?;
    let bars = Bars::default();
    let options = RunOptions {
        dry_run: args.dry_run,
        memory: memory(args),
        in_child: Some(&in_a_child),
    };
    let summary = curation::run(
        &resolved.inputs,
        &resolved.out,
        &resolved.config,
        options,
        &|event| bars.on_event(event),
    )?;
    files::write_bytes(output::recipe_path(&resolved.out), recipe.as_bytes())?;
    cli::report(&summary, |summary| words(summary, &resolved.config));
    if summary.n_inputs == 0 {
        let inputs: Vec<String> = resolved
            .inputs
            .iter()
            .map(|path| format!("'{}'", path.display()))
            .collect();
        bail!("there is no file in {}", inputs.join(", "));
    }
    if let Some(errors) = summary
        .read_errors
        .as_ref()
        .filter(|errors| errors.are_many)
    {
        bail!(
            "{} of {} inputs could not be read (the first is '{}': {}), so nothing was packed: type the same again when they \
             can be read, only they are measured then; what never can be read is to be taken out of the inputs",
            errors.n,
            summary.n_inputs,
            errors.first,
            errors.message
        );
    }
    if summary.n_kept == 0 {
        let report = summary.report.display();
        if resolved.out.exists() {
            let out = resolved.out.display();
            bail!("nothing was kept; {report} tells why ('{out}' is still that of an earlier run)");
        }
        bail!("nothing was kept; {report} tells why");
    }
    Ok(())
}

/// Memory for decoding: `--memory`, else half of the free memory. The other half is for everything besides decoding.
fn memory(args: &RunArgs) -> Memory {
    match (args.memory, cli::available_memory_bytes()) {
        (Some(bytes), _) => Memory::AtMost(bytes),
        (None, Some(free)) => Memory::Preferred(free / 2),
        (None, None) => Memory::default(),
    }
}

/// Whether the face search at its default size may have missed small faces: a fourth of the inputs or more have no
/// face.
fn is_coarse(summary: &Summary, config: &CurationConfig) -> bool {
    let n_faceless = summary.images_dropped.get(&Reason::NoFace.name());
    config.detector == DetectorSpec::Embedded
        && config.detect.longest_side.is_none()
        && !config.detect.tiles
        && n_faceless.is_some_and(|n| n * 4 >= summary.n_inputs)
}

/// Describes the inputs that have no post in the metadata, and the posts that lack a field.
fn metadata_words(summary: &MetadataSummary, config: &CurationConfig) -> String {
    let mut text = String::new();
    let list = |n: usize, names: &[String]| {
        let more = if n > names.len() { ", ..." } else { "" };
        format!("{}{more}", names.join(", "))
    };
    if summary.n_unmatched > 0 {
        let effect = if config.metadata.is_active() {
            "no_post, dropped"
        } else {
            "without a label of their own"
        };
        let _ = writeln!(
            text,
            "         {} without a post in the metadata ({effect}): {}",
            summary.n_unmatched,
            list(summary.n_unmatched, &summary.unmatched)
        );
    }
    if summary.n_unclear > 0 {
        let _ = writeln!(
            text,
            "         {} of these could belong to more than one post (--id-pattern decides): {}",
            summary.n_unclear,
            list(summary.n_unclear, &summary.unclear)
        );
    }
    for gap in &summary.gaps {
        let field = gap.field.to_string();
        let field = field.strip_prefix("a ").unwrap_or(&field);
        let _ = writeln!(
            text,
            "         {} posts of the metadata without {field} in a known form: {}",
            gap.n,
            list(gap.n, &gap.posts)
        );
    }
    text
}

fn words(summary: &Summary, config: &CurationConfig) -> String {
    let mut text = String::new();
    let reasons = |counts: &std::collections::BTreeMap<String, usize>| -> String {
        let mut sorted: Vec<_> = counts.iter().collect();
        sorted.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), (*reason).clone()));
        sorted
            .iter()
            .map(|(reason, n)| format!("{n} {reason}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let _ = writeln!(
        text,
        "inputs   {}: {} with a face kept",
        summary.n_inputs, summary.n_images_kept
    );
    if !summary.images_dropped.is_empty() {
        let _ = writeln!(
            text,
            "         dropped: {}",
            reasons(&summary.images_dropped)
        );
    }
    if let Some(metadata) = &summary.metadata {
        text += &metadata_words(metadata, config);
    }
    if let Some(errors) = &summary.read_errors {
        let _ = writeln!(
            text,
            "         {} could not be read this time (the first is '{}': {}); the next run tries again",
            errors.n, errors.first, errors.message
        );
    }
    if is_coarse(summary, config) {
        let _ = writeln!(
            text,
            "         faces below a fiftieth of an image's longer side are hardly found: --longest-side 2048 finds more, more slowly"
        );
    }
    let _ = writeln!(
        text,
        "faces    {}: {} kept",
        summary.n_faces, summary.n_kept
    );
    if !summary.faces_dropped.is_empty() {
        let _ = writeln!(
            text,
            "         dropped: {}",
            reasons(&summary.faces_dropped)
        );
    }
    if let Some(small) = &summary.small_faces {
        let _ = writeln!(
            text,
            "         {} are too small: --resolution {} would fit {} of them, --max-upscale 2 {} (before copies are removed)",
            small.n, small.half_resolution, small.n_at_half_resolution, small.n_at_upscale_2
        );
    }
    if summary.n_capped > 0 {
        let _ = writeln!(
            text,
            "         {} hashes have too many similar ones to compare all",
            summary.n_capped
        );
    }
    match &summary.zip {
        Some(zip) => {
            let _ = writeln!(text, "zip      {}", zip.display());
        }
        None if summary.n_kept > 0 => {
            let _ = writeln!(text, "zip      none (--dry-run)");
        }
        None => {}
    }
    let _ = writeln!(text, "manifest {}", summary.manifest.display());
    let _ = writeln!(text, "report   {}", summary.report.display());
    text
}
