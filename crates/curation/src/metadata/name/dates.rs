//! Finds dates and times of day among the words of a file name.

use super::words::Word;

/// The dates that were found in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dates {
    /// No date.
    None,
    /// At least one.
    Some,
    /// At least one that follows a word and a number, as downloaders write it (`artist_8427_20210304_121314`).
    BehindNumber,
}

/// Removes dates and times of day from the words of a name.
pub(super) fn drop_dates(words: &mut Vec<Word<'_>>) -> Dates {
    let mut dates = Dates::None;
    let mut i = 0;
    while i < words.len() {
        let Some(n) = date_length(&words[i..]) else {
            i += 1;
            continue;
        };
        let n_time = time_length(&words[i + n..]);
        // Eight digits without a time of day may also be an id, so they stay.
        if n_time > 0 || n > 1 || words[i].text.len() == 14 {
            words.drain(i..i + n + n_time);
            dates = match i.checked_sub(2) {
                Some(at) if words[at + 1].is_number() && !words[at].is_number() => {
                    Dates::BehindNumber
                }
                _ if dates == Dates::BehindNumber => dates,
                _ => Dates::Some,
            };
        } else {
            i += 1;
        }
    }
    dates
}

/// Number of words of the date at the beginning of a list; `None` when there is no date.
fn date_length(words: &[Word<'_>]) -> Option<usize> {
    let first = words.first()?;
    if first.is_number() {
        let is_stamp = |text: &str| is_date(&text[..8]) && is_time(&text[8..]);
        if (first.text.len() == 8 && is_date(first.text))
            || (first.text.len() == 14 && is_stamp(first.text))
        {
            return Some(1);
        }
    }
    let [a, b, c] = words.get(..3)? else {
        return None;
    };
    // The parts of a date are separated by the same single character.
    if a.behind != b.behind || a.behind != b.before || b.behind != c.before {
        return None;
    }
    let is_day = |month: Option<u32>, day: Option<u32>| {
        month.is_some_and(|m| (1..=12).contains(&m)) && day.is_some_and(|d| (1..=31).contains(&d))
    };
    let year_first = a.digits(4).is_some_and(is_year) && is_day(b.digits(2), c.digits(2));
    let year_last = c.digits(4).is_some_and(is_year)
        && (is_day(b.digits(2), a.digits(2)) || is_day(a.digits(2), b.digits(2)));
    (year_first || year_last).then_some(3)
}

/// Number of words of the time of day at the beginning of a list; 0 when there is none.
fn time_length(words: &[Word<'_>]) -> usize {
    match words {
        [a, ..] if a.is_number() && matches!(a.text.len(), 4 | 6) && is_time(a.text) => 1,
        [a, b, c, ..]
            if [a, b, c].iter().all(|word| word.digits(2).is_some())
                && is_time(&format!("{}{}{}", a.text, b.text, c.text)) =>
        {
            3
        }
        _ => 0,
    }
}

fn is_year(year: u32) -> bool {
    (1990..2050).contains(&year)
}

/// Whether a text is a date as YYYYMMDD.
pub(super) fn is_date(text: &str) -> bool {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<u32>().ok());
    text.len() == 8
        && part(0..4).is_some_and(is_year)
        && part(4..6).is_some_and(|month| (1..=12).contains(&month))
        && part(6..8).is_some_and(|day| (1..=31).contains(&day))
}

/// Whether a text is a time of day as HHMM or HHMMSS.
fn is_time(text: &str) -> bool {
    let part = |at: usize| text.get(at..at + 2).and_then(|t| t.parse::<u32>().ok());
    part(0).is_some_and(|hour| hour < 24)
        && part(2).is_some_and(|minute| minute < 60)
        && (text.len() == 4 || part(4).is_some_and(|second| second < 61))
}
