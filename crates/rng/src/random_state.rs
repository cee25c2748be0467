//! numpy's legacy distributions, drawn from the Mersenne Twister.

use crate::mt19937::{Mt19937, SavedState};

/// `numpy.random.RandomState(seed)`: the same calls in the same order return the same numbers as in numpy.
///
/// ```
/// let mut random = rng::RandomState::new(0);
/// assert_eq!(random.randint(0, 10), 5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomState {
    twister: Mt19937,
    /// The second normal number of a pair, if it has not been returned yet.
    gauss: Option<f64>,
}

impl RandomState {
    /// The same state as `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        Self {
            twister: Mt19937::new(seed),
            gauss: None,
        }
    }

    /// A uniform number in [0, 1) with 53 random bits; numpy's `random_sample()`, and one element of its `rand()`.
    pub fn random_sample(&mut self) -> f64 {
        let high = f64::from(self.twister.next_u32() >> 5);
        let low = f64::from(self.twister.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// A standard normal number; one element of numpy's `randn()`.
    ///
    /// Marsaglia's polar method makes two numbers at a time, so every second call returns the stored one and does not
    /// advance the generator.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(gauss) = self.gauss.take() {
            return gauss;
        }
        loop {
            let x1 = 2.0 * self.random_sample() - 1.0;
            let x2 = 2.0 * self.random_sample() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.gauss = Some(f * x1);
                return f * x2;
            }
        }
    }

    /// `n` standard normal numbers; numpy's `randn(n)`.
    pub fn randn(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.standard_normal()).collect()
    }

    /// `n` uniform numbers in [0, 1); numpy's `rand(n)`.
    pub fn rand(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.random_sample()).collect()
    }

    /// A uniform integer in `low..high`; numpy's `randint(low, high)`.
    ///
    /// A range of one number does not advance the generator.
    ///
    /// # Panics
    /// When the range is empty.
    pub fn randint(&mut self, low: i64, high: i64) -> i64 {
        assert!(low < high, "randint({low}, {high}): empty range");
        low.wrapping_add_unsigned(self.up_to(low.abs_diff(high) - 1))
    }

    /// A uniform index in `0..n`; numpy's `randint(n)`.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn index(&mut self, n: usize) -> usize {
        assert!(n > 0, "index(0): nothing to choose from");
        self.up_to(n as u64 - 1) as usize
    }

    /// Shuffles `items` in place; numpy's `shuffle` of a one-dimensional array.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.up_to(i as u64) as usize;
            items.swap(i, j);
        }
    }

    /// The indices `0..n` in random order; numpy's `permutation(n)`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// `k` different indices of `0..n` in random order; numpy's `choice(n, k, replace=False)`.
    ///
    /// Returns all `n` indices when `k` exceeds `n`, where numpy fails.
    pub fn choice(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut order = self.permutation(n);
        order.truncate(k);
        order
    }

    /// A copy of the state that can be serialized.
    pub fn save(&self) -> SavedState {
        SavedState::new(&self.twister, self.gauss)
    }

    /// The generator that continues from the moment at which `saved` was taken; `None` when `saved` is no valid state.
    pub fn restore(saved: &SavedState) -> Option<Self> {
        let (twister, gauss) = saved.restore()?;
        Some(Self { twister, gauss })
    }

    /// A uniform integer in `0..=max`: draws are masked to the bits of `max` and repeated until one is at most `max`.
    fn up_to(&mut self, max: u64) -> u64 {
        if max == 0 {
            return 0;
        }
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let word = if max > u64::from(u32::MAX) {
                let high = u64::from(self.twister.next_u32());
                high << 32 | u64::from(self.twister.next_u32())
            } else {
                u64::from(self.twister.next_u32())
            };
            if word & mask <= max {
                return word & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The expected numbers of these tests were printed by numpy 1.26.4.

    #[test]
    fn normals_are_numpys() {
        let z = RandomState::new(85).randn(512);
        assert_eq!(z[..2], [0.1768507210788626, 2.3777541249700573]);
        assert_eq!(z[510..], [1.0266740775203607, 0.8217957110292099]);
    }

    #[test]
    fn whole_numbers_are_numpys() {
        let mut random = RandomState::new(1);
        let drawn: Vec<_> = (0..12).map(|_| random.randint(0, 10)).collect();
        assert_eq!(drawn, [5, 8, 9, 5, 0, 0, 1, 7, 6, 9, 2, 4]);
        // A range wider than 32 bits takes two words of the generator for each number.
        let mut random = RandomState::new(0);
        assert_eq!(random.randint(0, 1 << 40), 741_280_623_151);
        assert_eq!(random.randint(-5, 1 << 50), 370_627_263_780_589);
        assert_eq!(random.randint(0, 1 << 32), 1_879_422_756);
    }

    #[test]
    fn orders_are_numpys() {
        let expected = [
            18, 1, 19, 8, 10, 17, 6, 13, 4, 2, 5, 14, 9, 7, 16, 11, 3, 0, 15, 12,
        ];
        assert_eq!(RandomState::new(0).permutation(20), expected);
        assert_eq!(RandomState::new(265).choice(10, 4), [6, 9, 1, 0]);
    }

    #[test]
    fn one_choice_draws_nothing() {
        let mut random = RandomState::new(3);
        assert_eq!((random.index(1), random.randint(7, 8)), (0, 7));
        assert_eq!(random, RandomState::new(3));
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let text = serde_json::to_string(&RandomState::new(0).save()).unwrap();
        for damaged in [
            text.replacen("\"position\":624", "\"position\":625", 1),
            text.replacen("\"key\":[", "\"key\":[1,", 1),
        ] {
            assert_ne!(damaged, text);
            let saved: SavedState = serde_json::from_str(&damaged).unwrap();
            assert_eq!(RandomState::restore(&saved), None);
        }
    }

    proptest! {
        #[test]
        fn a_restored_state_goes_on_identically(seed: u32, warm_up in 0..700_usize) {
            let mut random = RandomState::new(seed);
            random.randn(warm_up);
            let text = serde_json::to_string(&random.save()).unwrap();
            let saved: SavedState = serde_json::from_str(&text).unwrap();
            let mut restored = RandomState::restore(&saved).unwrap();
            prop_assert_eq!(random.randn(3), restored.randn(3));
            prop_assert_eq!(random.permutation(9), restored.permutation(9));
        }

        #[test]
        fn whole_numbers_stay_in_range(seed: u32, low: i64, span in 1..i64::MAX) {
            let high = low.saturating_add(span);
            prop_assume!(low < high);
            let drawn = RandomState::new(seed).randint(low, high);
            prop_assert!((low..high).contains(&drawn));
        }
    }
}
