//! Progress of long work: a bar with rate and ETA on a terminal, log lines at intervals elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle as BarStyle};
use run_folder::format_time;

use crate::console::{ProgressStyle, console};
use crate::rate::Rate;

/// Progress of one piece of work, counted in `unit`s.
///
/// Threads share it by reference. Dropping it removes the bar; [`finish`](Self::finish) also logs how long the work
/// took.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    title: Cow<'static, str>,
    unit: &'static str,
    rate: Arc<Rate>,
    /// Number of units that an earlier run has done.
    base: AtomicU64,
    lines: Option<Lines>,
}

/// The log lines that stand for the bar where output is not a terminal: their interval, and the time of the last one.
#[derive(Debug)]
struct Lines {
    interval: Duration,
    last: Mutex<Instant>,
}

impl Progress {
    /// Starts a bar called `title`. Without a total it counts up and shows no ETA.
    ///
    /// `unit` is the plural of what is counted (`images`).
    pub fn new(
        title: impl Into<Cow<'static, str>>,
        total: Option<u64>,
        unit: &'static str,
    ) -> Self {
        let console = console();
        let title: Cow<'static, str> = Cow::Owned(crate::printable(&title.into()).into_owned());
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let rate = Arc::new(Rate::new(Instant::now(), 0));
        let mut lines = None;
        match console.style {
            ProgressStyle::Bar => {
                bar.set_style(style(total.is_some(), unit, console.color, &rate));
                bar.set_prefix(title.clone());
                console.bars.add(bar.clone());
                // Where the system allows no more threads, steady ticks would panic; without them the bar moves with
                // the count.
                if std::thread::Builder::new().spawn(|| {}).is_ok() {
                    bar.enable_steady_tick(Duration::from_millis(200));
                }
            }
            ProgressStyle::Lines(interval) => {
                bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
                lines = Some(Lines {
                    interval,
                    last: Mutex::new(Instant::now()),
                });
            }
            ProgressStyle::Hidden => bar.set_draw_target(indicatif::ProgressDrawTarget::hidden()),
        }
        Self {
            bar,
            title,
            unit,
            rate,
            base: AtomicU64::new(0),
            lines,
        }
    }

    /// Adds `n` to the count.
    pub fn inc(&self, n: u64) {
        self.bar.inc(n);
        self.write_line_when_due();
    }

    /// Sets the count, for a loop that keeps its own count. Units since the previous count enter the rate, unlike those
    /// of [`resume_from`](Self::resume_from).
    pub fn set_position(&self, position: u64) {
        self.bar.set_position(position);
        self.write_line_when_due();
    }

    /// Sets the count to the number of units that an earlier run has done. They do not enter the rate.
    pub fn resume_from(&self, position: u64) {
        self.base.store(position, Ordering::Relaxed);
        self.rate.restart(Instant::now(), position);
        self.bar.set_position(position);
    }

    /// Sets or changes the total.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
        if console().style == ProgressStyle::Bar {
            self.bar
                .set_style(style(true, self.unit, console().color, &self.rate));
        }
    }

    /// Sets the text behind the bar (`tick 3  p 0.12  r_t 0.41`).
    pub fn set_message(&self, message: impl Into<Cow<'static, str>>) {
        let message = message.into();
        self.bar
            .set_message(crate::printable(&message).into_owned());
    }

    /// The count, including the units that an earlier run has done.
    pub fn position(&self) -> u64 {
        self.bar.position()
    }

    /// Time since the bar was started.
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Removes the bar and logs the number of units that this run has done and the time that it took.
    pub fn finish(self) {
        let (n, elapsed) = (self.n_done(), self.bar.elapsed());
        self.bar.finish_and_clear();
        tracing::info!(
            "{}: {n} {} in {} ({}/s)",
            self.title,
            self.unit,
            format_time(elapsed),
            format_rate(n as f64 / elapsed.as_secs_f64().max(1e-9)),
        );
    }

    /// Number of units that this run has done.
    fn n_done(&self) -> u64 {
        let base = self.base.load(Ordering::Relaxed);
        self.bar.position().saturating_sub(base)
    }

    fn write_line_when_due(&self) {
        let Some(lines) = &self.lines else { return };
        // If the lock is taken, another thread is writing the line.
        let Ok(mut last) = lines.last.try_lock() else {
            return;
        };
        if last.elapsed() < lines.interval {
            return;
        }
        *last = Instant::now();
        tracing::info!("{}", self.line());
    }

    /// The log line, in the form `packing: 1200/5000 images (24%), 85.2/s, ETA 45s, message`.
    fn line(&self) -> String {
        let (position, unit) = (self.bar.position(), self.unit);
        let rate = self.rate.per_sec(Instant::now(), position);
        let mut text = match self.bar.length() {
            Some(total) => format!(
                "{}: {position}/{total} {unit} ({}%), {}/s, ETA {}",
                self.title,
                position * 100 / total.max(1),
                format_rate(rate),
                format_eta(total.saturating_sub(position), rate),
            ),
            None => format!("{}: {position} {unit}, {}/s", self.title, format_rate(rate)),
        };
        let message = self.bar.message();
        if !message.is_empty() {
            text.push_str(", ");
            text.push_str(&message);
        }
        text
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

fn style(has_total: bool, unit: &'static str, color: bool, rate: &Arc<Rate>) -> BarStyle {
    let bar = if color {
        "{bar:28.cyan/dim}"
    } else {
        "{bar:28}"
    };
    let template = if has_total {
        format!("{{prefix}} {bar} {{pos}}/{{len}} {{rate}} ETA {{left}} {{wide_msg}}")
    } else {
        "{prefix} {spinner} {pos} {rate} {wide_msg}".to_owned()
    };
    let per_sec = {
        let rate = rate.clone();
        move |state: &ProgressState| rate.per_sec(Instant::now(), state.pos())
    };
    let left = per_sec.clone();
    BarStyle::with_template(&template)
        .unwrap_or_else(|_| BarStyle::default_bar())
        .with_key(
            "rate",
            move |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{} {unit}/s", format_rate(per_sec(state)));
            },
        )
        .with_key(
            "left",
            move |state: &ProgressState, out: &mut dyn fmt::Write| {
                let remaining = state.len().unwrap_or(0).saturating_sub(state.pos());
                let _ = out.write_str(&format_eta(remaining, left(state)));
            },
        )
        .progress_chars("=> ")
}

/// The time that `remaining` units take at a rate per second; `-` while the rate is 0.
fn format_eta(remaining: u64, rate: f64) -> String {
    let secs = remaining as f64 / rate;
    match Duration::try_from_secs_f64(secs) {
        Ok(eta) => format_time(eta),
        Err(_) => "-".to_owned(),
    }
}

/// Formats a rate with up to three decimals: `0.031`, `1.25`, `85.2`, `1203`.
fn format_rate(rate: f64) -> String {
    match rate {
        r if r >= 100.0 => format!("{r:.0}"),
        r if r >= 10.0 => format!("{r:.1}"),
        r if r >= 1.0 => format!("{r:.2}"),
        r => format!("{r:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_count_share_and_message() {
        let progress = Progress::new("packing", Some(8), "images");
        progress.inc(2);
        progress.set_message("a.png");
        let line = progress.line();
        assert!(line.starts_with("packing: 2/8 images (25%), "), "{line}");
        assert!(
            line.contains("/s, ETA ") && line.ends_with(", a.png"),
            "{line}"
        );
        progress.set_total(16);
        assert!(progress.line().contains("2/16 images (12%)"));
    }

    #[test]
    fn what_an_earlier_run_did_is_no_speed() {
        let progress = Progress::new("training", Some(10_000), "images");
        progress.resume_from(9_000);
        assert!(
            progress
                .line()
                .starts_with("training: 9000/10000 images (90%), 0.000/s, ETA -")
        );
        progress.inc(3);
        assert_eq!((progress.position(), progress.n_done()), (9_003, 3));
    }

    #[test]
    fn without_a_total_it_counts_up() {
        let progress = Progress::new("walking", None, "files");
        progress.inc(7);
        assert!(progress.line().starts_with("walking: 7 files, "));
        assert_eq!(progress.position(), 7);
    }
}
