/// Where standard normal numbers come from: weights at the start, and noise.
///
/// Passed in wherever numbers are drawn; nothing in this crate owns a generator.
pub trait NormalSource {
    /// Fills `out` with independent standard normal numbers.
    fn fill_normal(&mut self, out: &mut [f32]);
}

impl NormalSource for rng::RandomState {
    fn fill_normal(&mut self, out: &mut [f32]) {
        out.fill_with(|| self.standard_normal() as f32);
    }
}
