//! Lengths of the files to which a run appends. They are saved with a training state; when the run resumes, each file
//! is cut back to its saved length. Files with metric results are never cut, because `eval run` appends to them, too.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;

use crate::error::{Error, Result};
use crate::names::{is_events, is_growing, metric_of};
use crate::tensorboard::whole_length as whole_events;

/// The lengths in bytes of the log, statistics, event and metric result files of a run, by file name.
///
/// # Errors
/// `File` when the folder or a length cannot be read.
pub fn file_lengths(run_dir: &Path) -> Result<BTreeMap<String, u64>> {
    let mut lengths = BTreeMap::new();
    for entry in std::fs::read_dir(run_dir).map_err(Error::file(run_dir))? {
        let entry = entry.map_err(Error::file(run_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_growing(&name) || metric_of(&name).is_some() {
            // The length of the file, not that of a link to it.
            let metadata = std::fs::metadata(entry.path()).map_err(Error::file(&entry.path()))?;
            lengths.insert(name, metadata.len());
        }
    }
    Ok(lengths)
}

const EVALUATE_AGAIN: &str = "`eval run` on the folder computes them again";

/// Cuts the log, statistics and event files back to their saved lengths, and removes such files when they have no saved
/// length. A file that is damaged before its saved length, as after a power failure, is cut after its last complete
/// record. Metric result files are only checked. Returns a message for each file that lost records.
///
/// # Errors
/// `File` when a file cannot be read, cut or removed.
pub fn cut_back(run_dir: &Path, lengths: &BTreeMap<String, u64>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for name in file_lengths(run_dir)?.into_keys() {
        let path = run_dir.join(&name);
        let Some(&saved) = lengths.get(&name) else {
            if is_growing(&name) {
                std::fs::remove_file(&path).map_err(Error::file(&path))?;
            }
            continue;
        };
        let bytes = files::read_input(&path, u64::MAX).map_err(Error::file(&path))?;
        let kept = &bytes[..bytes
            .len()
            .min(usize::try_from(saved).unwrap_or(usize::MAX))];
        let whole = whole_length(&name, kept) as u64;
        if metric_of(&name).is_some() {
            if whole < saved {
                warnings.push(format!(
                    "'{}' has lost results: {EVALUATE_AGAIN}",
                    path.display()
                ));
            }
            continue;
        }
        if whole < saved {
            warnings.push(format!(
                "'{}' has lost {} bytes that were there when the state was saved: it continues after its last complete record",
                path.display(),
                saved - whole
            ));
        }
        if whole < bytes.len() as u64 {
            OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(whole))
                .map_err(Error::file(&path))?;
        }
    }
    for name in lengths.keys().filter(|name| !run_dir.join(name).exists()) {
        let what = if metric_of(name).is_some() {
            EVALUATE_AGAIN
        } else {
            "a new one is started"
        };
        warnings.push(format!(
            "'{}' is lost: {what}",
            run_dir.join(name).display()
        ));
    }
    Ok(warnings)
}

/// Number of bytes up to the end of the last complete record or line. Blocks that were not written before a power
/// failure read as zero bytes, which text lines do not contain.
fn whole_length(name: &str, bytes: &[u8]) -> usize {
    if is_events(name) {
        return whole_events(bytes);
    }
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes[..end]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growing_file::GrowingFile;
    use crate::names::{LOG, STATS};

    #[test]
    fn growing_files_are_cut_back_to_what_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let mut file = GrowingFile::open(dir.path().join(name)).unwrap();
            file.line(text).unwrap();
        };
        write(STATS, "one");
        write("fakes.txt", "stays");
        let lengths = file_lengths(dir.path()).unwrap();
        assert_eq!(lengths, BTreeMap::from([(STATS.to_owned(), 4)]));
        write(STATS, "two");
        write(LOG, "new");
        cut_back(dir.path(), &lengths).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert_eq!(read(STATS).unwrap(), "one\n");
        assert_eq!(read(LOG), None);
        assert_eq!(read("fakes.txt").unwrap(), "stays\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_log_behind_a_link_keeps_its_link_and_its_lines() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().join("stats on another disk");
        std::fs::write(&target, "a line\n").unwrap();
        let link = dir.path().join(STATS);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let lengths = file_lengths(dir.path()).unwrap();
        assert_eq!(lengths, BTreeMap::from([(STATS.to_owned(), 7)]));
        let mut file = GrowingFile::open(link.clone()).unwrap();
        file.line("a newer line").unwrap();
        assert_eq!(cut_back(dir.path(), &lengths).unwrap(), [""; 0]);
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "a line\n");
    }

    #[test]
    fn results_are_never_cut_and_lost_ones_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let names = ["fid50k_full", "kid50k_full", "pr50k3_full"];
        let [grown, damaged, lost] = names.map(|metric| format!("metric-{metric}.jsonl"));
        let three = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        for name in [&grown, &damaged, &lost] {
            write(name, three);
        }
        let lengths = file_lengths(dir.path()).unwrap();
        // `eval run` has appended to one file, and a power failure has damaged the others.
        let longer = format!("{three}{{\"a\":4}}\n");
        write(&grown, &longer);
        let shorter = "{\"a\":1}\n{\"a\":2}\n{\"a\"\0\0\0\0";
        write(&damaged, shorter);
        std::fs::remove_file(dir.path().join(&lost)).unwrap();
        let warnings = cut_back(dir.path(), &lengths).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read(&grown), longer);
        assert_eq!(read(&damaged), shorter);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let is_reported = |name: &str, what: &str| {
            warnings
                .iter()
                .any(|w| w.contains(name) && w.contains(what) && w.contains("eval run"))
        };
        assert!(is_reported(&damaged, "has lost results"), "{warnings:?}");
        assert!(is_reported(&lost, "is lost"), "{warnings:?}");
    }

    #[test]
    fn a_log_that_is_shorter_than_recorded_ends_with_a_complete_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(STATS);
        std::fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
        let lengths = file_lengths(dir.path()).unwrap();
        std::fs::write(&path, "{\"a\":1}\n{\"a").unwrap();
        let warnings = cut_back(dir.path(), &lengths).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert!(
            warnings[0].contains(STATS) && warnings[0].contains("lost 8 bytes"),
            "{warnings:?}"
        );
    }
}
