//! Builds the description of a run for the name of its folder, in the format of NVIDIA's StyleGAN2-ADA.

use run_folder::format_number;

/// A description with a part for each setting that was given, such as `faces-mirror-paper512-gamma0.5`.
pub(crate) struct RunName(String);

impl RunName {
    /// A description that consists of the name of the dataset.
    pub fn new(dataset: &str) -> Self {
        Self(dataset.to_owned())
    }

    /// Appends `-` and `part`.
    pub fn note(&mut self, part: &str) {
        self.0.push('-');
        self.0.push_str(part);
    }

    /// Appends a part that consists of a name and a number, such as `-gamma0.5`.
    pub fn note_number(&mut self, name: &str, value: f64) {
        self.note(&format!("{name}{}", format_number(value, 6)));
    }

    /// Returns the description.
    pub fn into_text(self) -> String {
        self.0
    }
}
