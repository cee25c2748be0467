//! Lists the files of a folder or zip with their names as text, and what is left out of the list.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use archive::ZipFile;
use archive::names::{CodePage, as_cp437, decode_path};

use crate::aliases::Aliases;
use crate::error::Error;
use crate::image_name::is_image_name;

/// A listed file, before it is decided whether it is a sample.
pub(crate) struct Found {
    pub name: String,
    pub place: Place,
}

/// Location of the bytes of a file.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the folder of the dataset, under its name.
    Named,
    /// At this path, as its name is not Unicode.
    File(PathBuf),
    /// The member of the zip with this index.
    Member(usize),
}

/// Names of entries of a folder or zip that are left out of the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Links to folders, which are not followed.
    pub linked_folders: Vec<String>,
    /// Links with the name of an image to files that do not exist.
    pub dangling_links: Vec<String>,
    /// Files that operating systems put beside images (`._a.png`, `Thumbs.db`), see [`archive::is_system_file`].
    pub system_files: Vec<String>,
}

impl LeftOut {
    /// One sentence for the user on each kind that occurs, with the count and the first three names.
    pub fn sentences(&self) -> Vec<String> {
        [
            (
                &self.linked_folders,
                "linked folder(s) left out (links to folders are not followed: name the folder itself)",
            ),
            (&self.dangling_links, "link(s) to missing files left out"),
            (
                &self.system_files,
                "file(s) of the operating system left out",
            ),
        ]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, what)| format!("{} {what}: {}", names.len(), first_names(names)))
        .collect()
    }
}

/// The first three names, separated by commas, and `...` if there are more.
pub(crate) fn first_names(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    shown + more
}

/// Lists the members of a zip that are files.
pub(crate) fn list_zip(zip: &ZipFile) -> Vec<Found> {
    let members = zip.members().iter().enumerate();
    members
        .filter(|(_, member)| !member.is_folder())
        .map(|(index, member)| Found {
            name: decode_path(&member.name.raw, member.name.page).into_owned(),
            place: Place::Member(index),
        })
        .collect()
}

/// Adds the files in `folder`, at any depth, to `found`, and what is left out to `left_out`. Links to folders are not
/// followed, as in Python's `os.walk`. `raw_prefix` is the undecoded path of `folder` within the dataset, with `/` at
/// its end.
pub(crate) fn list_folder(
    folder: &Path,
    raw_prefix: &[u8],
    found: &mut Vec<Found>,
    left_out: &mut LeftOut,
) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let path = entry.path();
        let mut raw = [raw_prefix, entry.file_name().as_encoded_bytes()].concat();
        let name = || decode_path(&raw, CodePage::Unknown).into_owned();
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            raw.push(b'/');
            list_folder(&path, &raw, found, left_out)?;
        } else if kind.is_file() || path.is_file() {
            let place = match std::str::from_utf8(&raw) {
                Ok(_) => Place::Named,
                Err(_) => Place::File(path),
            };
            found.push(Found {
                name: name(),
                place,
            });
        } else if path.is_dir() {
            left_out.linked_folders.push(name());
        } else if kind.is_symlink() && is_image_name(&name()) {
            left_out.dangling_links.push(name());
        }
    }
    left_out.linked_folders.sort_unstable();
    left_out.dangling_links.sort_unstable();
    Ok(())
}

/// Sorts files by name and makes equal names distinct: the second `a.png` becomes `a.png#2`, with `a.png` as an alias.
/// Returns the new names, sorted.
///
/// In a folder, two names can have the same text only when one of them is not valid Unicode; the number is added to
/// that one.
pub(crate) fn sort_and_number(found: &mut [Found], aliases: &mut Aliases) -> Vec<String> {
    let order = |place: &Place| match place {
        Place::Named => (0, None),
        Place::File(path) => (1, Some(path.clone())),
        Place::Member(index) => (*index, None),
    };
    found.sort_by(|a, b| {
        let by_name = a.name.cmp(&b.name);
        by_name.then_with(|| order(&a.place).cmp(&order(&b.place)))
    });
    let mut numbered = Vec::new();
    if found.windows(2).all(|pair| pair[0].name != pair[1].name) {
        return numbered;
    }
    let mut taken: HashSet<String> = found.iter().map(|file| file.name.clone()).collect();
    let mut previous = String::new();
    for file in found.iter_mut() {
        if file.name != previous {
            previous.clone_from(&file.name);
            continue;
        }
        let mut n = 2;
        while !taken.insert(format!("{previous}#{n}")) {
            n += 1;
        }
        file.name = format!("{previous}#{n}");
        numbered.push(file.name.clone());
        aliases.add(&file.name, previous.clone());
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    numbered.sort_unstable();
    numbered
}

/// Adds as aliases the names that Python's `zipfile` reads for members without the UTF-8 flag: NVIDIA's
/// `dataset_tool.py` looks labels up by these names.
pub(crate) fn add_python_names(found: &[Found], zip: &ZipFile, aliases: &mut Aliases) {
    for file in found {
        let Place::Member(index) = file.place else {
            continue;
        };
        let name = &zip.members()[index].name;
        if name.page == CodePage::Dos && !name.raw.is_ascii() {
            aliases.add(&file.name, as_cp437(&name.raw));
        }
    }
}
