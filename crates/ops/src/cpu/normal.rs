//! Philox4x32-10 and the Box-Muller transform, on [`WIDE`] counters at a time.
//!
//! Each sum, product, quotient and square root is rounded on its own (no fused multiply-add), and logarithm, sine and
//! cosine are polynomials. So all instruction sets and the GPU (`cuda/kernels/normal.cu`, same steps) agree bit by bit.

use super::parallel::parallel;
use super::scratch::{Shared, uninit};
use super::simd::{Simd, dispatch, isa};

/// The multipliers `M` and the key increments `W` of Philox4x32 (Salmon et al. 2011, table 2).
const M: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const W: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The number of counters that are processed together.
const WIDE: usize = 16;
type Words = [u32; WIDE];
type Floats = [f32; WIDE];

/// The number of counters of one task; each gives four numbers.
const TASK: usize = 4096;

/// The parameters of a batch of numbers; see [`crate::normal::Keys::normal`].
pub(crate) struct Planes<'a> {
    /// Two words per key: the low half, then the high half.
    pub keys: &'a [u32],
    pub stream: u32,
    /// The number of values per image.
    pub len: usize,
}

impl Planes<'_> {
    /// The numbers of `batch` images, `[batch, len]`.
    pub(crate) fn normal(&self, batch: usize) -> Vec<f32> {
        // SAFETY: every value is written below, before any is read.
        let mut numbers = unsafe { uninit(batch * self.len) };
        let to = Shared(numbers.as_mut_ptr());
        let count = self.keys.len() / 2;
        let per_image = self.len.div_ceil(4 * TASK);
        let isa = isa();
        parallel(batch * per_image, |task| {
            let (image, part) = (task / per_image, task % per_image);
            let start = part * 4 * TASK;
            let len = (self.len - start).min(4 * TASK);
            let key = &self.keys[image % count * 2..][..2];
            let counter = [(part * TASK) as u32, self.stream, (image / count) as u32, 0];
            // SAFETY: each task writes its own part, all of it.
            unsafe {
                let part = std::slice::from_raw_parts_mut(to.at(image * self.len + start), len);
                fill(isa, counter, [key[0], key[1]], part);
            }
        });
        numbers
    }
}

/// Fills `out` with the numbers of consecutive counters, starting at `counter`; its first word counts up.
#[inline(always)]
unsafe fn fill_body<S: Simd>(counter: [u32; 4], key: [u32; 2], out: &mut [f32]) {
    let mut words = counter.map(|word| [word; WIDE]);
    for i in 0..WIDE {
        words[0][i] = counter[0].wrapping_add(i as u32);
    }
    for chunk in out.chunks_mut(4 * WIDE) {
        let made = normal_of(philox(words, key));
        if let Ok(chunk) = <&mut [f32; 4 * WIDE]>::try_from(&mut *chunk) {
            for i in 0..WIDE {
                for k in 0..4 {
                    chunk[4 * i + k] = made[k][i];
                }
            }
        } else {
            for (n, out) in chunk.iter_mut().enumerate() {
                *out = made[n % 4][n / 4];
            }
        }
        for i in 0..WIDE {
            words[0][i] = words[0][i].wrapping_add(WIDE as u32);
        }
    }
}
dispatch!(unsafe fn fill(counter: [u32; 4], key: [u32; 2], out: &mut [f32]) = fill_body);

/// The ten rounds of Philox4x32-10 on each counter.
#[inline(always)]
fn philox(mut c: [Words; 4], mut key: [u32; 2]) -> [Words; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(W[0]), key[1].wrapping_add(W[1])];
        }
        for i in 0..WIDE {
            let a = u64::from(M[0]) * u64::from(c[0][i]);
            let b = u64::from(M[1]) * u64::from(c[2][i]);
            c[0][i] = (b >> 32) as u32 ^ c[1][i] ^ key[0];
            c[2][i] = (a >> 32) as u32 ^ c[3][i] ^ key[1];
            c[1][i] = b as u32;
            c[3][i] = a as u32;
        }
    }
    c
}

/// Four normal numbers from the four words of each counter, by two Box-Muller transforms.
#[inline(always)]
fn normal_of(words: [Words; 4]) -> [Floats; 4] {
    let mut made = [[0.0; WIDE]; 4];
    for pair in 0..2 {
        for i in 0..WIDE {
            let radius = radius(words[2 * pair][i]);
            let (cosine, sine) = circle(words[2 * pair + 1][i]);
            made[2 * pair][i] = radius * cosine;
            made[2 * pair + 1][i] = radius * sine;
        }
    }
    made
}

/// `sqrt(-2 ln u)` for `u = (word + 1/2) / 2^32`, rounded to f32.
#[inline(always)]
fn radius(word: u32) -> f32 {
    let u = word as f32 * f32::from_bits(0x2F80_0000) + f32::from_bits(0x2F00_0000);
    // u = m 2^e with m in [sqrt(1/2), sqrt(2)).
    let bits = u.to_bits();
    let e = bits.wrapping_sub(0x3F35_04F3) as i32 >> 23;
    let m = f32::from_bits(bits.wrapping_sub((e << 23) as u32));
    // ln m = 2 artanh(s) as a power series; the first omitted term is below 1e-9.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = z * (z * (z * (z * (2.0 / 9.0) + 2.0 / 7.0) + 2.0 / 5.0) + 2.0 / 3.0) + 2.0;
    let ln = e as f32 * std::f32::consts::LN_2 + s * series;
    (-2.0 * ln).sqrt()
}

/// The cosine and sine of the angle of `word / 2^32` turns.
#[inline(always)]
fn circle(word: u32) -> (f32, f32) {
    // The nearest quarter of a turn, and the angle from there, at most an eighth of a turn.
    let quarter = word.wrapping_add(1 << 29) >> 30;
    let rest = word.wrapping_sub(quarter << 30) as i32;
    let x = rest as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = x * x;
    // Taylor series; the first omitted terms are below 2e-9 (sine) and 2e-10 (cosine).
    let sine = x
        * (z * (z * (z * (z * (1.0 / 362_880.0) - 1.0 / 5040.0) + 1.0 / 120.0) - 1.0 / 6.0) + 1.0);
    let cosine = z
        * (z * (z * (z * (z * (-1.0 / 3_628_800.0) + 1.0 / 40_320.0) - 1.0 / 720.0) + 1.0 / 24.0)
            - 0.5)
        + 1.0;
    // An odd quarter swaps sine and cosine; their signs are set by flipping the sign bit.
    let (a, b) = if quarter & 1 == 1 {
        (sine, cosine)
    } else {
        (cosine, sine)
    };
    let negative = |value: f32, flip: u32| f32::from_bits(value.to_bits() ^ (flip << 31));
    (
        negative(a, (quarter.wrapping_add(1) >> 1) & 1),
        negative(b, quarter >> 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Isa;

    /// Origin: the known-answer tests of Random123 for philox4x32-10.
    #[test]
    fn philox_is_random123s() {
        let known = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in known {
            let found = philox(counter.map(|word| [word; WIDE]), key);
            for i in 0..WIDE {
                assert_eq!(found.map(|words| words[i]), expected);
            }
        }
    }

    /// Words at and around all powers of two, and 200,000 others.
    fn words() -> impl Iterator<Item = u32> {
        let edges = (0..32).flat_map(|bit| [1u32 << bit, (1 << bit) - 1, (1 << bit) + 1]);
        let ends = edges.flat_map(|edge| [edge, edge.wrapping_neg()]);
        ends.chain((0..200_000u32).map(|i| i.wrapping_mul(2_654_435_761)))
    }

    #[test]
    fn radius_and_circle_are_exact_to_rounding() {
        let (mut worst_radius, mut worst_circle) = (0f64, 0f64);
        for word in words() {
            // The uniform number as f32 rounds it.
            let u = word as f32 * (0.5f32).powi(32) + (0.5f32).powi(33);
            let exact = (-2.0 * f64::from(u).ln()).sqrt();
            let off = (f64::from(radius(word)) - exact).abs() / exact.max(1e-3);
            worst_radius = worst_radius.max(off);
            let turn = f64::from(word) / 4_294_967_296.0 * std::f64::consts::TAU;
            let (cosine, sine) = circle(word);
            worst_circle = worst_circle
                .max((f64::from(cosine) - turn.cos()).abs())
                .max((f64::from(sine) - turn.sin()).abs());
        }
        assert!(worst_radius < 3e-7, "{worst_radius:e}");
        assert!(worst_circle < 2e-7, "{worst_circle:e}");
        assert_eq!(radius(u32::MAX), 0.0);
        assert!((radius(0) - 6.7637).abs() < 1e-3, "{}", radius(0));
    }

    #[test]
    fn every_instruction_set_and_every_number_of_threads_gives_the_same_bits() {
        let planes = Planes {
            keys: &[1, 2, 3, 4],
            stream: 7,
            len: 3 * 4 * TASK + 61,
        };
        let expected = planes.normal(3);
        assert_eq!(expected.len(), 3 * planes.len);
        for isa in Isa::available() {
            let mut found = vec![f32::NAN; planes.len];
            // SAFETY: a plain slice.
            unsafe { fill(isa, [0, 7, 0, 0], [3, 4], &mut found) };
            assert!(found == expected[planes.len..2 * planes.len], "{isa:?}");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let found = pool.unwrap().install(|| planes.normal(3));
            assert!(found == expected, "{threads} threads");
        }
        // Each length is the start of a longer one.
        for len in 0..140 {
            let short = Planes { len, ..planes };
            let found = short.normal(1);
            assert_eq!(found[..], expected[..len]);
        }
    }

    #[test]
    fn numbers_are_normal_and_neighbors_independent() {
        let planes = Planes {
            keys: &[0xDEAD_BEEF, 1],
            stream: 0,
            len: 1 << 22,
        };
        let x = planes.normal(1);
        let n = x.len() as f64;
        let moment = |power: i32| x.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / n;
        // Five standard errors: sqrt of the variances 1, 2, 15, 96 and 10395 - 225 over n.
        let error = |variance: f64| 5.0 * (variance / n).sqrt();
        for (power, expected, variance) in [
            (1, 0.0, 1.0),
            (2, 1.0, 2.0),
            (3, 0.0, 15.0),
            (4, 3.0, 96.0),
            (6, 15.0, 10_170.0),
        ] {
            let found = moment(power);
            assert!(
                (found - expected).abs() < error(variance),
                "{power}: {found}"
            );
        }
        for lag in [1, 2, 3, 4, 64, 2048] {
            let pairs = x.iter().zip(&x[lag..]);
            let found = pairs.map(|(a, b)| f64::from(a * b)).sum::<f64>() / n;
            assert!(found.abs() < error(1.0), "lag {lag}: {found}");
        }
        // Origin of the shares: erfc(t / sqrt(2)), scipy 1.13.
        for (t, share) in [
            (1.0, 0.317_310_507_862_914_15),
            (2.0, 0.045_500_263_896_358_42),
            (3.0, 0.002_699_796_063_260_19),
            (4.0, 6.334_248_366_623_996e-5),
            (5.0, 5.733_031_437_583_878e-7),
        ] {
            let beyond = x.iter().filter(|v| f64::from(v.abs()) > t).count() as f64;
            let expected = share * n;
            assert!(
                (beyond - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                "{beyond} beyond {t}, {expected} expected"
            );
        }
        assert!(x.iter().all(|v| v.abs() < 6.77));
    }
}
