//! The progress bar of downloads.

use downloads::DownloadProgress as Progress;

/// A progress bar of a download, in bytes. It appears with the first call of [`show`](Self::show).
#[derive(Default)]
pub struct DownloadBar {
    title: Option<&'static str>,
    bar: Option<cli::Progress>,
}

impl DownloadBar {
    /// A bar with the title `title` instead of the default, `fetching`.
    pub fn titled(title: &'static str) -> Self {
        Self {
            title: Some(title),
            bar: None,
        }
    }

    /// Shows the progress of a download.
    pub fn show(&mut self, progress: Progress) {
        let title = self.title.unwrap_or("fetching");
        let bar = self
            .bar
            .get_or_insert_with(|| cli::Progress::new(title, progress.total, "bytes"));
        if let Some(total) = progress.total {
            bar.set_total(total);
        }
        bar.set_position(progress.done);
    }

    /// Removes the bar after a download that succeeded, and logs the size and duration of the download. A `DownloadBar`
    /// that is dropped without this call only removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}
