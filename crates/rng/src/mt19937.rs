//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998).

use serde::{Deserialize, Serialize};

/// Number of 32-bit words in the state.
const N: usize = 624;
/// Offset of the recurrence: word `i` is refilled from the words `i`, `i + 1` and `i + M`, with indices modulo 624.
const M: usize = 397;

/// The generator: 624 words of state and the position of the next word to return.
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
            // Knuth's linear recurrence, as in the authors' initialization of 2002.
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

/// The saved form of a [`RandomState`](crate::RandomState); a generator restored from it continues with the numbers
/// that the saved one would return next.
///
/// Normal numbers are made in pairs. When the second number of a pair has not been returned yet, the state holds the
/// bits of this f64 as an integer, so that no text format can round it.
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

    /// The generator and the normal number not yet returned, if any.
    ///
    /// `None` when the state is invalid: not 624 words, all words 0, or a position above 624.
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
