//! Tests of zips of all kinds: names, duplicates, zip64, members that cannot be read.

mod common;

use archive::names::{CodePage, Speller};
use archive::{ArchiveError, ZipFile};
use common::{Member, UTF8, member, unicode_path, write, zip, zip_with};

fn open(bytes: &[u8]) -> Result<ZipFile, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    ZipFile::open(&write(folder.path(), "x.zip", bytes))
}

fn names(zip: &ZipFile) -> Vec<String> {
    let mut speller = Speller::new("");
    let members = zip.members().iter();
    members
        .map(|m| speller.spell(&m.name.raw, m.name.page))
        .collect()
}

#[test]
fn every_record_is_a_member_also_of_one_name() {
    let bytes = zip(&[
        member(b"a.png", b"one"),
        member(b"b/", b""),
        member(b"a.png", b"two"),
    ]);
    let zip = open(&bytes).unwrap();
    let folders: Vec<bool> = zip.members().iter().map(|m| m.is_folder()).collect();
    assert_eq!(folders, [false, true, false]);
    assert_eq!(zip.read(0).unwrap(), b"one");
    assert_eq!(zip.read(2).unwrap(), b"two");
    assert_eq!(zip.read_limited(2, 2).unwrap(), b"tw");
}

#[test]
fn names_follow_flag_and_unicode_field() {
    let cp932 = b"\x94\x4c.png".as_slice();
    let with = |raw: &[u8], flags, extra| Member {
        flags,
        extra,
        ..member(raw, b"x")
    };
    let stale = unicode_path(b"other name", "old.png");
    let zip = open(&zip(&[
        with(cp932, 0, Vec::new()),
        with("é.png".as_bytes(), UTF8, Vec::new()),
        // CP437 with the Unicode path field beside it, as Info-ZIP writes.
        with(b"\x82.png", 0, unicode_path(b"\x82.png", "é2.png")),
        with(b"?.png", 0, unicode_path(b"?.png", "猫3.png")),
        with(b"new.png", 0, stale),
        // Flagged as UTF-8, but it is not.
        with(b"\xff.png", UTF8, Vec::new()),
        with(b"caf\x82.png", 0, Vec::new()),
    ]))
    .unwrap();
    assert_eq!(
        names(&zip),
        [
            "猫.png",
            "é.png",
            "é2.png",
            "猫3.png",
            "new.png",
            "\\xFF.png",
            "café.png"
        ]
    );
    assert_eq!(zip.members()[1].name.page, CodePage::Unknown);
}

#[test]
fn zip64_fields_and_ends_are_read() {
    let wide = Member {
        is_zip64: true,
        ..member(b"a.png", b"wide")
    };
    for (what, bytes) in [
        ("member", zip(&[member(b"0", b"0"), wide.clone()])),
        ("end", zip_with(&[member(b"0", b"0"), wide.clone()], true)),
        (
            "data before it",
            [
                b"#!/bin/sh\n".to_vec(),
                zip_with(&[member(b"0", b"0"), wide], true),
            ]
            .concat(),
        ),
        (
            "data after it",
            [
                zip(&[member(b"0", b"0"), member(b"a.png", b"wide")]),
                vec![7; 99],
            ]
            .concat(),
        ),
    ] {
        let zip = open(&bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(zip.read(1).unwrap(), b"wide", "{what}");
    }
}

#[test]
fn a_zip_of_a_writer_reads_back_and_damage_is_noticed() {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    let bytes: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    writer.start_file("a.png", options).unwrap();
    writer.write_all(&bytes).unwrap();
    let file = writer.finish().unwrap().into_inner();
    assert_eq!(open(&file).unwrap().read(0).unwrap(), bytes);
    let mut damaged = file.clone();
    damaged[file.len() / 2] ^= 0x55;
    let error = open(&damaged).unwrap().read(0).unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged(_)), "{error}");
}

#[test]
fn members_that_are_not_read_say_why() {
    let with = |method, flags| Member {
        method,
        flags,
        ..member(b"a.png", b"x")
    };
    let mut members = vec![with(0, 1), with(99, 1), with(9, 0), with(12, 0)];
    members.extend([14, 93, 95, 98, 77].map(|method| with(method, 0)));
    let zip = open(&zip(&members)).unwrap();
    let words = [
        "encrypted",
        "encrypted",
        "Deflate64",
        "bzip2",
        "LZMA",
        "Zstandard",
        "XZ",
        "PPMd",
        "method 77",
    ];
    for (i, word) in words.iter().enumerate() {
        let error = zip.read(i).unwrap_err();
        assert!(matches!(error, ArchiveError::Unsupported(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn files_that_are_no_zips_say_what_they_are() {
    let whole = zip(&[member(b"a.png", &[1; 999]), member(b"b.png", &[2; 999])]);
    let mut parts = whole.clone();
    let end = parts.len() - 22;
    parts[end + 4] = 2;
    for (bytes, word) in [
        (b"".as_slice(), "an empty file"),
        (
            b"<!DOCTYPE html><html><body>Quota</body></html>",
            "a web page",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid x\n",
            "git lfs pull",
        ),
        (&[0; 4096], "begins with zero bytes"),
        (b"Rar!\x1a\x07\x00 more", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c more", "a 7z archive"),
        (b"\x1f\x8b\x08\0 more", "gzip"),
        (&whole[..whole.len() / 2], "cut short"),
        (&whole[..whole.len() - 10], "cut short"),
        (&whole[..4], "cut short"),
        (&whole[1200..], "missing"),
        (b"PK\x07\x08PK\x03\x04", "several parts"),
        (&parts, "several parts"),
    ] {
        let error = open(bytes).expect_err(word).to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn mutated_zips_never_panic() {
    let seed = zip_with(
        &[
            member(b"a.png", &[7; 200]),
            Member {
                is_zip64: true,
                extra: unicode_path(b"b", "ö"),
                ..member(b"b", b"bytes")
            },
            Member {
                method: 8,
                // "hello" deflated by zlib.
                ..member(b"c", b"\xcb\x48\xcd\xc9\xc9\x07\x00")
            },
        ],
        true,
    );
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1u64;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut n_open = 0;
    for _ in 0..1500 {
        let mut bytes = seed.clone();
        for _ in 0..1 + next(4) {
            let at = next(bytes.len());
            bytes[at] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
        }
        if next(4) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        let path = write(folder.path(), "m.zip", &bytes);
        if let Ok(zip) = ZipFile::open(&path) {
            n_open += 1;
            names(&zip);
            for i in 0..zip.members().len() {
                // The limit bounds the memory that is needed.
                let _ = zip.read_limited(i, 1 << 20);
            }
        }
    }
    assert!(n_open > 300, "{n_open}");
}

#[test]
fn a_position_that_no_file_has_is_damage() {
    let mut bytes = zip(&[Member {
        is_zip64: true,
        ..member(b"a.png", b"one")
    }]);
    // The position of the local header is the last number of the zip64 field of the record, right before the end
    // record.
    let at = bytes.len() - 22 - 8;
    bytes[at..at + 8].copy_from_slice(&(1u64 << 63).to_le_bytes());
    let error = open(&bytes).unwrap().read(0).unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged(_)), "{error:?}");
}

#[test]
fn members_that_share_bytes_are_refused_by_name() {
    // The records of both a and b refer to the member a.
    let mut bytes = zip(&[
        member(b"a.png", &[7; 1000]),
        member(b"b.png", &[8; 1000]),
        member(b"c.png", &[9; 1000]),
    ]);
    let second = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let records: Vec<usize> = (0..bytes.len() - 4)
        .filter(|&at| bytes[at..].starts_with(b"PK\x01\x02"))
        .collect();
    assert_eq!((records.len(), records[2]), (3, second));
    // The record of b gets the position and the checksum of a.
    let (a, b) = (records[0], records[1]);
    bytes.copy_within(a + 16..a + 20, b + 16);
    bytes.copy_within(a + 42..a + 46, b + 42);
    let sharing = open(&bytes).unwrap();
    let read = |i: usize| sharing.read(i).map_err(|e| e.to_string());
    assert_eq!(
        read(0).unwrap_err(),
        "damaged: its bytes are also those of the next member"
    );
    assert_eq!(read(1).unwrap(), [7; 1000]);
    assert_eq!(read(2).unwrap(), [9; 1000]);
    // A size beyond the following members makes only that member unreadable.
    let mut bytes = zip(&[member(b"a.png", &[7; 1000]), member(b"b.png", &[8; 1000])]);
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 20..at + 24].copy_from_slice(&2000u32.to_le_bytes());
    bytes[at + 24..at + 28].copy_from_slice(&2000u32.to_le_bytes());
    let zip = open(&bytes).unwrap();
    assert!(zip.read(0).is_err());
    assert_eq!(zip.read(1).unwrap(), [8; 1000]);
}

#[test]
fn a_directory_of_gigabytes_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let end64 = zip_with(&[], true);
    let path = folder.path().join("x.zip");
    let hole = 3u64 << 30;
    let mut end = end64.clone();
    end[40..48].copy_from_slice(&hole.to_le_bytes());
    end[48..56].copy_from_slice(&0u64.to_le_bytes());
    let locator = end.windows(4).position(|w| w == b"PK\x06\x07").unwrap();
    end[locator + 8..locator + 16].copy_from_slice(&hole.to_le_bytes());
    {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = std::fs::File::create(&path).unwrap();
        file.seek(SeekFrom::Start(hole)).unwrap();
        file.write_all(&end).unwrap();
    }
    let error = ZipFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("at most 2048 MiB"), "{error}");
}
