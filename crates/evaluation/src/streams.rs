//! A stream of random numbers for each image, so that an image is the same whatever was made before it.

use networks::NormalSource;
use rng::RandomState;

/// What streams are for: images and paths do not share theirs.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Images,
    Paths,
}

/// The streams of the images `start..start + n` of a seed.
pub(crate) fn streams(seed: u32, purpose: Purpose, start: usize, n: usize) -> Vec<RandomState> {
    // Neighbours differ by 1, so that no two images of a seed share a stream.
    let first = RandomState::new(seed ^ purpose as u32).index(1 << 32) as u32;
    (start..start + n)
        .map(|i| RandomState::new(first.wrapping_add(i as u32)))
        .collect()
}

/// Noise for a batch: each image from its own stream. With `times = 2` the batch is two images of each stream, all first
/// ones before all second ones, with the same noise.
pub(crate) struct BatchNoise {
    pub streams: Vec<RandomState>,
    pub times: usize,
}

impl NormalSource for BatchNoise {
    fn fill_normal(&mut self, out: &mut [f32]) {
        let half = out.len() / self.times;
        let (first, rest) = out.split_at_mut(half);
        let each = half / self.streams.len().max(1);
        for (values, stream) in first.chunks_mut(each.max(1)).zip(&mut self.streams) {
            stream.fill_normal(values);
        }
        for again in rest.chunks_mut(half.max(1)) {
            again.copy_from_slice(&first[..again.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_numbers_in_any_batch_and_pairs_share_theirs() {
        let fill = |start, n, times, len| {
            let mut noise = BatchNoise {
                streams: streams(5, Purpose::Images, start, n),
                times,
            };
            let mut values = vec![0f32; len];
            noise.fill_normal(&mut values);
            values
        };
        let three = fill(0, 3, 1, 12);
        assert_eq!(fill(1, 2, 1, 8), three[4..]);
        assert_eq!(fill(0, 3, 2, 24), [&three[..], &three].concat());
        assert_ne!(three[..4], three[4..8]);
        let first = |purpose| streams(5, purpose, 0, 1)[0].random_sample();
        assert_ne!(first(Purpose::Paths), first(Purpose::Images));
    }
}
