//! Chooses the checkpoint of a run folder, with the same rule and the same flag in all tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use run_folder::{Checkpoint, choose_checkpoint, latest_run, snapshot_files};

/// Folder with the runs of which the newest is chosen, when a flag for a run is just `latest`.
const RUNS: &str = "runs";

/// The flag by which a checkpoint of a run is chosen.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct CheckpointArgs {
    /// Checkpoint of a run folder: best (by FID, else another metric; the newest where none was measured), newest, or
    /// a number of kimg [default: best]
    #[arg(long, value_name = "best|newest|KIMG")]
    pub checkpoint: Option<Checkpoint>,
}

impl CheckpointArgs {
    /// Returns the file of the network that the user named by `network`, the value of the flag `flag`. For a run folder
    /// or `latest`, it is the chosen checkpoint of the run, which is logged; any other path is returned as it is.
    ///
    /// # Errors
    /// When the run has no such checkpoint, or when `--checkpoint` was given and `network` is not a run.
    pub fn find(&self, flag: &str, network: &Path) -> anyhow::Result<PathBuf> {
        find_checkpoint(flag, network, None, self.checkpoint)
    }
}

/// Like [`CheckpointArgs::find`], with the checkpoint `which`; `None` chooses the best one. When `network` is just
/// `latest`, the newest run in `outdir` is used, or in `runs` when `outdir` is `None`.
///
/// # Errors
/// The same as for [`CheckpointArgs::find`].
pub fn find_checkpoint(
    flag: &str,
    network: &Path,
    outdir: Option<&Path>,
    which: Option<Checkpoint>,
) -> anyhow::Result<PathBuf> {
    let run_dir = match latest(network, outdir) {
        Some(outdir) => newest_of(flag, &outdir)?,
        None if network.is_dir() => network.to_owned(),
        None if which.is_some() => bail!(
            "--checkpoint chooses within a run folder, and {flag} '{}' is none",
            network.display()
        ),
        None => return Ok(network.to_owned()),
    };
    let chosen =
        choose_checkpoint(&run_dir, which.unwrap_or_default()).with_context(|| flag.to_owned())?;
    for warning in &chosen.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        "{flag}: checkpoint '{}' ({})",
        chosen.path.display(),
        chosen.reason
    );
    Ok(chosen.path)
}

/// The folder of a run. For `latest` it is the newest run in `runs`, for `DIR/latest` the newest run in `DIR`, among
/// the runs with a snapshot; any other path is returned as it is.
///
/// # Errors
/// When no run there has a snapshot.
pub fn find_run(run: &Path) -> anyhow::Result<PathBuf> {
    match latest(run, None) {
        Some(outdir) => {
            let run_dir = newest_of("latest", &outdir)?;
            tracing::info!("latest: '{}'", run_dir.display());
            Ok(run_dir)
        }
        None => Ok(run.to_owned()),
    }
}

/// For `latest` or `DIR/latest`, the folder whose newest run is meant; `None` for any other name, and when a file or
/// folder with that path exists.
fn latest(name: &Path, outdir: Option<&Path>) -> Option<PathBuf> {
    if name.file_name()? != "latest" || name.exists() {
        return None;
    }
    let parent = name.parent().filter(|p| !p.as_os_str().is_empty());
    Some(parent.or(outdir).unwrap_or(Path::new(RUNS)).to_owned())
}

fn newest_of(flag: &str, outdir: &Path) -> anyhow::Result<PathBuf> {
    let has_snapshot = |run_dir: &Path| Ok(!snapshot_files(run_dir)?.is_empty());
    let found = latest_run(outdir, has_snapshot).with_context(|| flag.to_owned())?;
    found.with_context(|| {
        format!(
            "{flag}: no run in '{}' has a snapshot; `DIR/latest` is the newest run of another folder",
            outdir.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files_of_runs_or_stay() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("out");
        let run = |name: &str| runs.join(name);
        for name in ["00000-a", "00001-b", "00002-empty"] {
            std::fs::create_dir_all(run(name)).unwrap();
        }
        for name in ["00000-a", "00001-b"] {
            for kimg in [0, 4] {
                std::fs::write(run_folder::snapshot_path(&run(name), kimg), "").unwrap();
            }
        }
        let newest = run_folder::snapshot_path(&run("00001-b"), 4);
        let latest = runs.join("latest");
        let found = |name: &Path, which| find_checkpoint("-n", name, None, which);
        assert_eq!(found(&latest, None).unwrap(), newest);
        let by_outdir = find_checkpoint("-n", Path::new("latest"), Some(&runs), None);
        assert_eq!(by_outdir.unwrap(), newest);
        assert_eq!(find_run(&latest).unwrap(), run("00001-b"));
        let first = found(&run("00000-a"), Some(Checkpoint::Kimg(0))).unwrap();
        assert_eq!(first, run_folder::snapshot_path(&run("00000-a"), 0));
        // Other names are returned as they are; a choice among checkpoints is an error for them.
        assert_eq!(
            found(Path::new("ffhq512"), None).unwrap(),
            Path::new("ffhq512")
        );
        let error = found(&newest, Some(Checkpoint::Newest)).unwrap_err();
        assert!(error.to_string().contains("--checkpoint"), "{error}");
        assert!(found(&run("00002-empty"), None).is_err());
    }
}
