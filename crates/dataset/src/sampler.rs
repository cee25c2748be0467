//! The endless order of training samples.

use rng::{RandomState, SavedState};
use serde::{Deserialize, Serialize};

/// Draws sample indices without end: passes over a shuffled order again and again, and swaps each drawn index with a
/// random one among those drawn in the half pass before it.
///
/// A sample comes again after half a pass at the earliest, and no two passes are alike. The order is that of
/// `InfiniteSampler` in NVIDIA's StyleGAN2-ADA (window 0.5, one replica).
#[derive(Clone, Debug, PartialEq)]
pub struct InfiniteSampler {
    order: Vec<u32>,
    position: u64,
    random: RandomState,
}

/// Distance within which an index may be swapped, as a share of the number of samples.
const WINDOW: f64 = 0.5;

/// The saved state of a sampler. A sampler restored from it draws the identical next samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerState {
    order: Vec<u32>,
    position: u64,
    random: SavedState,
}

impl InfiniteSampler {
    /// A sampler over `n_samples` samples, at the beginning of its order.
    ///
    /// # Panics
    /// When there are no samples, or more than 2^32 - 1.
    pub fn new(n_samples: usize, seed: u32) -> Self {
        assert!(n_samples > 0, "InfiniteSampler: no samples");
        let n_samples = u32::try_from(n_samples).expect("InfiniteSampler: at most 2^32 samples");
        let mut random = RandomState::new(seed);
        let mut order: Vec<u32> = (0..n_samples).collect();
        random.shuffle(&mut order);
        Self {
            order,
            position: 0,
            random,
        }
    }

    /// Draws the index of the next sample.
    pub fn next_index(&mut self) -> usize {
        let n = self.order.len();
        let i = (self.position % n as u64) as usize;
        let index = self.order[i] as usize;
        let window = (n as f64 * WINDOW).round_ties_even() as usize;
        if window >= 2 {
            let j = (i + n - self.random.index(window)) % n;
            self.order.swap(i, j);
        }
        self.position += 1;
        index
    }

    /// Number of draws so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Number of samples to draw from.
    pub fn n_samples(&self) -> usize {
        self.order.len()
    }

    /// The state, for [`restore`](Self::restore).
    pub fn save(&self) -> SamplerState {
        SamplerState {
            order: self.order.clone(),
            position: self.position,
            random: self.random.save(),
        }
    }

    /// The sampler that continues where `saved` was taken; `None` when `saved` is damaged.
    pub fn restore(saved: &SamplerState) -> Option<Self> {
        let mut seen = vec![false; saved.order.len()];
        for &index in &saved.order {
            if std::mem::replace(seen.get_mut(index as usize)?, true) {
                return None;
            }
        }
        Some(Self {
            order: (!seen.is_empty()).then(|| saved.order.clone())?,
            position: saved.position,
            random: RandomState::restore(&saved.random)?,
        })
    }
}

impl Iterator for InfiniteSampler {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        Some(self.next_index())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_order_is_that_of_the_reference() {
        // Origin: `InfiniteSampler` of NVIDIA's StyleGAN2-ADA with numpy 1.26.4, 7 samples, seed 5.
        let expected = [
            6, 2, 4, 1, 6, 5, 4, 0, 3, 6, 4, 2, 3, 1, 0, 2, 4, 1, 6, 3, 4, 2, 6, 1, 3,
        ];
        let drawn: Vec<_> = InfiniteSampler::new(7, 5).take(expected.len()).collect();
        assert_eq!(drawn, expected);
        assert!(InfiniteSampler::new(1, 0).take(5).all(|i| i == 0));
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let saved = InfiniteSampler::new(3, 0).save();
        let damage = |order: &[u32]| SamplerState {
            order: order.to_vec(),
            ..saved.clone()
        };
        assert!(InfiniteSampler::restore(&saved).is_some());
        for order in [&[0, 1, 1][..], &[0, 1, 3], &[]] {
            assert_eq!(InfiniteSampler::restore(&damage(order)), None, "{order:?}");
        }
    }

    proptest! {
        #[test]
        fn a_restored_sampler_goes_on_identically(n in 1..90_usize, seed: u32, drawn in 0..200_usize) {
            let mut sampler = InfiniteSampler::new(n, seed);
            sampler.by_ref().take(drawn).for_each(drop);
            let text = serde_json::to_string(&sampler.save()).unwrap();
            let restored = InfiniteSampler::restore(&serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(restored.position(), drawn as u64);
            prop_assert!(restored.take(100).eq(sampler.take(100)));
        }

        #[test]
        fn every_sample_comes_in_the_first_passes(n in 1..90_usize, seed: u32) {
            let mut seen = vec![false; n];
            InfiniteSampler::new(n, seed).take(n * 60).for_each(|i| seen[i] = true);
            prop_assert!(seen.into_iter().all(|s| s));
        }
    }
}
