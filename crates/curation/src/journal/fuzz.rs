//! Fuzz test of damaged journals: every record that is read is one that was written.

use super::*;
use crate::record::{Outcome, Reason};
use test_support::fuzz::fuzz;

fn record(i: usize) -> Record {
    Record {
        source: format!("folder/{i}.png"),
        stamp: format!("file {i} {}", i * 7919),
        sha256: format!("{:064x}", i * 31),
        outcome: Outcome::Failed {
            reason: [Reason::Empty, Reason::Truncated][i % 2],
            detail: "x".repeat(i),
        },
    }
}

#[test]
fn damaged_journals_give_back_whole_records_or_none() {
    let written: Vec<Record> = (0..12).map(record).collect();
    let header = Header {
        journal: VERSION,
        fingerprint: "f".to_owned(),
    };
    let mut seed = with_checksum(&header).unwrap();
    for record in &written {
        seed.extend(with_checksum(record).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.jsonl");
    let tokens: [&[u8]; 6] = [
        b"\n",
        b"\"",
        b"}",
        b"\0\0\0\0\0\0\0\0",
        b",\"crc\":\"",
        b"{",
    ];
    fuzz(
        "journals",
        &[seed],
        &tokens,
        |_| usize::MAX,
        |bytes| {
            fs::write(&path, bytes).unwrap();
            let (journal, found) = Journal::open(folder.path(), "f").unwrap();
            for (source, read) in &journal.records {
                let original = written.iter().find(|original| original.source == *source);
                assert_eq!(Some(read), original, "a damaged record was read");
            }
            // Opening has repaired the file: a record that is appended now is read by the next run.
            journal.append(&[], |_| record(99)).unwrap();
            drop(journal);
            let (journal, again) = Journal::open(folder.path(), "f").unwrap();
            assert!(journal.records.contains_key("folder/99.png"), "{again:?}");
            matches!(found, JournalState::Records { n_damaged: 0, .. })
        },
    );
}
