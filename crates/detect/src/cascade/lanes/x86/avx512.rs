//! 32 windows at a time with AVX-512.

use std::arch::x86_64::*;

use super::{Lanes, Stump};

/// Vectors of 32 lanes with AVX-512 F and BW.
pub(super) struct Avx512;

impl Lanes for Avx512 {
    const N: usize = 32;
    type Vector = __m512i;
    type Votes = [__m512d; 4];

    #[inline(always)]
    unsafe fn load(from: *const u16) -> __m512i {
        // SAFETY: the caller promises 32 readable values and the instruction set; the same holds for all functions
        // below.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_sub_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn set_where_ge(pattern: __m512i, a: __m512i, b: __m512i, bit: i16) -> __m512i {
        // SAFETY: see `load`.
        unsafe {
            let is_ge = _mm512_cmpge_epu16_mask(a, b);
            _mm512_mask_add_epi16(pattern, is_ge, pattern, _mm512_set1_epi16(bit))
        }
    }

    #[inline(always)]
    unsafe fn no_votes() -> [__m512d; 4] {
        // SAFETY: see `load`.
        unsafe { [_mm512_setzero_pd(); 4] }
    }

    #[inline(always)]
    unsafe fn vote(votes: [__m512d; 4], pattern: __m512i, stump: &Stump) -> [__m512d; 4] {
        // SAFETY: see `load`; the patterns are 32 bytes.
        unsafe {
            let table = _mm256_loadu_si256(stump.patterns.as_ptr().cast());
            let table = _mm512_broadcast_i64x4(table);
            let word = _mm512_permutexvar_epi16(_mm512_srli_epi16::<4>(pattern), table);
            let place = _mm512_and_si512(pattern, _mm512_set1_epi16(15));
            let bit = _mm512_srlv_epi16(word, place);
            let is_left = _mm512_test_epi16_mask(bit, _mm512_set1_epi16(1));
            let (left, right) = (_mm512_set1_pd(stump.left), _mm512_set1_pd(stump.right));
            let [a, b, c, d] = votes;
            [
                _mm512_add_pd(a, _mm512_mask_blend_pd(is_left as u8, right, left)),
                _mm512_add_pd(b, _mm512_mask_blend_pd((is_left >> 8) as u8, right, left)),
                _mm512_add_pd(c, _mm512_mask_blend_pd((is_left >> 16) as u8, right, left)),
                _mm512_add_pd(d, _mm512_mask_blend_pd((is_left >> 24) as u8, right, left)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn reaching(votes: [__m512d; 4], threshold: f64) -> u32 {
        // SAFETY: see `load`.
        unsafe {
            let threshold = _mm512_set1_pd(threshold);
            let [a, b, c, d] = votes;
            let a = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(a, threshold));
            let b = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(b, threshold));
            let c = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(c, threshold));
            let d = u32::from(_mm512_cmp_pd_mask::<_CMP_GE_OQ>(d, threshold));
            a | b << 8 | c << 16 | d << 24
        }
    }
}
