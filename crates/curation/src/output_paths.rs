//! Paths of the files that a run writes: the zip, and the files beside it.

use crate::error::CurationError;
use std::path::{Path, PathBuf};

/// The paths of the zip and of the files beside it; all have the same stem.
#[derive(Clone, Debug)]
pub(crate) struct OutputPaths {
    pub zip: PathBuf,
    pub manifest: PathBuf,
    pub report: PathBuf,
    pub journal: PathBuf,
    pub recipe: PathBuf,
}

impl OutputPaths {
    /// The paths for a zip at `out`.
    ///
    /// # Errors
    /// [`CurationError::Output`] when the name does not end in `.zip`.
    pub fn new(out: &Path) -> Result<Self, CurationError> {
        let is_zip = out
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("zip"));
        let Some(stem) = out.file_stem().filter(|_| is_zip) else {
            return Err(CurationError::Output(out.to_owned()));
        };
        let name = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            out.with_file_name(name)
        };
        Ok(Self {
            zip: out.to_owned(),
            manifest: name(".manifest.jsonl"),
            report: name(".report.html"),
            journal: name(".journal"),
            recipe: out.with_extension("recipe.toml"),
        })
    }

    /// All five paths. A run leaves these files out of its inputs.
    pub fn all(&self) -> [PathBuf; 5] {
        [
            self.zip.clone(),
            self.manifest.clone(),
            self.report.clone(),
            self.journal.clone(),
            self.recipe.clone(),
        ]
    }
}
