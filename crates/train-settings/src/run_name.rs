//! The name of a run: what tells it from others, as the official program writes it.

use run_folder::format_number;

/// Grows by a part for each setting that was typed: `faces-mirror-paper512-gamma0.5`.
pub(crate) struct RunName(String);

impl RunName {
    /// Begins with the name of the dataset.
    pub fn new(dataset: &str) -> Self {
        Self(dataset.to_owned())
    }

    /// Adds a part.
    pub fn note(&mut self, part: &str) {
        self.0.push('-');
        self.0.push_str(part);
    }

    /// Adds a number behind its name.
    pub fn note_number(&mut self, name: &str, value: f64) {
        self.note(&format!("{name}{}", format_number(value, 6)));
    }

    /// The name.
    pub fn into_text(self) -> String {
        self.0
    }
}
