//! Reads what the demo and the study must know of run folders, from names such as
//! `00003-name/training-state-000024000.safetensors`.

use std::path::{Path, PathBuf};

/// The folder of the run with the highest number in `outdir`.
pub fn newest(outdir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(outdir).ok()?;
    let number = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.split('-').next()?.parse::<u64>().ok()
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((number(&path)?, path)))
        .max()
        .map(|(_, path)| path)
}

/// The number of images that a run had seen when its newest training state was saved; `None` if there is no state.
pub fn seen_nimg(run: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(run).ok()?;
    let nimg = |name: &str| {
        let digits = name.strip_prefix("training-state-")?;
        digits.strip_suffix(".safetensors")?.parse::<u64>().ok()
    };
    entries
        .flatten()
        .filter_map(|entry| nimg(entry.file_name().to_str()?))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_and_its_newest_state_are_found() {
        let dir = std::env::temp_dir().join(format!("xtask-runs-{}", std::process::id()));
        for name in ["00002-a", "00010-b", "notes"] {
            std::fs::create_dir_all(dir.join(name)).unwrap();
        }
        let run = newest(&dir).unwrap();
        assert!(run.ends_with("00010-b"));
        assert_eq!(seen_nimg(&run), None);
        for name in [
            "training-state-000002000.safetensors",
            "training-state-000024000.safetensors",
            "network-snapshot-000030.safetensors",
        ] {
            std::fs::write(run.join(name), "").unwrap();
        }
        assert_eq!(seen_nimg(&run), Some(24_000));
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(newest(&dir), None);
    }
}
