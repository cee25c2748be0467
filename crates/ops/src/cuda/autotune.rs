//! Autotuning: of several candidates that compute the same result, chooses the fastest by timing them.

use candle_core::{Error, Result};

/// Times candidates in order and returns the fastest one, or the earliest of several that are equally fast.
///
/// `time` runs a candidate and returns its time, in any unit. Candidates that are errors, or whose run fails, are
/// skipped. After the first success, candidates are timed only while `has_time` returns true.
///
/// # Errors
/// When no candidate succeeds: the first error.
pub(super) fn fastest<C: Copy>(
    candidates: impl IntoIterator<Item = Result<C>>,
    mut time: impl FnMut(C) -> Result<f32>,
    has_time: impl Fn() -> bool,
) -> Result<C> {
    let mut best: Option<(C, f32)> = None;
    let mut first_error = None;
    for candidate in candidates {
        if best.is_some() && !has_time() {
            break;
        }
        match candidate.and_then(|candidate| Ok((candidate, time(candidate)?))) {
            Ok((candidate, took)) => {
                if best.is_none_or(|(_, least)| took < least) {
                    best = Some((candidate, took));
                }
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match (best, first_error) {
        (Some((candidate, _)), _) => Ok(candidate),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::msg("there is no candidate to time")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn indices(n: usize) -> Vec<Result<usize>> {
        (0..n).map(Ok).collect()
    }

    #[test]
    fn the_fastest_wins_and_the_earlier_of_equals() {
        let times = [3.0, 1.0, 2.0, 1.0];
        let found = fastest(indices(4), |i: usize| Ok(times[i]), || true);
        assert_eq!(found.unwrap(), 1);
    }

    #[test]
    fn what_fails_is_skipped() {
        let mut candidates = indices(3);
        candidates.insert(0, Err(Error::msg("not there")));
        let time = |candidate| match candidate {
            0 => Err(Error::msg("refused")),
            other => Ok(other as f32),
        };
        assert_eq!(fastest(candidates, time, || true).unwrap(), 1);
    }

    #[test]
    fn when_all_fail_the_first_error_is_returned() {
        let candidates = [Ok(0), Err(Error::msg("second")), Ok(1)];
        let error = fastest(candidates, |_| Err(Error::msg("first")), || true).unwrap_err();
        assert!(error.to_string().contains("first"), "{error}");
        assert!(fastest(indices(0), |_| Ok(0.0), || true).is_err());
    }

    #[test]
    fn without_time_the_first_that_works_stands() {
        let tried = Cell::new(0);
        let time = |candidate: usize| {
            tried.set(tried.get() + 1);
            match candidate {
                0 => Err(Error::msg("refused")),
                other => Ok(10.0 - other as f32),
            }
        };
        assert_eq!(fastest(indices(5), time, || false).unwrap(), 1);
        assert_eq!(tried.get(), 2);
        // After three candidates `has_time` returns false.
        tried.set(0);
        assert_eq!(fastest(indices(5), time, || tried.get() < 3).unwrap(), 2);
    }
}
