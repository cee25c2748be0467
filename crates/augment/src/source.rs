//! Sources of random numbers: a seeded generator or a recording.

use rng::RandomState;

use crate::AugmentError;

/// The distributions from which the pipe draws random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform in [0, 1).
    Uniform,
    /// Normal with mean 0 and standard deviation 1.
    Normal,
}

/// Random numbers in the order in which the pipe draws them: one call for each random tensor of NVIDIA's code.
pub trait RandomSource {
    /// Fills `values` with numbers of a distribution.
    ///
    /// # Errors
    /// When a recording has another distribution or number of values at this point.
    fn fill(&mut self, distribution: Distribution, values: &mut [f32]) -> Result<(), AugmentError>;
}

impl RandomSource for RandomState {
    fn fill(&mut self, distribution: Distribution, values: &mut [f32]) -> Result<(), AugmentError> {
        for value in values {
            *value = match distribution {
                // 24 random bits, which f32 represents exactly, so the number cannot be rounded to 1.
                Distribution::Uniform => {
                    ((self.random_sample() * 16_777_216.0).floor() / 16_777_216.0) as f32
                }
                Distribution::Normal => self.standard_normal() as f32,
            };
        }
        Ok(())
    }
}

/// One recorded call of [`RandomSource::fill`]: the distribution and the numbers.
pub type Recorded = (Distribution, Vec<f32>);

/// A source that passes on the numbers of another source and records them.
#[derive(Debug)]
pub struct Recorder<'a, R> {
    source: &'a mut R,
    /// The calls that were recorded so far.
    pub draws: Vec<Recorded>,
}

impl<'a, R: RandomSource> Recorder<'a, R> {
    /// A source that passes on the numbers of `source` and records them.
    pub fn new(source: &'a mut R) -> Self {
        let draws = Vec::new();
        Self { source, draws }
    }
}

impl<R: RandomSource> RandomSource for Recorder<'_, R> {
    fn fill(&mut self, distribution: Distribution, values: &mut [f32]) -> Result<(), AugmentError> {
        self.source.fill(distribution, values)?;
        self.draws.push((distribution, values.to_vec()));
        Ok(())
    }
}

/// A source that returns recorded numbers.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    draws: &'a [Recorded],
    next: usize,
}

impl<'a> Replay<'a> {
    /// A source that returns the numbers of `draws`, starting with the first call.
    pub fn new(draws: &'a [Recorded]) -> Self {
        Self { draws, next: 0 }
    }

    /// Whether all recorded calls were replayed.
    pub fn is_finished(&self) -> bool {
        self.next == self.draws.len()
    }
}

impl RandomSource for Replay<'_> {
    fn fill(&mut self, distribution: Distribution, values: &mut [f32]) -> Result<(), AugmentError> {
        match self.draws.get(self.next) {
            Some((d, drawn)) if *d == distribution && drawn.len() == values.len() => {
                values.copy_from_slice(drawn);
                self.next += 1;
                Ok(())
            }
            other => Err(AugmentError::Replay {
                index: self.next,
                found: other.map_or("missing".to_owned(), |(d, v)| format!("{} {d:?}", v.len())),
                expected: format!("{} {distribution:?}", values.len()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_replays_and_refuses_another_order() {
        let mut random = RandomState::new(1);
        let mut recorder = Recorder::new(&mut random);
        let mut a = [0.0; 5];
        let mut b = [0.0; 3];
        recorder.fill(Distribution::Uniform, &mut a).unwrap();
        recorder.fill(Distribution::Normal, &mut b).unwrap();
        let draws = recorder.draws;
        let mut replay = Replay::new(&draws);
        let mut again = [0.0; 5];
        replay.fill(Distribution::Uniform, &mut again).unwrap();
        assert_eq!(a, again);
        let error = replay.fill(Distribution::Uniform, &mut again[..3]);
        assert!(error.unwrap_err().to_string().contains("3 Normal"));
        replay.fill(Distribution::Normal, &mut again[..3]).unwrap();
        assert!(replay.is_finished());
        assert!(replay.fill(Distribution::Normal, &mut []).is_err());
    }

    #[test]
    fn uniform_numbers_stay_below_one() {
        let mut values = vec![0.0; 100_000];
        RandomState::new(0)
            .fill(Distribution::Uniform, &mut values)
            .unwrap();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f32>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.005);
    }
}
