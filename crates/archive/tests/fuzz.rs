//! Fuzz tests with damaged zips and tars: members read back unchanged, or give errors.

use std::fs;
use std::io::Write;

use archive::{TarFile, ZipFile};
use test_support::fuzz::{Counting, fuzz};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Names of the members; the last one is repeated to 240 bytes, which needs an extended header in a tar.
const NAMES: [&str; 3] = ["a.png", "folder/b.png", "long"];

fn content(i: usize) -> Vec<u8> {
    (0..300 + 200 * i).map(|at| (at * (i + 3)) as u8).collect()
}

fn name(i: usize) -> String {
    NAMES[i].repeat(if i == 2 { 60 } else { 1 })
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for i in 0..3 {
        let method = [
            zip::CompressionMethod::Stored,
            zip::CompressionMethod::Deflated,
        ][i % 2];
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(name(i), options).unwrap();
        zip.write_all(&content(i)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for i in 0..3 {
        let mut header = tar::Header::new_gnu();
        header.set_size(content(i).len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name(i), &content(i)[..])
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// Largest memory in bytes for a file of this length. Readers reserve up to 16 MiB for a size that a header claims.
fn most_memory(length: usize) -> usize {
    50 * length + (20 << 20)
}

#[test]
fn damaged_zips_give_what_was_packed_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let tokens: [&[u8]; 6] = [
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"\x01\x00",
        b"\xff\xff\xff\xff",
        b"\0",
    ];
    fuzz("zips", &[zip()], &tokens, most_memory, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(zip) = ZipFile::open(&path) else {
            return false;
        };
        (0..zip.members().len()).all(|i| zip.read(i).is_ok())
    });
}

#[test]
fn damaged_tars_give_members_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let tokens: [&[u8]; 6] = [
        b"ustar",
        b"\x80\xff\xff\xff\xff\xff\xff\xff",
        b"L",
        b"x",
        b"77777777777",
        b"\0",
    ];
    fuzz("tars", &[tar()], &tokens, most_memory, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(tar) = TarFile::open(&path) else {
            return false;
        };
        let is_read = |i| tar.read_limited(i, 1 << 20).is_ok();
        (0..tar.members().len()).all(is_read) && tar.damage().is_none()
    });
}
