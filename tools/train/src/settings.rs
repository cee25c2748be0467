//! Combines flags and settings file. The preset fills in the rest later.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use run_folder::Checkpoint;
use serde::Deserialize;
use train_settings::Overrides;
use training::Preset;

use crate::args::{RunArgs, WITHOUT_EFFECT};

/// The settings of a run that were given as flags or in the settings file.
#[derive(Debug, Default)]
pub struct Settings {
    pub data: Option<PathBuf>,
    pub outdir: Option<PathBuf>,
    pub cfg: Option<Preset>,
    pub device: Option<String>,
    pub allow_partial: bool,
    /// The checkpoint to choose when `init_from` is a run folder.
    pub checkpoint: Option<Checkpoint>,
    pub overrides: Overrides,
}

/// The keys of a settings file that do not belong to [`Overrides`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct OtherKeys {
    data: Option<PathBuf>,
    outdir: Option<PathBuf>,
    cfg: Option<String>,
    device: Option<String>,
    allow_partial: Option<bool>,
    checkpoint: Option<String>,
}

/// Reads the file of `--config`, if any; settings that are given as flags replace those of the file.
pub fn settings(args: &RunArgs) -> Result<Settings> {
    let mut table = match &args.config {
        Some(path) => read(path)?,
        None => toml::Table::new(),
    };
    for (key, reason) in WITHOUT_EFFECT {
        if table.contains_key(key) {
            bail!("{key}: {reason}");
        }
    }
    // The path is saved in the run's options, which are text.
    if let Some(path) = &args.data {
        text_of("--data", path)?;
    }
    // Flags take precedence over the file. A flag that was not given is `None` and has no key in the table.
    for flags in [
        toml::Table::try_from(args),
        toml::Table::try_from(&args.overrides),
    ] {
        table.extend(flags.context("cannot combine the flags")?);
    }
    let source = match &args.config {
        Some(path) => format!("'{}'", path.display()),
        None => "the flags".to_owned(),
    };
    let others: OtherKeys = table.clone().try_into().with_context(|| source.clone())?;
    for key in [
        "data",
        "outdir",
        "cfg",
        "device",
        "allow-partial",
        "checkpoint",
    ] {
        table.remove(key);
    }
    let mut overrides: Overrides = table.try_into().with_context(|| source)?;
    if overrides.gpus.is_some_and(|gpus| gpus != 1) {
        bail!("gpus: this build trains on one device; leave it out, or set it to 1");
    }
    // A run may be resumed from another working directory.
    if let Some(weights) = &mut overrides.weights {
        *weights = absolute(Path::new(weights))?;
    }
    Ok(Settings {
        data: others.data,
        outdir: args.outdir.clone().or(others.outdir),
        cfg: others.cfg.map(|name| name.parse()).transpose()?,
        device: others.device,
        allow_partial: others.allow_partial.unwrap_or(false),
        checkpoint: checkpoint(others.checkpoint.as_deref())?,
        overrides,
    })
}

fn checkpoint(text: Option<&str>) -> Result<Option<Checkpoint>> {
    let checkpoint = text.map(str::parse).transpose();
    checkpoint.map_err(|error: String| anyhow!("checkpoint: {error}"))
}

/// The absolute form of a path, as text. Fails when it is not UTF-8.
pub fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .with_context(|| format!("cannot find the absolute path of '{}'", path.display()))?;
    text_of("the options of the run", &absolute)
}

/// A path as text. Fails when it is not UTF-8; `source` is the flag with which it was given, for the message.
pub fn text_of(source: &str, path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| {
        format!(
            "{source}: '{}' is not UTF-8, and the options of a run hold text only: rename it, or make a link to it (ln -s)",
            cli::escaped(path.as_os_str())
        )
    })
}

fn read(path: &Path) -> Result<toml::Table> {
    const MAX_BYTES: u64 = 16 << 20;
    let text = files::read_input_text(path, MAX_BYTES)
        .with_context(|| format!("cannot read --config '{}'", path.display()))?;
    let table = toml::from_str(&text).with_context(|| format!("'{}'", path.display()))?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, args: RunArgs) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.toml");
        std::fs::write(&path, text).unwrap();
        settings(&RunArgs {
            config: Some(path),
            ..args
        })
    }

    #[test]
    fn flags_take_precedence_over_the_file() {
        let text = "data = 'a.zip'\ncfg = 'tiny64'\nkimg = 7\nada-max-p = inf\ngrid = [3, 2]\n";
        let args = RunArgs {
            overrides: Overrides {
                kimg: Some(9),
                mirror: Some(false),
                ..Overrides::default()
            },
            ..RunArgs::default()
        };
        let settings = with_file(text, args).unwrap();
        assert_eq!(settings.data, Some("a.zip".into()));
        assert_eq!(settings.cfg, Some(Preset::Tiny64));
        let o = &settings.overrides;
        assert_eq!((o.kimg, o.mirror), (Some(9), Some(false)));
        assert_eq!((o.ada_max_p, o.grid), (Some(f64::INFINITY), Some([3, 2])));

        let error = with_file("kimgs = 7", RunArgs::default()).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("kimgs") && text.contains("run.toml"),
            "{text}"
        );
    }

    #[test]
    fn the_file_has_all_settings_of_the_flags() {
        let text = "features = 'random-inception-small'\nweights = 'w.pth'\ndevice = 'cpu'\n\
                    ada-max-p = 'none'\nmetrics = 'fid5k_full,kid5k_full'\ngrid = '3x2'\nkeep-states = 4\n\
                    stop-on-collapse = true\nallow-partial = true\ngpus = 1\n";
        let settings = with_file(text, RunArgs::default()).unwrap();
        let o = &settings.overrides;
        assert_eq!(o.features.as_deref(), Some("random-inception-small"));
        assert!(Path::new(o.weights.as_deref().unwrap()).is_absolute());
        assert_eq!(settings.device.as_deref(), Some("cpu"));
        assert_eq!((o.ada_max_p, o.grid), (Some(f64::INFINITY), Some([3, 2])));
        assert_eq!(o.metrics.as_ref().unwrap().len(), 2);
        assert_eq!((o.keep_states, o.stop_on_collapse), (Some(4), Some(true)));
        assert!(settings.allow_partial);
        let error = with_file("gpus = 2", RunArgs::default()).unwrap_err();
        assert!(error.to_string().contains("one device"), "{error}");
    }
}
