//! Tests of tars of all kinds: v7, GNU, pax, sparse, links, joined, cut.

mod common;

use archive::{ArchiveError, ArchiveKind, TarFile};
use common::{blocks, seal, tar_header, write};

const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

fn open(bytes: &[u8]) -> TarFile {
    let folder = tempfile::tempdir().unwrap();
    TarFile::open(&write(folder.path(), "x.tar", bytes)).unwrap()
}

fn read(tar: &TarFile) -> Vec<(String, Result<Vec<u8>, ArchiveError>)> {
    let members = tar.members().iter().enumerate();
    members
        .map(|(i, m)| {
            let name = String::from_utf8_lossy(&m.name).into_owned();
            (name, tar.read_limited(i, 1 << 20))
        })
        .collect()
}

/// The members as `(name, bytes)`; panics when one cannot be read.
fn contents(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let tar = open(bytes);
    assert_eq!(tar.damage(), None);
    let all = read(&tar).into_iter();
    all.map(|(name, bytes)| {
        (
            name.clone(),
            bytes.unwrap_or_else(|e| panic!("{name}: {e}")),
        )
    })
    .collect()
}

fn file(name: &[u8], bytes: &[u8], kind: u8, magic: &[u8]) -> Vec<u8> {
    let header = tar_header(name, bytes.len() as u64, kind, magic);
    [header.as_slice(), &blocks(bytes)].concat()
}

fn pax(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in fields {
        let mut n = key.len() + value.len() + 4;
        while format!("{n} {key}={value}\n").len() != n {
            n += 1;
        }
        text += &format!("{n} {key}={value}\n");
    }
    file(b"PaxHeaders/x", text.as_bytes(), b'x', USTAR)
}

const END: [u8; 1024] = [0; 1024];

#[test]
fn tars_before_ustar_are_read() {
    let bytes = [
        file(b"a.png", b"one", 0, b""),
        file(b"d/", b"", 0, b""),
        file(b"d/b.png", b"two", 0, b""),
        END.to_vec(),
    ]
    .concat();
    assert_eq!(ArchiveKind::of_head(&bytes[..512]), Some(ArchiveKind::Tar));
    assert_eq!(
        contents(&bytes),
        [
            ("a.png".to_owned(), b"one".to_vec()),
            ("d/b.png".to_owned(), b"two".to_vec())
        ]
    );
}

#[test]
fn sparse_members_have_zeros_in_their_holes() {
    // A sparse file of 5000 bytes: 512 bytes of 1 at offset 1024 and 100 bytes of 2 at offset 4096.
    let mut expected = vec![0; 5000];
    expected[1024..1536].fill(1);
    expected[4096..4196].fill(2);
    let data = [vec![1; 512], vec![2; 100]].concat();

    let mut header = tar_header(b"old.png", data.len() as u64, b'S', GNU);
    for (i, (at, n)) in [(1024, 512), (4096, 100), (5000, 0)].iter().enumerate() {
        let entry = format!("{at:011o}\0{n:011o}\0");
        header[386 + 24 * i..][..24].copy_from_slice(entry.as_bytes());
    }
    header[483..494].copy_from_slice(format!("{:011o}", 5000).as_bytes());
    seal(&mut header);
    let old = [header.as_slice(), &blocks(&data)].concat();

    let sizes = ("GNU.sparse.size", "5000");
    let v00 = [
        pax(&[
            sizes,
            ("GNU.sparse.numblocks", "3"),
            ("GNU.sparse.offset", "1024"),
            ("GNU.sparse.numbytes", "512"),
            ("GNU.sparse.offset", "4096"),
            ("GNU.sparse.numbytes", "100"),
            ("GNU.sparse.offset", "5000"),
            ("GNU.sparse.numbytes", "0"),
        ]),
        file(b"v00.png", &data, b'0', USTAR),
    ]
    .concat();
    let v01 = [
        pax(&[
            sizes,
            ("GNU.sparse.name", "v01.png"),
            ("GNU.sparse.numblocks", "3"),
            ("GNU.sparse.map", "1024,512,4096,100,5000,0"),
        ]),
        file(b"GNUSparseFile.1/v01.png", &data, b'0', USTAR),
    ]
    .concat();
    let map = blocks(b"3\n1024\n512\n4096\n100\n5000\n0\n");
    let v10 = [
        pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "v10.png"),
            ("GNU.sparse.realsize", "5000"),
        ]),
        file(
            b"GNUSparseFile.1/v10.png",
            &[map, data].concat(),
            b'0',
            USTAR,
        ),
    ]
    .concat();
    let plain = file(b"z.png", b"behind", b'0', USTAR);
    let bytes = [old, v00, v01, v10, plain, END.to_vec()].concat();
    let found = contents(&bytes);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["old.png", "v00.png", "v01.png", "v10.png", "z.png"]);
    for (name, bytes) in &found[..4] {
        assert_eq!(*bytes, expected, "{name}");
    }
    assert_eq!(found[4].1, b"behind");
}

#[test]
fn links_and_devices_are_named_and_hard_links_read() {
    let mut link = tar_header(b"link.png", 0, b'2', USTAR);
    link[157..168].copy_from_slice(b"/etc/passwd");
    seal(&mut link);
    let mut hard = tar_header(b"hard.png", 0, b'1', USTAR);
    hard[157..162].copy_from_slice(b"a.png");
    seal(&mut hard);
    let bytes = [
        file(b"a.png", b"one", b'0', USTAR),
        link.to_vec(),
        hard.to_vec(),
        file(b"pipe.png", b"", b'6', USTAR),
        END.to_vec(),
    ]
    .concat();
    let found = read(&open(&bytes));
    let texts: Vec<String> = found
        .iter()
        .map(|(_, r)| match r {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(error) => error.to_string(),
        })
        .collect();
    assert_eq!(
        texts,
        [
            "one",
            "a link in the tar, to '/etc/passwd'",
            "one",
            "a device in the tar"
        ]
    );
}

#[test]
fn names_in_pax_headers_and_long_names_are_whole() {
    let long = format!("{}/x.png", "d".repeat(200));
    let bytes = [
        pax(&[("path", "猫/é.png")]),
        file(b"short", b"1", b'0', USTAR),
        file(b"././@LongLink", format!("{long}\0").as_bytes(), b'L', GNU),
        file(b"cut", b"2", b'0', GNU),
        file(b"\x94\x4c.png", b"3", b'0', USTAR),
        END.to_vec(),
    ]
    .concat();
    let tar = open(&bytes);
    let names: Vec<&[u8]> = tar.members().iter().map(|m| m.name.as_slice()).collect();
    assert_eq!(
        names,
        ["猫/é.png".as_bytes(), long.as_bytes(), b"\x94\x4c.png"]
    );
}

#[test]
fn joined_tars_are_whole_and_cut_ones_say_so() {
    let one = [file(b"a.png", b"one", b'0', USTAR), END.to_vec()].concat();
    let two = [file(b"b.png", b"two", b'0', USTAR), END.to_vec()].concat();
    let joined = [one.clone(), two].concat();
    assert_eq!(contents(&joined).len(), 2);
    // Anything may follow the end of the tar.
    assert_eq!(contents(&[one.clone(), vec![9; 700]].concat()).len(), 1);
    let cut = open(&one[..514]);
    let error = cut.read_limited(0, 9).unwrap_err().to_string();
    assert!(error.contains("cut short"), "{error}");
    let damaged = [file(b"a.png", b"one", b'0', USTAR), vec![9; 512]].concat();
    assert!(open(&damaged).damage().is_some());
    // Cut inside the header of the second member.
    let both = [
        file(b"a.png", b"one", b'0', USTAR),
        file(b"b.png", b"two", b'0', USTAR),
    ]
    .concat();
    let cut = open(&both[..1024 + 140]);
    assert_eq!(cut.members().len(), 1);
    assert!(cut.damage().is_some());
    assert_eq!(open(&both).damage(), None);
    // Cut after the bytes of a member, before its block is full.
    assert!(open(&both[..512 + 100]).damage().is_some());
}

#[test]
fn mutated_tars_never_panic() {
    let mut sparse = tar_header(b"s.png", 512, b'S', GNU);
    sparse[386..410].copy_from_slice(b"00000001000\x0000000001000\0");
    sparse[483..494].copy_from_slice(b"00000002000");
    seal(&mut sparse);
    let seed = [
        sparse.to_vec(),
        vec![5; 512],
        pax(&[
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "1024"),
        ]),
        file(b"p.png", &blocks(b"1\n0\n100\n"), b'0', USTAR),
        file(b"a.png", b"one", 0, b""),
        END.to_vec(),
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let mut state = 7u64;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut n_members = 0;
    for _ in 0..1500 {
        let mut bytes = seed.clone();
        for _ in 0..1 + next(3) {
            let at = next(bytes.len());
            bytes[at] = [0, b'0', b'7', 0x80, 0xff, next(256) as u8][next(6)];
        }
        // Most headers get a right checksum again, so that the code behind the check is reached.
        for block in bytes.as_chunks_mut::<512>().0 {
            if block[100..103] == *b"000" && next(8) > 0 {
                seal(block);
            }
        }
        if next(4) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        let path = write(folder.path(), "m.tar", &bytes);
        if let Ok(tar) = TarFile::open(&path) {
            n_members += read(&tar).len();
        }
    }
    assert!(n_members > 750, "{n_members}");
}

#[test]
fn a_size_that_no_file_has_ends_the_list_with_damage() {
    for size in [1u64 << 62, 1 << 63, u64::MAX] {
        let mut header = tar_header(b"b.png", 0, b'0', GNU);
        // A binary number after a byte 0x80.
        header[124..136].copy_from_slice(&[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat());
        seal(&mut header);
        let tar = open(&[&file(b"a.png", b"one", b'0', GNU)[..], &header, &END].concat());
        assert_eq!(read(&tar)[0], ("a.png".to_owned(), Ok(b"one".to_vec())));
        let is_refused = |i| matches!(tar.read_limited(i, 9), Err(ArchiveError::CutShort(_)));
        assert!((1..tar.members().len()).all(is_refused), "{size}");
        assert!(tar.damage().is_some() || tar.members().len() == 2, "{size}");
    }
}

#[test]
fn headers_as_long_as_the_file_claims_end_the_list() {
    const CLAIMED: u64 = 4 << 30;
    for kind in [b'L', b'K', b'x'] {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = file(b"a.png", b"one", b'0', GNU);
        bytes.extend(tar_header(b"././@LongLink", CLAIMED, kind, GNU));
        let path = write(folder.path(), "x.tar", &bytes);
        // The hole takes no space on the disk.
        let long = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        long.set_len(bytes.len() as u64 + CLAIMED + 1024).unwrap();
        let tar = TarFile::open(&path).unwrap();
        let names: Vec<_> = tar.members().iter().map(|m| m.name.clone()).collect();
        assert_eq!(names, [b"a.png"], "{}", char::from(kind));
        let damage = tar.damage().unwrap();
        assert!(damage.contains("more than 4 MiB"), "{damage}");
    }
}

#[test]
fn a_long_name_is_read_and_an_impossible_one_named() {
    let long = |n: usize| {
        let name = vec![b'n'; n];
        [
            file(b"././@LongLink", &[name, vec![0]].concat(), b'L', GNU),
            file(b"short", b"one", b'0', GNU),
        ]
        .concat()
    };
    let bytes = [
        long(4000),
        long(100_000),
        file(b"b.png", b"two", b'0', GNU),
        END.to_vec(),
    ]
    .concat();
    let tar = open(&bytes);
    assert_eq!(tar.damage(), None);
    let lengths: Vec<usize> = tar.members().iter().map(|m| m.name.len()).collect();
    assert_eq!(lengths, [4000, 200, 5]);
    assert_eq!(tar.read_limited(0, 10).unwrap(), b"one");
    let error = tar.read_limited(1, 10).unwrap_err().to_string();
    assert!(error.contains("100000 bytes"), "{error}");
    assert_eq!(tar.read_limited(2, 10).unwrap(), b"two");
}

#[test]
fn hard_links_are_found_with_and_without_a_dot_in_front() {
    let link = |name: &[u8], target: &[u8]| {
        let mut header = tar_header(name, 0, b'1', USTAR);
        header[157..157 + target.len()].copy_from_slice(target);
        seal(&mut header);
        header.to_vec()
    };
    let bytes = [
        file(b"./a.png", b"one", b'0', USTAR),
        file(b"b.png", b"two", b'0', USTAR),
        link(b"c.png", b"a.png"),
        link(b"./d.png", b"./b.png"),
        END.to_vec(),
    ]
    .concat();
    let found = contents(&bytes);
    let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(bytes, [b"one", b"two", b"one", b"two"]);
}
