//! The inner loop of the search: brute force over two short lists of hashes, with AVX-512 VPOPCNTDQ, AVX2 or portable
//! code, chosen at run time.

/// Appends `(index in queries, index in targets)` to `hits` for every pair of hashes at most `radius` bits apart, in no
/// particular order.
pub fn scan(queries: &[u64], targets: &[u64], radius: u32, hits: &mut Vec<(u32, u32)>) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512vpopcntdq") && is_x86_feature_detected!("avx512f") {
            // SAFETY: the features that the function is compiled for were just detected.
            return unsafe { scan_avx512(queries, targets, radius, hits) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            // SAFETY: as above.
            return unsafe { scan_avx2(queries, targets, radius, hits) };
        }
    }
    scan_portable(queries, targets, radius, hits);
}

/// Name of the implementation of the search's inner loop on this machine: `avx512-vpopcntdq`, `avx2` or `portable`.
pub fn kernel_name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512vpopcntdq") && is_x86_feature_detected!("avx512f") {
            return "avx512-vpopcntdq";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
            return "avx2";
        }
    }
    "portable"
}

fn scan_portable(queries: &[u64], targets: &[u64], radius: u32, hits: &mut Vec<(u32, u32)>) {
    for (t, &target) in targets.iter().enumerate() {
        for (q, &query) in queries.iter().enumerate() {
            if (query ^ target).count_ones() <= radius {
                hits.push((q as u32, t as u32));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn scan_avx512(queries: &[u64], targets: &[u64], radius: u32, hits: &mut Vec<(u32, u32)>) {
    use std::arch::x86_64::*;
    let limit = _mm512_set1_epi64(i64::from(radius));
    for (block, lanes) in targets.chunks(8).enumerate() {
        let live: __mmask8 = if lanes.len() == 8 {
            0xff
        } else {
            (1 << lanes.len()) - 1
        };
        // SAFETY: only the first `lanes.len()` lanes are read.
        let target = unsafe { _mm512_maskz_loadu_epi64(live, lanes.as_ptr().cast()) };
        for (q, &query) in queries.iter().enumerate() {
            let differs = _mm512_xor_si512(target, _mm512_set1_epi64(query as i64));
            let mut near = _mm512_mask_cmple_epu64_mask(live, _mm512_popcnt_epi64(differs), limit);
            while near != 0 {
                hits.push((q as u32, block as u32 * 8 + near.trailing_zeros()));
                near &= near - 1;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn scan_avx2(queries: &[u64], targets: &[u64], radius: u32, hits: &mut Vec<(u32, u32)>) {
    use std::arch::x86_64::*;
    let nibble_counts = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3,
        3, 4,
    );
    let low = _mm256_set1_epi8(0x0f);
    let limit = _mm256_set1_epi64x(i64::from(radius));
    let blocks = targets.chunks_exact(4);
    let rest = blocks.remainder();
    for (block, lanes) in blocks.enumerate() {
        // SAFETY: a chunk is four u64, 32 bytes.
        let target = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
        for (q, &query) in queries.iter().enumerate() {
            let differs = _mm256_xor_si256(target, _mm256_set1_epi64x(query as i64));
            let lows = _mm256_shuffle_epi8(nibble_counts, _mm256_and_si256(differs, low));
            let highs = _mm256_shuffle_epi8(
                nibble_counts,
                _mm256_and_si256(_mm256_srli_epi16(differs, 4), low),
            );
            let counts = _mm256_sad_epu8(_mm256_add_epi8(lows, highs), _mm256_setzero_si256());
            let far =
                _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(counts, limit))) as u32;
            let mut near = !far & 0xf;
            while near != 0 {
                hits.push((q as u32, block as u32 * 4 + near.trailing_zeros()));
                near &= near - 1;
            }
        }
    }
    let done = (targets.len() - rest.len()) as u32;
    for (t, &target) in rest.iter().enumerate() {
        for (q, &query) in queries.iter().enumerate() {
            if (query ^ target).count_ones() <= radius {
                hits.push((q as u32, done + t as u32));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Hits = Vec<(u32, u32)>;

    #[test]
    fn every_kernel_of_this_machine_agrees() {
        let values: Vec<u64> = (0..101u64)
            .map(|i| (i * i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 50))
            .collect();
        for n in [0, 1, 3, 4, 7, 8, 9, 31, 101] {
            let mut expected = Vec::new();
            scan_portable(&values, &values[..n], 20, &mut expected);
            expected.sort_unstable();
            let run = |name: &str, kernel: &dyn Fn(&mut Hits)| {
                let mut hits = Vec::new();
                kernel(&mut hits);
                hits.sort_unstable();
                assert_eq!(hits, expected, "{name}, {n} targets");
            };
            run("picked", &|hits| scan(&values, &values[..n], 20, hits));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                // SAFETY: the features were just detected.
                run("avx2", &|hits| unsafe {
                    scan_avx2(&values, &values[..n], 20, hits)
                });
            }
        }
    }
}
