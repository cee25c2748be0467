//! Reads the maps of sparse files in tars by GNU tar (old header; pax formats 0.0, 0.1 and 1.0).

use std::io;

use crate::shared_file::SharedFile;

/// The parts of a sparse file that a tar stores; the holes between them are zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SparseMap {
    /// Offset in the file and number of bytes of each part, ascending.
    parts: Vec<(u64, u64)>,
    size: u64,
}

/// Fields of pax headers as pairs of key and value, in order.
type Fields = [(Vec<u8>, Vec<u8>)];

/// A map; the real name of the file, if the header has a substitute for it; and the number of bytes that the map takes
/// at the beginning of the data.
type Found = (SparseMap, Option<Vec<u8>>, u64);

const BLOCK: u64 = 512;
const MAX_PARTS: usize = 1 << 16;

impl SparseMap {
    /// Reads the map of a member from its pax fields. The member's `n_stored` bytes of data begin at `offset`. Returns
    /// `None` when the member is not sparse.
    ///
    /// # Errors
    /// When the map contradicts itself.
    pub(crate) fn of_pax(
        fields: &Fields,
        file: &SharedFile,
        offset: u64,
        n_stored: u64,
    ) -> io::Result<Option<Found>> {
        let all = |key: &str| {
            let key = format!("GNU.sparse.{key}").into_bytes();
            fields
                .iter()
                .filter(move |(k, _)| *k == key)
                .map(|(_, value)| value.as_slice())
        };
        let Some(size) = all("realsize").chain(all("size")).last() else {
            return Ok(None);
        };
        let size = number(size)?;
        let mut skipped = 0;
        let numbers: Vec<u64> = if all("major").next_back() == Some(b"1") {
            let (numbers, n_bytes) = map_in_data(file, offset, n_stored)?;
            skipped = n_bytes;
            numbers
        } else if let Some(map) = all("map").next_back() {
            let numbers = map.split(|b| *b == b',').filter(|n| !n.is_empty());
            numbers.map(number).collect::<Result<_, _>>()?
        } else {
            let pairs = all("offset").zip(all("numbytes"));
            pairs
                .flat_map(|(at, n)| [number(at), number(n)])
                .collect::<Result<_, _>>()?
        };
        if numbers.len() % 2 == 1 {
            return Err(damaged());
        }
        let parts = numbers.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        let map = Self { parts, size }.checked(n_stored.saturating_sub(skipped))?;
        Ok(Some((
            map,
            all("name").next_back().map(<[u8]>::to_vec),
            skipped,
        )))
    }

    /// Reads the map from an old GNU header at offset `header` and from the blocks after it. Returns the map and the
    /// number of bytes of those blocks.
    ///
    /// # Errors
    /// As [`of_pax`](Self::of_pax).
    pub(crate) fn of_gnu(file: &SharedFile, header: u64, n_stored: u64) -> io::Result<(Self, u64)> {
        let mut block = file.read_range(header, BLOCK)?;
        if block.len() as u64 != BLOCK {
            return Err(damaged());
        }
        let size = field(&block[483..495])?;
        let (mut entries, mut extended_at) = (386..482, 482);
        let mut parts = Vec::new();
        let mut n_blocks = 0;
        loop {
            for entry in block[entries.clone()].chunks_exact(24) {
                if entry[0] != 0 {
                    parts.push((field(&entry[..12])?, field(&entry[12..])?));
                }
            }
            if block[extended_at] == 0 {
                break;
            }
            n_blocks += 1;
            block = file.read_range(header.saturating_add(BLOCK * n_blocks), BLOCK)?;
            if block.len() as u64 != BLOCK || parts.len() > MAX_PARTS {
                return Err(damaged());
            }
            (entries, extended_at) = (0..504, 504);
        }
        let map = Self { parts, size }.checked(n_stored)?;
        Ok((map, BLOCK * n_blocks))
    }

    /// Length of the sparse file in bytes, including its holes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Number of bytes of the file that the tar stores.
    pub(crate) fn n_stored(&self) -> u64 {
        self.parts.iter().map(|(_, n)| n).sum()
    }

    /// The first `limit` bytes of the sparse file, with zeros for its holes. Its stored bytes begin at `offset` of
    /// `file`; `None` when `file` ends too early.
    pub(crate) fn read(
        &self,
        file: &SharedFile,
        offset: u64,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let end = self.size.min(limit);
        let mut bytes = Vec::with_capacity(end.min(16 << 20) as usize);
        let mut source = offset;
        for &(at, n) in self.parts.iter().filter(|(at, _)| *at < end) {
            bytes.resize(at as usize, 0);
            let wanted = n.min(end - at);
            let part = file.read_range(source, wanted)?;
            if part.len() as u64 != wanted {
                return Ok(None);
            }
            bytes.extend_from_slice(&part);
            source = source.saturating_add(n);
        }
        bytes.resize(end as usize, 0);
        Ok(Some(bytes))
    }

    fn checked(self, n_stored: u64) -> io::Result<Self> {
        let (mut position, mut stored) = (0u64, 0u64);
        for &(at, n) in &self.parts {
            let end = at.checked_add(n).filter(|end| *end <= self.size);
            let Some(end) = end.filter(|_| at >= position) else {
                return Err(damaged());
            };
            position = end;
            stored += n;
        }
        if stored > n_stored || self.parts.len() > MAX_PARTS {
            return Err(damaged());
        }
        Ok(self)
    }
}

/// Reads a map of format 1.0: lines of decimal numbers at the beginning of the data, filled up to blocks of 512 bytes.
/// Returns the numbers of all parts and the length of these blocks in bytes.
fn map_in_data(file: &SharedFile, offset: u64, n_stored: u64) -> io::Result<(Vec<u64>, u64)> {
    const MAX_BYTES: u64 = 1 << 20;
    let bytes = file.read_range(offset, n_stored.min(MAX_BYTES))?;
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut n_bytes = 0;
    let mut next = || -> io::Result<u64> {
        let line = lines.next().ok_or_else(damaged)?;
        n_bytes += line.len() as u64 + 1;
        number(line)
    };
    let n_parts = next()?;
    let n_numbers = n_parts.checked_mul(2).filter(|n| *n < MAX_BYTES);
    let numbers = (0..n_numbers.ok_or_else(damaged)?)
        .map(|_| next())
        .collect::<io::Result<_>>()?;
    let n_bytes = n_bytes.next_multiple_of(BLOCK);
    if n_bytes > n_stored {
        return Err(damaged());
    }
    Ok((numbers, n_bytes))
}

/// A number of a header: octal digits, or a byte 0x80 and a big-endian binary number.
fn field(bytes: &[u8]) -> io::Result<u64> {
    if let [0x80, rest @ ..] = bytes {
        let (high, low) = rest.split_at(rest.len() - 8);
        let is_small = high.iter().all(|b| *b == 0);
        let value = low.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        return is_small.then_some(value).ok_or_else(damaged);
    }
    let digits = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let digits = digits.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| damaged())
}

fn number(text: &[u8]) -> io::Result<u64> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(damaged)
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the map of a sparse file is damaged",
    )
}
