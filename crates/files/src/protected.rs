//! Files that a program reads and must never replace with one of its outputs.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Real paths of the inputs of this process.
static INPUTS: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
/// Real paths of the folders in which every file is an input.
static FOLDERS: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Registers a file as an input of this process: from now on no [`AtomicFile`](crate::AtomicFile) replaces it, whatever
/// path leads to it. A path that does not exist is ignored.
pub fn protect_input(path: &Path) {
    if let Ok(real) = path.canonicalize() {
        let mut inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.get_or_insert_default().insert(real);
    }
}

/// Registers all files in a folder, at any depth, as inputs; files that do not exist yet can be created there. A path
/// that is not a folder is ignored.
pub fn protect_folder(path: &Path) {
    if let (true, Ok(real)) = (path.is_dir(), path.canonicalize()) {
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        folders.get_or_insert_default().insert(real);
    }
}

/// Whether a file is in a folder of inputs, at any depth.
fn is_in_folder(real: &Path) -> bool {
    let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut folders = folders.iter().flatten();
    folders.any(|folder| real.starts_with(folder))
}

/// Refuses an output path that leads to an input. [`AtomicFile`](crate::AtomicFile) calls this itself; a program calls
/// it before work that would be lost.
///
/// # Errors
/// `InvalidInput` when the path leads to an input, with the path in the message.
pub fn check_output(path: &Path) -> io::Result<()> {
    let Ok(real) = path.canonicalize() else {
        return Ok(());
    };
    let inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_input = inputs.as_ref().is_some_and(|inputs| inputs.contains(&real));
    if !is_input && !is_in_folder(&real) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "'{}' is an input of this command and would be replaced: name another output",
            path.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_input_is_not_replaced_under_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photos.zip");
        fs::write(&path, "pictures").unwrap();
        protect_input(&path);
        fs::create_dir(folder.path().join("below")).unwrap();
        let mut names = vec![path.clone(), folder.path().join("below/../photos.zip")];
        #[cfg(unix)]
        {
            let link = folder.path().join("link.zip");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            names.push(link);
        }
        for name in names {
            let error = crate::write_bytes(&name, b"samples").unwrap_err();
            assert!(error.to_string().contains("is an input"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"pictures");
        }
        // Every file of a folder of inputs, and new ones beside them.
        let inside = folder.path().join("below/a/b.png");
        crate::write_bytes(&inside, b"picture").unwrap();
        protect_folder(&folder.path().join("below"));
        let error = crate::write_bytes(&inside, b"sheet").unwrap_err();
        assert!(error.to_string().contains("is an input"), "{error}");
        crate::write_bytes(folder.path().join("below/a/new.png"), b"sheet").unwrap();

        crate::write_bytes(folder.path().join("faces.zip"), b"samples").unwrap();
        assert!(check_output(&folder.path().join("new.zip")).is_ok());
    }
}
