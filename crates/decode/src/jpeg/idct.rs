//! The inverse DCT in integers, by Loeffler, Ligtenberg and Moschytz (ICASSP 1989), with the rounding of libjpeg's
//! accurate integer method, so that the samples are the same to the bit.

use std::num::Wrapping;

type Int = Wrapping<i32>;

/// Fractional bits of the constants.
const CONST_BITS: usize = 13;
/// Extra fractional bits that are kept between the two passes (columns, then rows).
const PASS_BITS: usize = 2;

const fn fixed(value: f64) -> Int {
    Wrapping((value * (1 << CONST_BITS) as f64 + 0.5) as i32)
}

const F_0_298: Int = fixed(0.298_631_336);
const F_0_390: Int = fixed(0.390_180_644);
const F_0_541: Int = fixed(0.541_196_100);
const F_0_765: Int = fixed(0.765_366_865);
const F_0_899: Int = fixed(0.899_976_223);
const F_1_175: Int = fixed(1.175_875_602);
const F_1_501: Int = fixed(1.501_321_110);
const F_1_847: Int = fixed(1.847_759_065);
const F_1_961: Int = fixed(1.961_570_560);
const F_2_053: Int = fixed(2.053_119_869);
const F_2_562: Int = fixed(2.562_915_447);
const F_3_072: Int = fixed(3.072_711_026);

/// Natural (row by row) index of each coefficient in zigzag order.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The one-dimensional inverse DCT, scaled by 2^(13 + 1.5), then shifted right by `shift` bits with rounding.
#[inline(always)]
fn transform(c: [Int; 8], shift: usize) -> [Int; 8] {
    // Even part.
    let common = (c[2] + c[6]) * F_0_541;
    let low = common - c[6] * F_1_847;
    let high = common + c[2] * F_0_765;
    let sum = (c[0] + c[4]) << CONST_BITS;
    let difference = (c[0] - c[4]) << CONST_BITS;
    let even = [sum + high, difference + low, difference - low, sum - high];
    // Odd part.
    let rotation = (c[7] + c[3] + c[5] + c[1]) * F_1_175;
    let a = rotation - (c[7] + c[3]) * F_1_961;
    let b = rotation - (c[5] + c[1]) * F_0_390;
    let outer = (c[7] + c[1]) * F_0_899;
    let inner = (c[5] + c[3]) * F_2_562;
    let odd = [
        c[1] * F_1_501 - outer + b,
        c[3] * F_3_072 - inner + a,
        c[5] * F_2_053 - inner + b,
        c[7] * F_0_298 - outer + a,
    ];
    let half = Wrapping(1 << (shift - 1));
    let mut out = [Wrapping(0); 8];
    for i in 0..4 {
        out[i] = (even[i] + odd[i] + half) >> shift;
        out[7 - i] = (even[i] - odd[i] + half) >> shift;
    }
    out
}

/// Writes the samples of a block: dequantizes it, transforms it, adds 128 and clamps to 0..=255.
///
/// # Shapes
/// - `block`, `quantizers`: 64 values in zigzag order
/// - `out`: 8 rows of 8 samples; each row starts `stride` samples after the one before
pub fn inverse(block: &[i16; 64], quantizers: &[u16; 64], out: &mut [u8], stride: usize) {
    let mut values = [Wrapping(0); 64];
    for ((&value, &quantizer), &to) in block.iter().zip(quantizers).zip(&ZIGZAG) {
        values[usize::from(to)] = Wrapping(i32::from(value)) * Wrapping(i32::from(quantizer));
    }
    for x in 0..8 {
        let column = std::array::from_fn(|y| values[8 * y + x]);
        for (y, value) in transform(column, CONST_BITS - PASS_BITS)
            .into_iter()
            .enumerate()
        {
            values[8 * y + x] = value;
        }
    }
    for (row, out) in values.chunks_exact(8).zip(out.chunks_mut(stride)) {
        let row = transform(std::array::from_fn(|x| row[x]), CONST_BITS + PASS_BITS + 3);
        for (out, value) in out.iter_mut().zip(row) {
            *out = (value.0.saturating_add(128)).clamp(0, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_those_of_the_definition() {
        let mut state = 7u32;
        for _ in 0..200 {
            let mut block = [0i16; 64];
            let quantizers: [u16; 64] = std::array::from_fn(|i| 1 + i as u16 % 7);
            for value in &mut block[..20] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as i16 % 24 - 12;
            }
            let mut found = [0; 64];
            inverse(&block, &quantizers, &mut found, 8);
            for y in 0..8 {
                for x in 0..8 {
                    let mut sum = 0.0;
                    for (i, &to) in ZIGZAG.iter().enumerate() {
                        let (v, u) = (to / 8, to % 8);
                        let scale = |k: u8| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
                        let wave = |x: usize, k: u8| {
                            ((2 * x + 1) as f64 * f64::from(k) * std::f64::consts::PI / 16.0).cos()
                        };
                        let value = f64::from(block[i]) * f64::from(quantizers[i]);
                        sum += scale(u) * scale(v) * value * wave(x, u) * wave(y, v) / 4.0;
                    }
                    let expected = (sum + 128.0).clamp(0.0, 255.0);
                    // The integer method is within one of the exact value.
                    assert!((f64::from(found[8 * y + x]) - expected).abs() <= 1.0);
                }
            }
        }
    }
}
