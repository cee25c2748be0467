//! Finds network snapshots by their file names: `network-snapshot-000200.safetensors`, or `.pkl` and `.pt` of other
//! programs.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Prefix of the file names of snapshots.
const PREFIX: &str = "network-snapshot-";

/// Extensions of network files, by precedence: of several files with the same kimg, the one whose extension comes first
/// is used.
const ENDINGS: [&str; 4] = ["safetensors", "pkl", "pt", "pth"];

/// A network snapshot in a run folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Thousands of real images seen, from the file name.
    pub kimg: u64,
    /// Path of the file.
    pub path: PathBuf,
}

impl Snapshot {
    /// The file name.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// The file name of a path as text.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The path of the snapshot that training writes after `kimg` thousand real images.
pub fn snapshot_path(run_dir: &Path, kimg: u64) -> PathBuf {
    run_dir.join(format!("{PREFIX}{kimg:06}.safetensors"))
}

/// The kimg in the name of a snapshot. The name can contain folders (of any operating system) and can lack an
/// extension. `None` for other names, such as `network-snapshot-best.pkl` or `ffhq512.pkl`.
pub fn snapshot_kimg(name: &str) -> Option<u64> {
    let rest = name.rsplit(['/', '\\']).next()?.strip_prefix(PREFIX)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The snapshots in a folder, ascending by kimg, with one file for each number of kimg.
///
/// # Errors
/// `Unreadable` when the folder cannot be read.
pub fn snapshot_files(folder: &Path) -> Result<Vec<Snapshot>> {
    let mut found: Vec<(u64, usize, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::unreadable(folder))? {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((stem, ending)) = name.rsplit_once('.') else {
            continue;
        };
        let number = stem
            .strip_prefix(PREFIX)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok());
        let kind = ENDINGS.iter().position(|known| *known == ending);
        if let (Some(kimg), Some(kind)) = (number, kind) {
            found.push((kimg, kind, path));
        }
    }
    found.sort();
    found.dedup_by_key(|(kimg, ..)| *kimg);
    Ok(found
        .into_iter()
        .map(|(kimg, _, path)| Snapshot { kimg, path })
        .collect())
}

/// The network file in a folder whose name begins with `network`, such as `network-final.pkl`; `None` unless there is
/// exactly one.
pub(crate) fn only_network_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::unreadable(folder))? {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if name.starts_with("network") && ENDINGS.contains(&ending) {
            found.push(path);
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// Removes snapshots of this program, except the newest `keep` (at least one) and those whose names are in `best`.
/// `current` is the file name of the snapshot written last. Snapshots with more kimg than `current` remain from before
/// the run resumed; they are neither counted nor removed.
///
/// # Errors
/// `File` when the folder cannot be read, or a file cannot be removed.
pub fn remove_old_snapshots<'a>(
    run_dir: &Path,
    keep: usize,
    current: &str,
    best: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(run_dir).map_err(Error::file(run_dir))? {
        let entry = entry.map_err(Error::file(run_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own = name.starts_with(PREFIX) && name.ends_with(".safetensors");
        if is_own && name.as_str() <= current {
            names.push(name);
        }
    }
    names.sort();
    names.reverse();
    for name in names.iter().skip(keep.max(1)) {
        if !best.clone().any(|best| best == name) {
            let path = run_dir.join(name);
            std::fs::remove_file(&path).map_err(Error::file(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kimg_is_read_from_the_name() {
        for (name, wanted) in [
            ("network-snapshot-000200.pkl", Some(200)),
            ("network-snapshot-000200", Some(200)),
            ("network-snapshot-1000000.safetensors", Some(1_000_000)),
            ("runs/00001-x2/network-snapshot-000004.pt", Some(4)),
            ("C:\\runs\\00001\\network-snapshot-000004.pkl", Some(4)),
            ("network-snapshot-000200-fp16.pkl", Some(200)),
            ("network-snapshot-best.pkl", None),
            ("network-snapshot-.pkl", None),
            ("network-final.pkl", None),
            ("ffhq512.pkl", None),
            ("00012-run", None),
            ("", None),
        ] {
            assert_eq!(snapshot_kimg(name), wanted, "{name}");
        }
    }

    #[test]
    fn snapshots_are_in_the_order_of_kimg_one_of_each() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        let only = || only_network_file(folder.path()).unwrap();
        assert_eq!(only(), None);
        put("network-final.pkl");
        assert!(only().unwrap().ends_with("network-final.pkl"));
        put("network-snapshot-best.pkl");
        assert_eq!(only(), None, "two without a number");
        for name in [
            "network-snapshot-999999.safetensors",
            "network-snapshot-1000000.pkl",
            "network-snapshot-1000000.pt",
            "network-snapshot-2000000.txt",
            "network-snapshot-000200 (1).pkl",
            "network-snapshot-000200-copy.pkl",
        ] {
            put(name);
        }
        let files = snapshot_files(folder.path()).unwrap();
        let names: Vec<String> = files.iter().map(Snapshot::name).collect();
        let expected = [
            "network-snapshot-999999.safetensors",
            "network-snapshot-1000000.pkl",
        ];
        assert_eq!(names, expected);
        assert_eq!((files[0].kimg, files[1].kimg), (999_999, 1_000_000));
    }

    #[test]
    fn old_snapshots_are_removed_except_the_best_and_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        for kimg in 0..6 {
            std::fs::write(snapshot_path(folder.path(), kimg), "").unwrap();
        }
        let name = |kimg| name_of(&snapshot_path(folder.path(), kimg));
        remove_old_snapshots(folder.path(), 2, &name(4), [name(1).as_str()].into_iter()).unwrap();
        let kept = snapshot_files(folder.path()).unwrap();
        let kept: Vec<u64> = kept.iter().map(|snapshot| snapshot.kimg).collect();
        assert_eq!(kept, [1, 3, 4, 5]);
    }
}
