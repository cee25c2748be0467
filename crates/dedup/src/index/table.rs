//! The table of one chunk: the hashes sorted into buckets by that chunk's 16 bits.

/// Number of chunks that a hash is cut into.
pub const CHUNKS: usize = 4;

/// Returns the bits `chunk`, `chunk + 4`, `chunk + 8`, ... of a hash as a 16-bit number.
///
/// Chunks are interleaved so that the low-frequency bits of a perceptual hash, which are strongly correlated, are
/// spread over all chunks.
pub fn chunk_of(hash: u64, chunk: usize) -> u16 {
    let mut x = (hash >> chunk) & 0x1111_1111_1111_1111;
    x = (x | (x >> 3)) & 0x0303_0303_0303_0303;
    x = (x | (x >> 6)) & 0x000f_000f_000f_000f;
    x = (x | (x >> 12)) & 0x0000_00ff_0000_00ff;
    (x | (x >> 24)) as u16
}

/// All 16-bit masks with at most `radius` bits set, sorted by number of set bits, then by value.
pub fn ball(radius: u32) -> Vec<u16> {
    let mut masks: Vec<u16> = (0..=u16::MAX)
        .filter(|m| m.count_ones() <= radius)
        .collect();
    masks.sort_by_key(|m| (m.count_ones(), *m));
    masks
}

/// The hashes of a list, sorted by the bits of one chunk, with their positions in the list (`ids`).
pub struct Table {
    hashes: Vec<u64>,
    ids: Vec<u32>,
    /// Index of the first hash of each bucket, and the number of hashes as the last element.
    offsets: Vec<u32>,
}

impl Table {
    /// Number of buckets: one for each value of a chunk.
    pub const BUCKETS: usize = 1 << 16;

    /// Sorts `hashes` by their chunk number `chunk` (0 to 3); a stable counting sort.
    pub fn new(hashes: &[u64], chunk: usize) -> Self {
        let mut offsets = vec![0u32; Self::BUCKETS + 1];
        for &h in hashes {
            offsets[usize::from(chunk_of(h, chunk)) + 1] += 1;
        }
        for i in 0..Self::BUCKETS {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut sorted = vec![0u64; hashes.len()];
        let mut ids = vec![0u32; hashes.len()];
        for (id, &h) in hashes.iter().enumerate() {
            let slot = &mut next[usize::from(chunk_of(h, chunk))];
            sorted[*slot as usize] = h;
            ids[*slot as usize] = id as u32;
            *slot += 1;
        }
        Self {
            hashes: sorted,
            ids,
            offsets,
        }
    }

    /// The hashes of one bucket and their positions in the input list.
    pub fn bucket(&self, bucket: usize) -> (&[u64], &[u32]) {
        let range = self.offsets[bucket] as usize..self.offsets[bucket + 1] as usize;
        (&self.hashes[range.clone()], &self.ids[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_take_every_fourth_bit() {
        let hash = 0x9e37_79b9_7f4a_7c15u64;
        for chunk in 0..CHUNKS {
            let slow = (0..16).fold(0u16, |acc, i| {
                acc | ((((hash >> (4 * i + chunk)) & 1) as u16) << i)
            });
            assert_eq!(chunk_of(hash, chunk), slow);
        }
    }

    #[test]
    fn balls_have_binomial_size() {
        assert_eq!(ball(0), vec![0]);
        assert_eq!(
            (ball(1).len(), ball(2).len(), ball(3).len()),
            (17, 137, 697)
        );
    }
}
