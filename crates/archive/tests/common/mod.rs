//! Builds zips and tars byte by byte, including some that no program writes.

#![allow(dead_code, reason = "each test uses some")]

use std::path::{Path, PathBuf};

/// A stored member of a zip.
#[derive(Clone, Default)]
pub struct Member {
    pub name: Vec<u8>,
    pub bytes: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    /// Extra fields of the record in the directory.
    pub extra: Vec<u8>,
    /// Whether both sizes and the position are in a zip64 field.
    pub is_zip64: bool,
}

pub const UTF8: u16 = 1 << 11;

pub fn member(name: &[u8], bytes: &[u8]) -> Member {
    Member {
        name: name.to_vec(),
        bytes: bytes.to_vec(),
        ..Member::default()
    }
}

/// Info-ZIP's Unicode path field with the name `text` for the raw name `raw`.
pub fn unicode_path(raw: &[u8], text: &str) -> Vec<u8> {
    let mut field = vec![1];
    field.extend(crc32fast::hash(raw).to_le_bytes());
    field.extend(text.as_bytes());
    let mut extra = 0x7075u16.to_le_bytes().to_vec();
    extra.extend((field.len() as u16).to_le_bytes());
    extra.extend(field);
    extra
}

pub fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, false)
}

/// A zip of these members, with zip64 end records if `has_end64`.
pub fn zip_with(members: &[Member], has_end64: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let short = |out: &mut Vec<u8>, v: u16| out.extend(v.to_le_bytes());
    let long = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
    for m in members {
        let at = out.len() as u32;
        let (size, crc) = (m.bytes.len() as u32, crc32fast::hash(&m.bytes));
        out.extend(b"PK\x03\x04");
        [20, m.flags, m.method, 0, 0x21]
            .iter()
            .for_each(|v| short(&mut out, *v));
        [crc, size, size].iter().for_each(|v| long(&mut out, *v));
        [m.name.len() as u16, 0]
            .iter()
            .for_each(|v| short(&mut out, *v));
        out.extend(&m.name);
        out.extend(&m.bytes);
        let mut extra = m.extra.clone();
        let mut fields = [size, size, at];
        if m.is_zip64 {
            extra.extend([1, 0, 24, 0]);
            fields
                .iter()
                .for_each(|v| extra.extend(u64::from(*v).to_le_bytes()));
            fields = [u32::MAX; 3];
        }
        let d = &mut directory;
        d.extend(b"PK\x01\x02");
        [0x031e, 20, m.flags, m.method, 0, 0x21]
            .iter()
            .for_each(|v| short(d, *v));
        [crc, fields[0], fields[1]].iter().for_each(|v| long(d, *v));
        [m.name.len() as u16, extra.len() as u16, 0, 0, 0]
            .iter()
            .for_each(|v| short(d, *v));
        [0o100_644 << 16, fields[2]]
            .iter()
            .for_each(|v| long(d, *v));
        d.extend(&m.name);
        d.extend(&extra);
    }
    let (start, size, n) = (out.len(), directory.len(), members.len());
    out.extend(directory);
    let mut fields = (n as u16, size as u32, start as u32);
    if has_end64 {
        let end64 = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        [45, 45].iter().for_each(|v| short(&mut out, *v));
        [0, 0].iter().for_each(|v| long(&mut out, *v));
        [n as u64, n as u64, size as u64, start as u64]
            .iter()
            .for_each(|v| out.extend(v.to_le_bytes()));
        out.extend(b"PK\x06\x07");
        long(&mut out, 0);
        out.extend(end64.to_le_bytes());
        long(&mut out, 1);
        fields = (u16::MAX, u32::MAX, u32::MAX);
    }
    out.extend(b"PK\x05\x06");
    [0, 0, fields.0, fields.0]
        .iter()
        .for_each(|v| short(&mut out, *v));
    [fields.1, fields.2].iter().for_each(|v| long(&mut out, *v));
    short(&mut out, 0);
    out
}

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A tar header with a right checksum; `magic` is that of ustar or GNU, or zeros for v7.
pub fn tar_header(name: &[u8], size: u64, kind: u8, magic: &[u8]) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = kind;
    header[257..257 + magic.len()].copy_from_slice(magic);
    seal(&mut header);
    header
}

/// Writes the right checksum into a tar header.
pub fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// The bytes, filled up with zeros to whole blocks of 512.
pub fn blocks(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
