//! The speed of work: units per second over the last half minute.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time over which the rate is averaged.
const WINDOW: Duration = Duration::from_secs(30);
/// Shortest time between two entries of `Rate::marks`.
const STEP: Duration = Duration::from_secs(1);

/// Times and counts of the last seconds, called marks, from which the rate is computed.
#[derive(Debug)]
pub(crate) struct Rate {
    marks: Mutex<VecDeque<(Instant, u64)>>,
}

impl Rate {
    pub(crate) fn new(now: Instant, position: u64) -> Self {
        Self {
            marks: Mutex::new(VecDeque::from([(now, position)])),
        }
    }

    /// Discards all marks and starts at `position`, since the work of an earlier run does not count for the rate.
    pub(crate) fn restart(&self, now: Instant, position: u64) {
        if let Ok(mut marks) = self.marks.lock() {
            *marks = VecDeque::from([(now, position)]);
        }
    }

    /// Units per second when the count is `position`; 0 before anything was done.
    pub(crate) fn per_sec(&self, now: Instant, position: u64) -> f64 {
        let Ok(mut marks) = self.marks.lock() else {
            return 0.0;
        };
        if marks
            .back()
            .is_none_or(|(then, _)| now.duration_since(*then) >= STEP)
        {
            marks.push_back((now, position));
        }
        // The oldest mark stays until the next one is outside of the window too.
        while marks
            .get(1)
            .is_some_and(|(then, _)| now.duration_since(*then) > WINDOW)
        {
            marks.pop_front();
        }
        let Some((then, done)) = marks.front() else {
            return 0.0;
        };
        let elapsed = now.duration_since(*then).as_secs_f64();
        if elapsed > 0.0 {
            position.saturating_sub(*done) as f64 / elapsed
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_change_of_pace_and_ignores_what_was_before() {
        let start = Instant::now();
        let at = |secs: u64| start + Duration::from_secs(secs);
        let rate = Rate::new(start, 500);
        assert_eq!(rate.per_sec(at(0), 500), 0.0);
        assert_eq!(rate.per_sec(at(2), 520), 10.0);
        // One minute at 10 units a second, then two minutes at 1 a second.
        (3..=60).for_each(|s| assert_eq!(rate.per_sec(at(s), 500 + s * 10), 10.0));
        for s in 61..180 {
            rate.per_sec(at(s), 1100 + s - 60);
        }
        let slow = rate.per_sec(at(180), 1220);
        assert!((slow - 1.0).abs() < 1e-9, "{slow}");
        rate.restart(at(180), 9000);
        assert_eq!(rate.per_sec(at(181), 9004), 4.0);
    }
}
