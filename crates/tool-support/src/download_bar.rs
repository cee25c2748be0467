use downloads::DownloadProgress as Progress;

/// A bar of bytes that appears with the first byte that is fetched.
#[derive(Default)]
pub struct DownloadBar {
    title: Option<&'static str>,
    bar: Option<cli::Progress>,
}

impl DownloadBar {
    /// A bar with a title in place of `fetching`.
    pub fn titled(title: &'static str) -> Self {
        Self {
            title: Some(title),
            bar: None,
        }
    }

    /// Shows how far a download is.
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

    /// Ends the bar of a download that succeeded; a bar that is dropped is taken away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish();
        }
    }
}
