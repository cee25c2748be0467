//! Gives each image its own random number generator ("stream"), so that it does not depend on the images before it.

use networks::{NoiseMode, noise_key};
use rng::RandomState;

/// The purpose of streams. The same position has different streams for different purposes.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Images,
    Paths,
}

/// The streams for the images at positions `start..start + n` of the sequence with seed `seed`.
pub(crate) fn streams(seed: u32, purpose: Purpose, start: usize, n: usize) -> Vec<RandomState> {
    // The seeds of neighboring streams differ by 1, so no two images of a sequence share a stream.
    let first = RandomState::new(seed ^ purpose as u32).index(1 << 32) as u32;
    (start..start + n)
        .map(|i| RandomState::new(first.wrapping_add(i as u32)))
        .collect()
}

/// The random noise of a batch, with a key for each image drawn from its stream. With `times = 2` the batch has two
/// images for each stream, with the same noise: first the first image of every stream, then the second ones.
pub(crate) fn noise(streams: &mut [RandomState], times: usize) -> NoiseMode {
    let keys: Vec<u64> = streams.iter_mut().map(noise_key).collect();
    NoiseMode::Random(keys.repeat(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_does_not_depend_on_the_batch_and_pairs_share_it() {
        let keys = |start, n, times| {
            let mut streams = streams(5, Purpose::Images, start, n);
            match noise(&mut streams, times) {
                NoiseMode::Random(keys) => keys,
                other => panic!("{other:?}"),
            }
        };
        let three = keys(0, 3, 1);
        assert_eq!(keys(1, 2, 1), three[1..]);
        assert_eq!(keys(0, 3, 2), [&three[..], &three].concat());
        assert!(three[0] != three[1] && three[1] != three[2]);
        let first = |purpose| streams(5, purpose, 0, 1)[0].random_sample();
        assert_ne!(first(Purpose::Paths), first(Purpose::Images));
    }
}
