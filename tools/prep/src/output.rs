//! Checks of the output path: a run never overwrites an input, nor files that were not made by an earlier run on the
//! same inputs.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::recipe::{Resolved, inputs_of};

/// Refuses an output that would replace files other than those of an earlier run on the same inputs. With `force`, only
/// outputs that would replace an input are refused.
///
/// An earlier run is recognized by the recipe beside its zip. Its results may be replaced by a run that has an input in
/// common with it, or an input inside or around one of its inputs, so that inputs can be added between runs.
///
/// # Errors
/// An error that names the file and says what to do.
pub fn check(resolved: &Resolved, force: bool) -> anyhow::Result<()> {
    protect_inputs(resolved);
    let recipe = recipe_path(&resolved.out);
    let ending = |ending: &str| resolved.out.with_extension(ending);
    let outputs = [
        resolved.out.clone(),
        ending("manifest.jsonl"),
        ending("report.html"),
        recipe.clone(),
    ];
    for path in &outputs {
        files::check_output(path)?;
    }
    // A run that was killed between writing its zip and its recipe has left a journal, but no recipe.
    let is_of_killed_run = !recipe.exists() && ending("journal").join("records.jsonl").exists();
    if !is_of_killed_run && inputs_of(&recipe).is_none() {
        refuse_inside_inputs(&outputs, &resolved.inputs)?;
    }
    let existing = outputs.iter().find(|path| path.exists());
    let Some(existing) = existing.filter(|_| !force) else {
        return Ok(());
    };
    if is_of_killed_run {
        return Ok(());
    }
    let Some(earlier) = inputs_of(&recipe) else {
        bail!(
            "'{}' exists and is not of an earlier run ('{}' beside it would say so): choose another --out, or replace it with --force",
            existing.display(),
            recipe.display()
        );
    };
    let earlier_paths: Vec<PathBuf> = earlier.iter().map(|path| absolute(path)).collect();
    let is_known = |input: &PathBuf| {
        let input = absolute(input);
        let share = |other: &PathBuf| input.starts_with(other) || other.starts_with(&input);
        earlier_paths.iter().any(share)
    };
    if resolved.inputs.iter().any(is_known) {
        return Ok(());
    }
    let names: Vec<String> = earlier
        .iter()
        .map(|path| format!("'{}'", path.display()))
        .collect();
    bail!(
        "'{}' was made from other inputs ({}): choose another --out, or replace it with --force",
        existing.display(),
        names.join(", ")
    )
}

/// Refuses to replace a file inside an input folder. Without a recipe beside it, such a file is one of the inputs.
fn refuse_inside_inputs(outputs: &[PathBuf], inputs: &[PathBuf]) -> anyhow::Result<()> {
    for output in outputs.iter().filter(|output| output.exists()) {
        let real = absolute(output);
        if let Some(folder) = inputs
            .iter()
            .find(|input| input.is_dir() && real.starts_with(absolute(input)))
        {
            bail!(
                "'{}' lies in the input folder '{}' and is not of an earlier run, so it is an input: choose another --out",
                output.display(),
                folder.display()
            );
        }
    }
    Ok(())
}

/// The path of the recipe that a run writes beside its zip.
pub fn recipe_path(out: &Path) -> PathBuf {
    out.with_extension("recipe.toml")
}

/// Protects all files that the run reads from being replaced. Files inside input folders are not among them; there,
/// outputs are distinguished from inputs by the recipe beside them.
fn protect_inputs(resolved: &Resolved) {
    let config = &resolved.config;
    for input in &resolved.inputs {
        match input.to_str().and_then(|text| text.strip_prefix('@')) {
            Some(list) => files::protect_input(Path::new(list)),
            None => files::protect_input(input),
        }
    }
    let others = [
        config.metadata.posts.as_deref(),
        config.exclude.as_deref(),
        config.detector.path(),
    ];
    others.into_iter().flatten().for_each(files::protect_input);
}

/// The canonical path, or the absolute one for a file that does not exist, such as an input that was moved away.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}
