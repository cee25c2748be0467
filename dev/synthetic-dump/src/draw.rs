//! Random choices from a seeded generator.

use rng::RandomState;

/// A seeded generator of random choices.
pub struct Draw(RandomState);

impl Draw {
    /// The generator for one thing among many, such as an image: `seed` is that of the dump, `stream` the number of the
    /// thing.
    pub fn new(seed: u32, stream: u32) -> Self {
        // Mixed with the constants of MurmurHash3, since neighboring seeds are used for neighboring images.
        let mut mixed = seed.wrapping_mul(0x9e37_79b1) ^ stream.wrapping_add(0x85eb_ca6b);
        mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
        mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
        Self(RandomState::new(mixed ^ (mixed >> 16)))
    }

    /// A random number in `[from, to)`.
    pub fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.0.random_sample() as f32
    }

    /// A random number in `[-1, 1)`.
    pub fn signed(&mut self) -> f32 {
        self.range(-1.0, 1.0)
    }

    pub fn chance(&mut self, share: f32) -> bool {
        (self.0.random_sample() as f32) < share
    }

    /// A random integer from 0 to `n - 1`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.index(n)
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
