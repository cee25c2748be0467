//! The flag `--force`, and the check whether an output may replace an existing file.

use std::path::Path;

use anyhow::bail;

/// The flag of commands whose outputs are files that the user names. Flatten it.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Overwrite {
    /// Replace files that kaogan did not write (its own are replaced, inputs never)
    #[arg(long)]
    pub force: bool,
}

impl Overwrite {
    /// Refuses an output that would replace an input or, without `--force`, a file that does not carry the mark of an
    /// earlier output ([`files::mark`]). Call this for every output before the first one is written.
    ///
    /// # Errors
    /// An error that names the file and says what to do.
    pub fn check(&self, output: &Path) -> anyhow::Result<()> {
        files::check_output(output)?;
        // A folder at this path gets another error later. A broken link counts as a file of the user.
        let is_file = output
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink() || found.is_file());
        if is_file && !output.is_dir() && !self.force && !files::mark::is_marked(output) {
            bail!(
                "'{}' exists and was not written by kaogan: name another output, or replace it with --force",
                output.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_files_are_replaced_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (careful, force) = (Overwrite::default(), Overwrite { force: true });
        careful.check(&path("new.html")).unwrap();
        std::fs::write(path("ours.html"), files::mark::HTML_START).unwrap();
        careful.check(&path("ours.html")).unwrap();
        std::fs::write(path("theirs.html"), "<p>mine</p>").unwrap();
        let error = careful.check(&path("theirs.html")).unwrap_err().to_string();
        assert!(
            error.contains("theirs.html") && error.contains("--force"),
            "{error}"
        );
        force.check(&path("theirs.html")).unwrap();
        files::protect_input(&path("ours.html"));
        for overwrite in [careful, force] {
            let error = overwrite.check(&path("ours.html")).unwrap_err();
            assert!(error.to_string().contains("is an input"), "{error}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere", path("link.png")).unwrap();
            assert!(careful.check(&path("link.png")).is_err());
        }
    }
}
