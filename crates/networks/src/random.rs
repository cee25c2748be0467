use rng::RandomState;

/// Source of standard normal numbers, for initial weights.
///
/// Passed in wherever numbers are drawn; nothing in this crate owns a generator.
pub trait NormalSource {
    /// Fills `out` with independent standard normal numbers.
    fn fill_normal(&mut self, out: &mut [f32]);
}

impl NormalSource for RandomState {
    fn fill_normal(&mut self, out: &mut [f32]) {
        out.fill_with(|| self.standard_normal() as f32);
    }
}

/// A key of noise ([`crate::NoiseMode::Random`]): 64 bits, in two draws.
pub fn noise_key(random: &mut RandomState) -> u64 {
    let mut word = || random.index(1 << 32) as u64;
    word() << 32 | word()
}
