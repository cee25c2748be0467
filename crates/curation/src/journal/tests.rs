//! Tests of journals after kills, damage and misuse.

use super::*;
use crate::record::{Outcome, Reason};

fn record(source: &str) -> Record {
    let outcome = Outcome::Failed {
        reason: Reason::Empty,
        detail: "x".into(),
    };
    Record {
        source: source.into(),
        stamp: "s".into(),
        sha256: String::new(),
        outcome,
    }
}

fn open(folder: &Path, fingerprint: &str) -> (Journal, JournalState) {
    Journal::open(folder, fingerprint).unwrap()
}

#[test]
fn records_survive_and_torn_tails_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let (journal, found) = open(&path, "f");
    assert_eq!(found, JournalState::Empty);
    let mut place = None;
    for name in ["a", "b", "c"] {
        journal
            .append(&[name.repeat(10).as_bytes()], |blobs| {
                place = Some(blobs[0]);
                record(name)
            })
            .unwrap();
    }
    assert_eq!(
        journal.read(&place.unwrap()).unwrap(),
        "c".repeat(10).as_bytes()
    );
    drop(journal);
    let lines = path.join("records.jsonl");
    let whole = fs::read(&lines).unwrap();
    for cut in 1..40 {
        fs::write(&lines, &whole[..whole.len() - cut]).unwrap();
        let (journal, found) = open(&path, "f");
        let n_damaged = usize::from(cut > 0);
        assert_eq!(
            found,
            JournalState::Records { n: 2, n_damaged },
            "cut {cut}"
        );
        assert!(journal.get("b", "s").is_some() && journal.get("c", "s").is_none());
        assert!(journal.get("b", "other").is_none());
        drop(journal);
    }
    assert_eq!(open(&path, "g").1, JournalState::OtherSettings);
    let none = JournalState::Records { n: 0, n_damaged: 0 };
    assert_eq!(open(&path, "g").1, none);
}

#[test]
fn a_second_run_on_the_same_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_journal, _) = open(folder.path(), "f");
    let error = Journal::open(folder.path(), "f").unwrap_err();
    assert!(error.to_string().contains("another run"), "{error}");
}

#[test]
fn files_of_the_user_are_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let refused = || Journal::open(&path, "f").unwrap_err().to_string();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("records.jsonl"), "my notes\n").unwrap();
    assert!(refused().contains("records.jsonl' is not of a journal"));
    assert_eq!(fs::read(path.join("records.jsonl")).unwrap(), b"my notes\n");
    fs::remove_file(path.join("records.jsonl")).unwrap();
    fs::write(path.join("a.jpg"), "an image").unwrap();
    assert!(refused().contains("a.jpg' is no part of a journal"));
    fs::remove_file(path.join("a.jpg")).unwrap();
    #[cfg(unix)]
    {
        let kept = folder.path().join("keep.txt");
        fs::write(&kept, "kept").unwrap();
        std::os::unix::fs::symlink(&kept, path.join("blobs.bin")).unwrap();
        assert!(refused().contains("blobs.bin' is no ordinary file"));
        assert_eq!(fs::read(&kept).unwrap(), b"kept");
        fs::remove_file(path.join("blobs.bin")).unwrap();
    }
    // Files that an earlier version or a power cut left are replaced.
    for left in [&b"{\"journal\":1,\"fingerprint\":\"x\"}\n"[..], &[0; 5000]] {
        fs::write(path.join("records.jsonl"), left).unwrap();
        drop(open(&path, "f"));
    }
}

#[test]
fn damaged_blobs_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), "f");
    let mut place = None;
    journal
        .append(&[b"0123456789"], |blobs| {
            place = Some(blobs[0]);
            record("a")
        })
        .unwrap();
    fs::write(folder.path().join("blobs.bin"), b"0123X56789").unwrap();
    assert!(journal.read(&place.unwrap()).is_err());
}

/// Writes a journal of ten records, each with a blob of 20 bytes.
fn ten(folder: &Path) {
    let (journal, _) = open(folder, "f");
    for i in 0..10 {
        journal
            .append(&[&[i; 20]], |_| record(&format!("r{i}")))
            .unwrap();
    }
}

#[test]
fn every_flipped_bit_of_a_line_is_noticed_and_costs_that_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    ten(folder.path());
    let path = folder.path().join("records.jsonl");
    let whole = fs::read(&path).unwrap();
    let start = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
    let (mut line, mut n_lines) = (start, 0);
    while line < whole.len() {
        let length = whole[line..].iter().position(|&b| b == b'\n').unwrap();
        for bit in (0..length * 8).step_by(13) {
            let mut bytes = whole.clone();
            bytes[line + bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            let (journal, found) = open(folder.path(), "f");
            let JournalState::Records { n, n_damaged } = found else {
                panic!("bit {bit} of line {n_lines}: {found:?}");
            };
            // A line feed that appears or disappears damages the neighboring line too.
            assert!(
                n >= 8 && n_damaged >= 1,
                "bit {bit} of line {n_lines}: {found:?}"
            );
            for i in (0..10_usize).filter(|i| i.abs_diff(n_lines) > 1) {
                assert!(journal.get(&format!("r{i}"), "s").is_some());
            }
        }
        line += length + 1;
        n_lines += 1;
    }
    assert_eq!(n_lines, 10);
}

#[test]
fn zeros_at_the_end_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    ten(folder.path());
    let path = folder.path().join("records.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    let n = bytes.len();
    bytes[n - 100..].fill(0);
    fs::write(&path, &bytes).unwrap();
    let (journal, found) = open(folder.path(), "f");
    let JournalState::Records { n, .. } = found else {
        panic!("{found:?}");
    };
    assert!((7..10).contains(&n), "{n}");
    journal.append(&[], |_| record("new")).unwrap();
    drop(journal);
    let (journal, found) = open(folder.path(), "f");
    assert_eq!(
        found,
        JournalState::Records {
            n: n + 1,
            n_damaged: 0
        }
    );
    assert!(journal.get("new", "s").is_some());
}
