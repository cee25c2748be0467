//! Exact search for all pairs of 64-bit hashes within a Hamming radius, by a multi-index bucket join.
//!
//! A hash is cut into four chunks of 16 bits, and `r - 3` is divided among the chunks (for r = 8: 2, 1, 1, 1). By the
//! general pigeonhole principle, the hashes of a pair within radius `r` differ in some chunk by at most that chunk's
//! share. So for each chunk the hashes are sorted into 65536 buckets by that chunk's bits, and every bucket is compared
//! with the buckets whose number differs in at most `share` bits. A pair is reported only by the first chunk that finds
//! it, so no set of seen pairs is needed. Memory: 20 bytes per hash, plus the pairs.
//!
//! Norouzi, Punjani, Fleet: "Fast exact search in Hamming space with multi-index hashing" (2014); chunk shares as in
//! Qin et al., "GPH: similarity search in Hamming space" (2018).

mod scan;
mod table;

pub use scan::kernel_name;

use crate::hash::Hash64;
use rayon::prelude::*;
use table::{CHUNKS, Table, ball};

/// Largest accepted [`SearchOptions::radius`], in bits.
pub const MAX_RADIUS: u32 = 16;

/// Options of [`search`] and [`search_between`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// Largest Hamming distance of a pair, in bits; at most [`MAX_RADIUS`].
    pub radius: u32,
    /// Largest number of partners collected per hash and chunk (there are 4 chunks): `n` equal hashes would otherwise
    /// make `n^2 / 2` pairs.
    pub max_matches: u32,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            radius: 8,
            max_matches: 256,
        }
    }
}

/// A pair of hashes within the radius, given by their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// Position in the first list, from 0.
    pub a: u32,
    /// Position in the second list. With [`search`] both positions are in the one list, and `a < b`.
    pub b: u32,
    /// Hamming distance of the two hashes, in bits.
    pub distance: u32,
}

/// Result of [`search`] and [`search_between`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The pairs, sorted by `a`, then `b`; each pair once.
    pub pairs: Vec<Match>,
    /// Number of hashes that reached [`SearchOptions::max_matches`]; 0 means that `pairs` is complete.
    pub capped: usize,
}

/// The reason why a search cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The radius, given here, exceeds [`MAX_RADIUS`].
    #[error("search radius {0} is above {MAX_RADIUS}; a radius of 6 to 10 suits 64 bit hashes")]
    Radius(u32),
    /// A list has too many hashes for 32-bit positions: this many.
    #[error("{0} hashes are more than one search can hold (4294967295); split the inputs")]
    TooMany(usize),
}

/// All pairs of hashes of one list whose distance is at most the radius.
///
/// # Errors
/// When the radius exceeds [`MAX_RADIUS`], or the list has 2^32 - 1 hashes or more.
pub fn search(hashes: &[Hash64], options: SearchOptions) -> Result<Matches, SearchError> {
    join(hashes, None, options)
}

/// All pairs of one hash of `a` and one of `b` whose distance is at most the radius.
///
/// # Errors
/// As for [`search`].
pub fn search_between(
    a: &[Hash64],
    b: &[Hash64],
    options: SearchOptions,
) -> Result<Matches, SearchError> {
    join(a, Some(b), options)
}

fn join(
    a: &[Hash64],
    b: Option<&[Hash64]>,
    options: SearchOptions,
) -> Result<Matches, SearchError> {
    if options.radius > MAX_RADIUS {
        return Err(SearchError::Radius(options.radius));
    }
    for list in [a, b.unwrap_or_default()] {
        if list.len() >= u32::MAX as usize {
            return Err(SearchError::TooMany(list.len()));
        }
    }
    let shares = chunk_radii(options.radius);
    let mut matches = Matches::default();
    let mut capped = std::collections::HashSet::new();
    for chunk in 0..CHUNKS {
        let Some(share) = shares[chunk] else { continue };
        let left = Table::new(a, chunk);
        let right = b.map(|b| Table::new(b, chunk));
        let masks = ball(share);
        let found: Vec<(Vec<Match>, Vec<u32>)> = (0..Table::BUCKETS)
            .into_par_iter()
            .fold(
                || (Vec::new(), Vec::new()),
                |(mut pairs, mut capped), bucket| {
                    let job = BucketJob {
                        left: &left,
                        right: right.as_ref(),
                        masks: &masks,
                        shares: &shares,
                        chunk,
                        options,
                    };
                    job.run(bucket, &mut pairs, &mut capped);
                    (pairs, capped)
                },
            )
            .collect();
        for (pairs, hit_cap) in found {
            matches.pairs.extend(pairs);
            capped.extend(hit_cap);
        }
    }
    matches.pairs.par_sort_unstable();
    matches.capped = capped.len();
    Ok(matches)
}

/// For each chunk, the largest distance in that chunk to search; `None` when the chunk need not be searched.
fn chunk_radii(radius: u32) -> [Option<u32>; CHUNKS] {
    let chunks = CHUNKS as u32;
    std::array::from_fn(|i| {
        let i = i as u32;
        // Shares sum to radius - chunks + 1, spread evenly. A share of -1 means that the chunk is not searched.
        if radius + 1 < chunks {
            (i <= radius).then_some(0)
        } else {
            let budget = radius + 1 - chunks;
            Some(budget / chunks + u32::from(i < budget % chunks))
        }
    })
}

/// Compares a bucket in the table of one chunk with the buckets near it: those of the same table (`left`), or of the
/// second list's table (`right`) if there are two lists.
struct BucketJob<'a> {
    left: &'a Table,
    right: Option<&'a Table>,
    masks: &'a [u16],
    shares: &'a [Option<u32>; CHUNKS],
    chunk: usize,
    options: SearchOptions,
}

impl BucketJob<'_> {
    /// Largest numbers of queries and targets in a call of [`scan::scan`]. There are then at most 2^17 hits, and the
    /// targets (16 KiB) stay in the L1 cache.
    const QUERY_TILE: usize = 64;
    const TARGET_TILE: usize = 2048;

    fn run(&self, bucket: usize, pairs: &mut Vec<Match>, capped: &mut Vec<u32>) {
        let (queries, query_ids) = self.left.bucket(bucket);
        if queries.is_empty() {
            return;
        }
        let mut hits = Vec::new();
        for tile in (0..queries.len()).step_by(Self::QUERY_TILE) {
            let tile = tile..queries.len().min(tile + Self::QUERY_TILE);
            let mut capacity = vec![self.options.max_matches; tile.len()];
            for &mask in self.masks {
                let other = bucket ^ usize::from(mask);
                if self.right.is_none() && other < bucket {
                    continue; // that bucket does this pair
                }
                let (targets, target_ids) = self.right.unwrap_or(self.left).bucket(other);
                let is_same = self.right.is_none() && other == bucket;
                let first = if is_same { tile.start } else { 0 };
                for start in (first..targets.len()).step_by(Self::TARGET_TILE) {
                    let end = targets.len().min(start + Self::TARGET_TILE);
                    hits.clear();
                    scan::scan(
                        &queries[tile.clone()],
                        &targets[start..end],
                        self.options.radius,
                        &mut hits,
                    );
                    for &(q, t) in &hits {
                        let (q, t) = (q as usize, start + t as usize);
                        if is_same && t <= tile.start + q {
                            continue;
                        }
                        let (x, y) = (queries[tile.start + q], targets[t]);
                        if !self.is_first_finder(x, y) {
                            continue;
                        }
                        if capacity[q] == 0 {
                            continue;
                        }
                        capacity[q] -= 1;
                        let (mut a, mut b) = (query_ids[tile.start + q], target_ids[t]);
                        if capacity[q] == 0 {
                            capped.push(a);
                        }
                        if self.right.is_none() && a > b {
                            std::mem::swap(&mut a, &mut b);
                        }
                        pairs.push(Match {
                            a,
                            b,
                            distance: (x ^ y).count_ones(),
                        });
                    }
                    if capacity.iter().all(|&r| r == 0) {
                        break;
                    }
                }
            }
        }
    }

    fn is_first_finder(&self, x: u64, y: u64) -> bool {
        (0..self.chunk).all(|chunk| {
            let distance = u32::from(table::chunk_of(x ^ y, chunk)).count_ones();
            self.shares[chunk].is_none_or(|share| distance > share)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute(a: &[u64], b: Option<&[u64]>, radius: u32) -> Vec<Match> {
        let mut out = Vec::new();
        for (i, x) in a.iter().enumerate() {
            let (list, first) = b.map_or((a, i + 1), |b| (b, 0));
            for (j, y) in list.iter().enumerate().skip(first) {
                let distance = (x ^ y).count_ones();
                if distance <= radius {
                    out.push(Match {
                        a: i as u32,
                        b: j as u32,
                        distance,
                    });
                }
            }
        }
        out.sort_unstable();
        out
    }

    /// Random hashes. Every third one is a copy of an earlier hash in which up to 13 bits were flipped.
    fn planted(n: usize, seed: u64) -> Vec<u64> {
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut hashes: Vec<u64> = Vec::with_capacity(n);
        for i in 0..n {
            let mut h = next();
            if i % 3 == 0 && i > 0 {
                h = hashes[next() as usize % i];
                for _ in 0..next() % 14 {
                    h ^= 1 << (next() % 64);
                }
            }
            hashes.push(h);
        }
        hashes
    }

    #[test]
    fn exact_against_brute_force_at_every_radius() {
        let hashes = planted(3000, 7);
        let others = planted(1000, 7 + 1);
        let all = SearchOptions {
            max_matches: u32::MAX,
            ..SearchOptions::default()
        };
        for radius in 0..=MAX_RADIUS {
            let options = SearchOptions { radius, ..all };
            assert_eq!(
                search(&hashes, options).unwrap().pairs,
                brute(&hashes, None, radius),
                "radius {radius}"
            );
            let between = search_between(&hashes, &others, options).unwrap();
            assert_eq!(
                between.pairs,
                brute(&hashes, Some(&others), radius),
                "radius {radius}"
            );
        }
    }

    proptest! {
        #[test]
        fn exact_on_clustered_hashes(
            base in any::<u64>(),
            flips in prop::collection::vec((0u64..1 << 20, 0u32..44), 0..200),
            radius in 0u32..12,
        ) {
            let hashes: Vec<u64> = flips.iter().map(|(f, s)| base ^ (f << s)).collect();
            let options = SearchOptions { radius, max_matches: u32::MAX };
            prop_assert_eq!(search(&hashes, options).unwrap().pairs, brute(&hashes, None, radius));
        }
    }

    #[test]
    fn a_flood_of_equal_hashes_is_capped_and_said() {
        let hashes = vec![0xabcd_ef01_2345_6789; 20_000];
        let matches = search(
            &hashes,
            SearchOptions {
                radius: 8,
                max_matches: 10,
            },
        )
        .unwrap();
        assert!(matches.pairs.len() <= 200_000);
        assert!(matches.capped > 19_000);
        let again = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(
            again.install(|| search(
                &hashes,
                SearchOptions {
                    radius: 8,
                    max_matches: 10
                }
            )
            .unwrap()),
            matches
        );
    }

    #[test]
    fn a_radius_too_large_is_refused() {
        let err = search(
            &[1],
            SearchOptions {
                radius: 17,
                max_matches: 1,
            },
        )
        .unwrap_err();
        assert!(err.to_string().contains("17"));
    }
}
