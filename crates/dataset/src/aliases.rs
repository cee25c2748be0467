//! Alternative names of files.

use std::collections::HashMap;

/// Alternative names of files, under which `dataset.json` may have their labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aliases(HashMap<String, Vec<String>>);

impl Aliases {
    /// The alternative names of the file `name`.
    pub(crate) fn of(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Adds an alternative name of the file `name`.
    pub(crate) fn add(&mut self, name: &str, spelling: String) {
        self.0.entry(name.to_owned()).or_default().push(spelling);
    }
}
