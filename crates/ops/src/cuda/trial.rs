//! The fastest of several ways to do one thing, by trying them.

use candle_core::{Error, Result};

/// Tries candidates in their order and names the fastest; the earlier one where two take the same time.
///
/// `time` does the thing once or more and tells how long it takes. A candidate that fails, or that is an error already,
/// is skipped. Once one has worked, the others are tried for as long as `has_time` says.
///
/// # Errors
/// The first error, when nothing works.
pub(super) fn fastest<W: Copy>(
    candidates: impl IntoIterator<Item = Result<W>>,
    mut time: impl FnMut(W) -> Result<f32>,
    has_time: impl Fn() -> bool,
) -> Result<W> {
    let mut best: Option<(W, f32)> = None;
    let mut first_error = None;
    for candidate in candidates {
        if best.is_some() && !has_time() {
            break;
        }
        match candidate.and_then(|way| Ok((way, time(way)?))) {
            Ok((way, took)) => {
                if best.is_none_or(|(_, least)| took < least) {
                    best = Some((way, took));
                }
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match (best, first_error) {
        (Some((way, _)), _) => Ok(way),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::msg("there is no way to try")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn ways(n: usize) -> Vec<Result<usize>> {
        (0..n).map(Ok).collect()
    }

    #[test]
    fn the_fastest_wins_and_the_earlier_of_equals() {
        let times = [3.0, 1.0, 2.0, 1.0];
        let found = fastest(ways(4), |way| Ok(times[way]), || true);
        assert_eq!(found.unwrap(), 1);
    }

    #[test]
    fn what_fails_is_skipped() {
        let mut candidates = ways(3);
        candidates.insert(0, Err(Error::msg("not there")));
        let time = |way| match way {
            0 => Err(Error::msg("refused")),
            way => Ok(way as f32),
        };
        assert_eq!(fastest(candidates, time, || true).unwrap(), 1);
    }

    #[test]
    fn when_all_fail_the_first_error_tells_why() {
        let candidates = [Ok(0), Err(Error::msg("second")), Ok(1)];
        let error = fastest(candidates, |_| Err(Error::msg("first")), || true).unwrap_err();
        assert!(error.to_string().contains("first"), "{error}");
        assert!(fastest(ways(0), |_| Ok(0.0), || true).is_err());
    }

    #[test]
    fn without_time_the_first_that_works_stands() {
        let tried = Cell::new(0);
        let time = |way: usize| {
            tried.set(tried.get() + 1);
            match way {
                0 => Err(Error::msg("refused")),
                way => Ok(10.0 - way as f32),
            }
        };
        assert_eq!(fastest(ways(5), time, || false).unwrap(), 1);
        assert_eq!(tried.get(), 2);
        // Time runs out after three.
        tried.set(0);
        assert_eq!(fastest(ways(5), time, || tried.get() < 3).unwrap(), 2);
    }
}
