//! Writes and reads the status lines of `log.txt`, one for each tick, such as
//! `tick 3  kimg 12.1  time 1m 02s  sec/tick 4.0  ...  augment 0.012`.
//!
//! A log may be cut short, continue in the middle of a line, and contain color codes. A status line is complete when it
//! has the number of the tick, kimg, a time, at least one value after that, and a last number with all of its digits.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::ticks::Tick;
use crate::time_span::{format_time, parse_time};

/// The numbers of a status line. [`Display`](fmt::Display) writes the line in NVIDIA's format.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickLine {
    /// Number of the tick, from 0.
    pub tick: u64,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// Seconds since the run began.
    pub total_sec: f64,
    /// Seconds that the training steps of the tick took.
    pub sec_per_tick: f64,
    /// Training seconds per 1000 real images.
    pub sec_per_kimg: f64,
    /// Seconds between the last step of the previous tick and the first step of this one.
    pub maintenance_sec: f64,
    /// Resident memory of the process in GiB.
    pub cpu_mem_gb: f64,
    /// Peak memory of the GPU in GiB.
    pub gpu_mem_gb: f64,
    /// Augmentation probability.
    pub augment: f64,
}

impl fmt::Display for TickLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = format_time(Duration::from_secs_f64(self.total_sec));
        write!(
            f,
            "tick {:<5} kimg {:<8.1} time {total:<12} sec/tick {:<7.1} sec/kimg {:<7.2} maintenance {:<6.1} \
             cpumem {:<6.2} gpumem {:<6.2} augment {:.3}",
            self.tick,
            self.kimg,
            self.sec_per_tick,
            self.sec_per_kimg,
            self.maintenance_sec,
            self.cpu_mem_gb,
            self.gpu_mem_gb,
            self.augment,
        )
    }
}

/// The ticks found in a log, and the lines that are damaged.
#[derive(Debug, Default)]
pub struct Log {
    /// The ticks of the complete status lines, in file order.
    pub ticks: Vec<Tick>,
    /// Number of lines that contain a status line (complete or not) or zero bytes.
    n_lines: usize,
    /// Line numbers of the damaged lines among them, counted from 1, ascending.
    damaged: Vec<usize>,
}

/// A status line, split into keys and values.
struct Status<'l> {
    line: usize,
    /// Keys with their values as text, such as `sec/tick` with `["4.0"]`; the key `time` can have several values.
    pairs: Vec<(&'l str, Vec<&'l str>)>,
    /// Whether the status line is at the end of the log, without a newline after it.
    is_open: bool,
}

impl Log {
    /// Parses the text of a log.
    pub fn parse(text: &str) -> Self {
        let text = files::without_escapes(text);
        let mut log = Self::default();
        let mut all: Vec<Status<'_>> = Vec::new();
        let mut last = 0;
        for (number, line) in files::text_lines(&text) {
            last = number;
            let before = all.len();
            let pieces = statuses(line);
            all.extend(pieces.map(|piece| Status {
                line: number,
                pairs: pairs(piece),
                is_open: false,
            }));
            let has_zeros = line.contains('\0');
            if has_zeros {
                log.reject(number);
            }
            log.n_lines += usize::from(has_zeros || all.len() > before);
        }
        let is_closed = text.ends_with(['\n', '\r']);
        let tail = text.rsplit(['\n', '\r']).next().unwrap_or_default();
        if let Some(status) = all.last_mut().filter(|status| status.line == last) {
            status.is_open = !is_closed;
        } else if !is_closed && !tail.is_empty() && "tick".starts_with(tail) {
            log.n_lines += 1;
            log.reject(last);
        }
        let decimals = decimals(&all);
        let mut last_key = None;
        for status in &all {
            let tick = status
                .tick(&decimals)
                .filter(|_| !status.is_open || last_key.is_none() || status.last_key() == last_key);
            match tick {
                Some(tick) => {
                    last_key = status.last_key();
                    log.ticks.push(tick);
                }
                None => log.reject(status.line),
            }
        }
        log
    }

    fn reject(&mut self, number: usize) {
        if let Err(at) = self.damaged.binary_search(&number) {
            self.damaged.insert(at, number);
        }
    }

    /// A message with the number of damaged lines and the line number of the first one; `None` when none is damaged.
    pub fn damage(&self) -> Option<String> {
        let first = self.damaged.first()?;
        Some(format!(
            "{} of {} tick lines are damaged and are left out (line {first} is the first)",
            self.damaged.len(),
            self.n_lines
        ))
    }
}

/// Splits a line into the parts that begin like a status line: with `tick`, a number, and `kimg` or a prefix of it.
/// After a cut status line another one can follow on the same line.
fn statuses(line: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = line
        .match_indices("tick")
        .map(|(at, _)| at)
        // Skip the key `sec/tick`.
        .filter(|&at| !line[..at].ends_with('/') && is_status(&line[at..], at == 0))
        .collect();
    let ends: Vec<usize> = starts.iter().copied().skip(1).chain([line.len()]).collect();
    let pieces = starts.into_iter().zip(ends);
    pieces.map(move |(start, end)| &line[start..end])
}

/// Whether a text begins like a status line. `is_alone` says that the text begins at the start of a line: only there
/// does `tick` count without the key `kimg` (or a prefix of it) after it.
fn is_status(text: &str, is_alone: bool) -> bool {
    let text = text.trim_end_matches('\0');
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    match words[..] {
        ["tick"] => is_alone,
        ["tick", number] => is_alone && is_number(number),
        ["tick", number, key] => is_number(number) && "kimg".starts_with(key),
        ["tick", number, key, _] => is_number(number) && key == "kimg",
        _ => false,
    }
}

/// The keys of a status line with their values. A word that begins with a digit or sign, `nan` and `inf` are values;
/// other words are keys.
fn pairs(status: &str) -> Vec<(&str, Vec<&str>)> {
    let mut pairs: Vec<(&str, Vec<&str>)> = Vec::new();
    for word in status.split_whitespace() {
        let is_value = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'))
            || matches!(word, "nan" | "inf");
        match pairs.last_mut().filter(|_| is_value) {
            Some((_, values)) => values.push(word),
            None => pairs.push((word, Vec::new())),
        }
    }
    pairs
}

/// Number of digits after the decimal point of a number in text form.
fn n_decimals(number: &str) -> usize {
    number.split_once('.').map_or(0, |(_, digits)| digits.len())
}

/// The largest number of decimals that each key has in the log. A program always writes the same number of decimals, so
/// a value with fewer was cut off.
fn decimals<'l>(all: &[Status<'l>]) -> BTreeMap<&'l str, usize> {
    let mut most = BTreeMap::new();
    for (key, values) in all.iter().flat_map(|status| &status.pairs) {
        if let [value] = values[..] {
            let most = most.entry(*key).or_insert(0);
            *most = n_decimals(value).max(*most);
        }
    }
    most
}

impl Status<'_> {
    fn last_key(&self) -> Option<String> {
        self.pairs.last().map(|(key, _)| (*key).to_owned())
    }

    /// The values of a key; `None` when the line does not have the key.
    fn values(&self, key: &str) -> Option<&[&str]> {
        let pair = self.pairs.iter().find(|(known, _)| *known == key)?;
        Some(&pair.1)
    }

    fn number(&self, key: &str) -> Option<f64> {
        match self.values(key)? {
            [value] => value.parse().ok(),
            _ => None,
        }
    }

    /// The tick of the status line; `None` when the line is not complete.
    fn tick(&self, decimals: &BTreeMap<&str, usize>) -> Option<Tick> {
        let (last, values) = self.pairs.last()?;
        let [value] = values[..] else {
            return None;
        };
        let is_cut = decimals.get(last).is_some_and(|most| {
            value.parse::<f64>().is_ok_and(f64::is_finite) && n_decimals(value) < *most
        });
        if is_cut || value.parse::<f64>().is_err() {
            return None;
        }
        let (tick, kimg) = (self.number("tick")?, self.number("kimg")?);
        // A time at the end of a cut line may lack its last part.
        let time = self.pairs.iter().position(|(key, _)| *key == "time")?;
        if time + 1 == self.pairs.len() {
            return None;
        }
        let means = match self.values("augment") {
            Some(_) => Some(("Progress/augment".to_owned(), self.number("augment")?)),
            None => None,
        };
        Some(Tick {
            kimg,
            hours: parse_time(&self.pairs[time].1)? / 3600.0,
            tick: tick as u64,
            means: means.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "tick 601   kimg 2423.3   time 18h 36m 40s  sec/tick 108.1   sec/kimg 26.81   maintenance 254.8  cpumem 1.09   gpumem 3.13   augment 0.441";

    fn kimgs(log: &Log) -> Vec<f64> {
        log.ticks.iter().map(|tick| tick.kimg).collect()
    }

    #[test]
    fn a_line_that_was_written_is_read() {
        let line = TickLine {
            tick: 601,
            kimg: 2423.31,
            total_sec: 67_000.0,
            sec_per_tick: 108.1,
            sec_per_kimg: 26.81,
            maintenance_sec: 254.8,
            cpu_mem_gb: 1.09,
            gpu_mem_gb: 3.13,
            augment: 0.441,
        };
        let text = line.to_string();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words, LINE.split_whitespace().collect::<Vec<_>>());
        let log = Log::parse(&format!("{text}\n"));
        assert_eq!((kimgs(&log), log.damage()), (vec![2423.3], None));
        assert!((log.ticks[0].hours - 67_000.0 / 3600.0).abs() < 1e-9);
    }

    #[test]
    fn a_status_line_is_a_tick() {
        let log = Log::parse(&format!("{LINE}\nEvaluating metrics...\n"));
        let tick = &log.ticks[0];
        assert_eq!(
            (tick.tick, tick.kimg, tick.means["Progress/augment"]),
            (601, 2423.3, 0.441)
        );
        assert!((tick.hours - 18.6111).abs() < 1e-3);
        assert_eq!((log.ticks.len(), log.damage()), (1, None));
        // A line of NVIDIA's TensorFlow program, after a date.
        let line = "[2020-11-01 12:00] tick 5     kimg 40.1     lod 0.00  minibatch 32   time 1d 01h 30m   sec/tick 60.0    sec/kimg 15.00   maintenance 1.0    gpumem 9.1";
        let log = Log::parse(line);
        assert_eq!((log.ticks[0].kimg, log.ticks[0].hours), (40.1, 25.5));
        assert_eq!(log.damage(), None);
    }

    #[test]
    fn colors_and_line_ends_do_not_matter() {
        let line = |tick: u64| {
            format!(
                "tick {tick}     kimg {}.0      time 35m 00s      sec/tick 60.0    augment 0.100",
                tick * 4
            )
        };
        for (text, n) in [
            (
                format!("{}\r\n\x1b[1;32m{}\x1b[0m\r\n", line(0), line(1)),
                2,
            ),
            (
                "\x1b[1;32mtick\x1b[0m 1 \x1b[36mkimg\x1b[0m 4.0 time \x1b[1m5s\x1b[0m sec/tick 1.0\n"
                    .to_owned(),
                1,
            ),
            (format!("{}\r{}\r", line(0), line(1)), 2),
            (format!("\x1b[2K\r{}\x1b[K\n", line(0)), 1),
        ] {
            let log = Log::parse(&text);
            assert_eq!((log.ticks.len(), log.damage()), (n, None), "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_cut_anywhere_counts_as_damage() {
        // The log is the first tick and a prefix of the second.
        let second = LINE.replace("601", "602").replace("2423.3", "2427.3");
        for cut in 1..second.len() {
            for end in ["", "\n"] {
                let part = &second[..cut];
                let log = Log::parse(&format!("Training for 25000 kimg...\n{LINE}\n{part}{end}"));
                // A cut is not detected at the end of the line, within the first word, or after a key that is the last
                // one in logs of other programs.
                let is_noticed = end.is_empty()
                    || (cut >= "tick".len()
                        && !part.ends_with(|c: char| c.is_ascii_digit() || c == ' '));
                if is_noticed {
                    assert_eq!(kimgs(&log), [2423.3], "{part}{end}");
                    let damage = log.damage().unwrap_or_default();
                    assert!(
                        damage.starts_with("1 of 2 tick lines") && damage.contains("line 3"),
                        "{part}{end}: {damage}"
                    );
                }
                // A cut line must never give a wrong number.
                if let Some(tick) = log.ticks.get(1) {
                    assert_eq!(tick.kimg, 2427.3);
                    assert!((tick.hours - 18.6111).abs() < 1e-3);
                    assert!(tick.means.values().all(|p| *p == 0.441), "{part}");
                }
            }
        }
    }

    #[test]
    fn a_tick_after_a_cut_line_is_kept() {
        let log = Log::parse(&format!("tick 4     kimg 16.0     ti{LINE}\n"));
        assert_eq!(kimgs(&log), [2423.3]);
        assert!(log.damage().unwrap().starts_with("1 of 1 tick lines"));
        let log = Log::parse(&format!(
            "{LINE}\n\0\0\0\0\n\0\0{}\n",
            LINE.replace("2423", "2424")
        ));
        assert_eq!(kimgs(&log), [2423.3, 2424.3]);
        assert!(log.damage().unwrap().starts_with("2 of 3 tick lines"));
        for text in [
            "Snapshot at tick 5 was saved\n",
            "tick 5 was skipped\n",
            "ticks per snapshot: 50\n",
            "sec/tick 60.0\n",
            "t",
        ] {
            let log = Log::parse(text);
            assert!(log.ticks.is_empty());
            assert_eq!(log.damage().is_some(), text == "t", "{text}");
        }
    }
}
