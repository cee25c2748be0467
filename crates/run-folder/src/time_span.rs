//! Durations and timestamps as text, in the format of NVIDIA's programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Formats a duration as in NVIDIA's log: `45s`, `1m 02s`, `3h 05m 09s`, `1d 02h 03m`.
///
/// Seconds are rounded to the nearest, ties to even, as Python's `round` does.
pub fn format_time(time: Duration) -> String {
    let s = time.as_secs_f64().round_ties_even() as u64;
    let (minutes, hours, days) = (s / 60, s / 3600, s / 86_400);
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{minutes}m {:02}s", s % 60),
        3600..86_400 => format!("{hours}h {:02}m {:02}s", minutes % 60, s % 60),
        _ => format!("{days}d {:02}h {:02}m", hours % 24, minutes % 60),
    }
}

/// Current time in seconds since 1970, as in the field `timestamp` of results and statistics.
pub fn timestamp() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |time| time.as_secs_f64())
}

/// Parses the words of a duration, such as `["1d", "01h", "30m"]`, to seconds; `None` when a word is not a number with
/// the unit `s`, `m`, `h` or `d`.
pub(crate) fn parse_time(words: &[&str]) -> Option<f64> {
    if words.is_empty() {
        return None;
    }
    let spans = words.iter().map(|word| {
        let (digits, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
        let scale = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        Some(digits.parse::<f64>().ok()? * scale)
    });
    spans.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_the_official_log() {
        for (secs, text) in [
            (0.5, "0s"),
            (45.2, "45s"),
            (59.6, "1m 00s"),
            (62.0, "1m 02s"),
            (11_109.0, "3h 05m 09s"),
            (93_780.0, "1d 02h 03m"),
        ] {
            assert_eq!(format_time(Duration::from_secs_f64(secs)), text);
        }
    }
}
