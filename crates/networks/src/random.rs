//! Sources of normal numbers for initial weights, and keys of noise.

use rng::RandomState;

/// A source of standard normal random numbers, from which initial weights are drawn.
pub trait NormalSource {
    /// Fills `out` with independent standard normal numbers.
    fn fill_normal(&mut self, out: &mut [f32]);
}

impl NormalSource for RandomState {
    fn fill_normal(&mut self, out: &mut [f32]) {
        out.fill_with(|| self.standard_normal() as f32);
    }
}

/// Draws a random 64-bit key for [`NoiseMode::Random`](crate::NoiseMode::Random), in two draws of 32 bits.
pub fn noise_key(random: &mut RandomState) -> u64 {
    let mut word = || random.index(1 << 32) as u64;
    word() << 32 | word()
}
