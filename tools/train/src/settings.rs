//! Flags over a settings file: one description of a run, before the preset fills the rest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use training::Overrides;

use crate::args::RunArgs;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Settings {
    pub data: Option<PathBuf>,
    pub outdir: Option<PathBuf>,
    pub cfg: Option<String>,
    pub overrides: Overrides,
}

/// The keys that are no overrides of a preset.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frame {
    data: Option<PathBuf>,
    outdir: Option<PathBuf>,
    cfg: Option<String>,
}

/// Reads the file of `--config` and lays the flags over it.
pub fn settings(args: &RunArgs) -> Result<Settings> {
    let mut table = match &args.config {
        Some(path) => read(path)?,
        None => toml::Table::new(),
    };
    // What was typed; `None` leaves no key behind.
    let flags = toml::Table::try_from(args).context("cannot combine the flags")?;
    table.extend(flags);
    let source = match &args.config {
        Some(path) => format!("'{}'", path.display()),
        None => "the flags".to_owned(),
    };
    let frame: Frame = table.clone().try_into().with_context(|| source.clone())?;
    for key in ["data", "outdir", "cfg"] {
        table.remove(key);
    }
    Ok(Settings {
        data: frame.data,
        outdir: frame.outdir,
        cfg: frame.cfg,
        overrides: table.try_into().with_context(|| source)?,
    })
}

fn read(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read --config '{}'", path.display()))?;
    let table = toml::from_str(&text).with_context(|| format!("'{}'", path.display()))?;
    Ok(table)
}

/// The overrides that a resumed run may still change: none of them changes what is computed.
pub fn check_for_resume(settings: &Settings) -> Result<()> {
    let o = &settings.overrides;
    let allowed = Overrides {
        kimg: o.kimg,
        snap: o.snap,
        image_snap: o.image_snap,
        state_every: o.state_every,
        metrics: o.metrics.clone(),
        metrics_every: o.metrics_every,
        keep: o.keep,
        workers: o.workers,
        ..Overrides::default()
    };
    if settings.cfg.is_some() || *o != allowed {
        bail!(
            "--resume goes on with the settings of the run; only --data (moved), --kimg, --snap, --image-snap, \
             --state-every, --metrics, --metrics-every, --keep and --workers can change. To start a new run from its \
             networks use --init-from"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.toml");
        let text = "data = 'a.zip'\ncfg = 'tiny64'\nkimg = 7\nada-max-p = inf\ngrid = [3, 2]\n";
        std::fs::write(&path, text).unwrap();
        let args = RunArgs {
            config: Some(path.clone()),
            kimg: Some(9),
            mirror: Some(false),
            ..RunArgs::default()
        };
        let settings = settings(&args).unwrap();
        assert_eq!(settings.data, Some("a.zip".into()));
        assert_eq!(settings.cfg.as_deref(), Some("tiny64"));
        let o = &settings.overrides;
        assert_eq!((o.kimg, o.mirror), (Some(9), Some(false)));
        assert_eq!((o.ada_max_p, o.grid), (Some(f64::INFINITY), Some([3, 2])));

        std::fs::write(&path, "kimgs = 7").unwrap();
        let error = super::settings(&args).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("kimgs") && text.contains("run.toml"),
            "{text}"
        );
    }

    #[test]
    fn a_resumed_run_keeps_what_it_computes() {
        let mut settings = Settings::default();
        settings.overrides.kimg = Some(5);
        check_for_resume(&settings).unwrap();
        settings.overrides.gamma = Some(1.0);
        assert!(check_for_resume(&settings).is_err());
    }
}
