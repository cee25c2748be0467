//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998).

use serde::{Deserialize, Serialize};

/// Words of state.
const N: usize = 624;
/// Distance of the recurrence.
const M: usize = 397;

/// The twister and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mt19937 {
    key: Box<[u32; N]>,
    position: usize,
}

impl Mt19937 {
    pub(crate) fn new(seed: u32) -> Self {
        let mut key = Box::new([0; N]);
        let mut word = seed;
        for (i, slot) in (1..).zip(key.iter_mut()) {
            *slot = word;
            // Knuth's generator of the 2002 initialisation.
            word = (word ^ (word >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i);
        }
        Self { key, position: N }
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        if self.position == N {
            self.refill();
        }
        let mut y = self.key[self.position];
        self.position += 1;
        // Tempering.
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..N {
            let y = (self.key[i] & 0x8000_0000) | (self.key[(i + 1) % N] & 0x7fff_ffff);
            let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.key[i] = self.key[(i + M) % N] ^ (y >> 1) ^ twist;
        }
        self.position = 0;
    }
}

/// The saved form of a [`RandomState`](crate::RandomState); restoring it gives the identical continuation.
///
/// The pending normal number is kept as bits, so that no text format can round it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    key: Vec<u32>,
    position: usize,
    gauss_bits: Option<u64>,
}

impl SavedState {
    pub(crate) fn new(twister: &Mt19937, gauss: Option<f64>) -> Self {
        Self {
            key: twister.key.to_vec(),
            position: twister.position,
            gauss_bits: gauss.map(f64::to_bits),
        }
    }

    /// The twister and the pending normal number, or `None` when the numbers are no state.
    pub(crate) fn restore(&self) -> Option<(Mt19937, Option<f64>)> {
        let key = Box::new(<[u32; N]>::try_from(self.key.as_slice()).ok()?);
        let alive = key.iter().any(|&word| word != 0);
        (alive && self.position <= N).then(|| {
            let position = self.position;
            (
                Mt19937 { key, position },
                self.gauss_bits.map(f64::from_bits),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_word_is_that_of_the_standard() {
        // C++11 [rand.predef]: the 10000th word of a default-seeded mt19937 is 4123659995.
        let mut twister = Mt19937::new(5489);
        let last = (0..10_000).map(|_| twister.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
