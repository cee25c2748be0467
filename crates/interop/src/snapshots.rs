//! The snapshots in the folder of a run, by their names: `network-snapshot-000200.pkl`.

use std::io;
use std::path::{Path, PathBuf};

/// Names of snapshots begin so.
const PREFIX: &str = "network-snapshot-";

/// Endings of files that hold networks. Of several files of one moment the first kind is taken.
const ENDINGS: [&str; 4] = ["safetensors", "pkl", "pt", "pth"];

/// A file of networks in the folder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Thousands of images that training had shown, by the name.
    pub kimg: u64,
    /// The file.
    pub path: PathBuf,
}

/// The count of kimg in the name of a snapshot, with or without folders (of any system) and ending. `None` for other
/// names, as `network-snapshot-best.pkl` or `ffhq512.pkl`.
pub fn snapshot_kimg(name: &str) -> Option<u64> {
    let rest = name.rsplit(['/', '\\']).next()?.strip_prefix(PREFIX)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The numbered snapshots in a folder in the order of their numbers, one of each number.
///
/// # Errors
/// When the folder cannot be read.
pub fn snapshot_files(folder: &Path) -> io::Result<Vec<SnapshotFile>> {
    let mut found: Vec<(u64, usize, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
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
        .map(|(kimg, _, path)| SnapshotFile { kimg, path })
        .collect())
}

/// The snapshot with the highest number in a folder; without numbers, the only file of networks whose name begins with
/// `network`, as `network-final.pkl`.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest_snapshot(folder: &Path) -> io::Result<Option<PathBuf>> {
    if let Some(newest) = snapshot_files(folder)?.pop() {
        return Ok(Some(newest.path));
    }
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if name.starts_with("network") && ENDINGS.contains(&ending) {
            others.push(path);
        }
    }
    Ok(others.pop().filter(|_| others.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_name_alone() {
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
    fn the_newest_is_the_one_of_the_highest_number() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        let newest = || {
            let path = newest_snapshot(folder.path()).unwrap();
            path.map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        };
        assert_eq!(newest(), None);
        put("network-final.pkl");
        assert_eq!(newest().as_deref(), Some("network-final.pkl"));
        put("network-snapshot-best.pkl");
        assert_eq!(newest(), None, "two without a number");
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
        assert_eq!(newest().as_deref(), Some("network-snapshot-1000000.pkl"));
        let kimg: Vec<u64> = snapshot_files(folder.path())
            .unwrap()
            .iter()
            .map(|file| file.kimg)
            .collect();
        assert_eq!(kimg, [999_999, 1_000_000]);
    }
}
