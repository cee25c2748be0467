//! 16 windows at a time with AVX2.

use std::arch::x86_64::*;

use super::{Lanes, Stump};

/// Vectors of 16 lanes with AVX2.
pub(super) struct Avx2;

impl Lanes for Avx2 {
    const N: usize = 16;
    type Vector = __m256i;
    type Votes = [__m256d; 4];

    #[inline(always)]
    unsafe fn load(from: *const u16) -> __m256i {
        // SAFETY: the caller promises 16 readable values and the instruction set; the same holds for all functions
        // below.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `load`.
        unsafe { _mm256_sub_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: see `load`.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn set_where_ge(pattern: __m256i, a: __m256i, b: __m256i, bit: i16) -> __m256i {
        // SAFETY: see `load`.
        unsafe {
            let is_ge = _mm256_cmpeq_epi16(_mm256_max_epu16(a, b), a);
            _mm256_or_si256(pattern, _mm256_and_si256(is_ge, _mm256_set1_epi16(bit)))
        }
    }

    #[inline(always)]
    unsafe fn no_votes() -> [__m256d; 4] {
        // SAFETY: see `load`.
        unsafe { [_mm256_setzero_pd(); 4] }
    }

    #[inline(always)]
    unsafe fn vote(votes: [__m256d; 4], pattern: __m256i, stump: &Stump) -> [__m256d; 4] {
        // SAFETY: see `load`; the patterns are 32 bytes.
        unsafe {
            let table = _mm256_loadu_si256(stump.patterns.as_ptr().cast());
            let low = _mm256_permute2x128_si256::<0x00>(table, table);
            let high = _mm256_permute2x128_si256::<0x11>(table, table);
            // Look up the byte of the table that holds the pattern's bit; it ends up in the lower byte of each lane.
            let place = _mm256_srli_epi16::<3>(pattern);
            let is_high = _mm256_cmpgt_epi16(place, _mm256_set1_epi16(15));
            let byte = _mm256_blendv_epi8(
                _mm256_shuffle_epi8(low, place),
                _mm256_shuffle_epi8(high, _mm256_and_si256(place, _mm256_set1_epi16(15))),
                is_high,
            );
            let powers = _mm256_setr_epi8(
                1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, -128,
                0, 0, 0, 0, 0, 0, 0, 0,
            );
            // The upper byte of each lane holds an unrelated byte of the table, which is masked out.
            let bit = _mm256_shuffle_epi8(powers, _mm256_and_si256(pattern, _mm256_set1_epi16(7)));
            let bit = _mm256_and_si256(bit, _mm256_set1_epi16(255));
            let is_left = _mm256_cmpeq_epi16(_mm256_and_si256(byte, bit), bit);
            let (left, right) = (_mm256_set1_pd(stump.left), _mm256_set1_pd(stump.right));
            let halves = [
                _mm256_castsi256_si128(is_left),
                _mm256_extracti128_si256::<1>(is_left),
            ];
            let mut votes = votes;
            let mut i = 0;
            while i < 4 {
                let half = halves[i / 2];
                let four = if i % 2 == 0 {
                    half
                } else {
                    _mm_srli_si128::<8>(half)
                };
                let mask = _mm256_castsi256_pd(_mm256_cvtepi16_epi64(four));
                votes[i] = _mm256_add_pd(votes[i], _mm256_blendv_pd(right, left, mask));
                i += 1;
            }
            votes
        }
    }

    #[inline(always)]
    unsafe fn reaching(votes: [__m256d; 4], threshold: f64) -> u32 {
        // SAFETY: see `load`.
        unsafe {
            let threshold = _mm256_set1_pd(threshold);
            let [a, b, c, d] = votes;
            let a = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(a, threshold));
            let b = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(b, threshold));
            let c = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(c, threshold));
            let d = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GE_OQ>(d, threshold));
            (a | b << 4 | c << 8 | d << 12) as u32
        }
    }
}
