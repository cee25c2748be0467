//! Progress bars of an evaluation.

use metrics::{Progress, Step};

/// Shows the progress of an evaluation: one bar for the real images, then one for the generated ones. While a metric is
/// computed, the current bar shows a message.
#[derive(Default)]
pub struct Bars {
    /// The current bar, with the step and the total number of images that it shows; `None` before the first bar.
    bar: Option<((Step, usize), cli::Progress)>,
}

impl Bars {
    /// Updates the bars to `progress`.
    pub fn show(&mut self, progress: Progress) {
        if progress.step == Step::Compute {
            if let Some((_, bar)) = &self.bar {
                bar.set_message(format!(
                    "metric {} of {}",
                    progress.done + 1,
                    progress.total
                ));
            }
            return;
        }
        let kind = (progress.step, progress.total);
        if self.bar.as_ref().is_none_or(|(known, _)| *known != kind) {
            if let Some((_, bar)) = self.bar.take() {
                bar.finish();
            }
            let title = match progress.step {
                Step::Reals => "real images",
                _ => "generated images",
            };
            let total = (progress.total > 0).then_some(progress.total as u64);
            self.bar = Some((kind, cli::Progress::new(title, total, "images")));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_message("");
            bar.set_position(progress.done as u64);
        }
    }
}
