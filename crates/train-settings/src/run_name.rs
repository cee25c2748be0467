//! The description of a run in the name of its folder, as the official program writes it.

use run_folder::format_number;

/// A name that gets a part for each setting that was given: `faces-mirror-paper512-gamma0.5`.
pub(crate) struct RunName(String);

impl RunName {
    /// A name that begins with that of the dataset.
    pub fn new(dataset: &str) -> Self {
        Self(dataset.to_owned())
    }

    /// Adds a part.
    pub fn note(&mut self, part: &str) {
        self.0.push('-');
        self.0.push_str(part);
    }

    /// Adds a part with a name and a number: `gamma0.5`.
    pub fn note_number(&mut self, name: &str, value: f64) {
        self.note(&format!("{name}{}", format_number(value, 6)));
    }

    /// The whole name.
    pub fn into_text(self) -> String {
        self.0
    }
}
