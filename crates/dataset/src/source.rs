//! The files of a dataset: a zip read in place (stored or deflated, zip64), or a folder.
//!
//! Reading takes `&self` and is safe from many threads: zips are read at given offsets, with no shared cursor.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use archive::{ArchiveError, ZipFile, describe_file, is_system_file, may_be_system_file};
use decode::Format;

use crate::aliases::Aliases;
use crate::error::Error;
use crate::image_name::is_image_name;
use crate::listing::{
    Found, LeftOut, Place, add_python_names, first_names, list_folder, list_zip, sort_and_number,
};

/// Largest entry in bytes that is read, as a protection from archives that claim to unpack to terabytes.
const MAX_ENTRY_BYTES: u64 = 1 << 30;

/// The files of a dataset: the samples, sorted by name so that their position is their index, and all other files.
///
/// Names that are not UTF-8 are decoded by the rules of [`archive::names`]; of several zip members with the same name,
/// the second is called `a.png#2`. Files that operating systems put beside images are in neither list, see
/// [`left_out`](Self::left_out).
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    kind: Kind,
    names: Vec<String>,
    others: Vec<String>,
    /// Location of each file in `names`.
    places: Vec<Place>,
    /// Location of each file in `others`.
    other_places: Vec<Place>,
    duplicates: Vec<String>,
    aliases: Aliases,
    left_out: LeftOut,
}

/// Size and checksum of a file, as the directory of the zip or folder gives them.
pub(crate) struct DirectoryEntry {
    /// Number of bytes when unpacked.
    pub size: u64,
    /// CRC-32 of the unpacked bytes; `None` in folders, which do not store it.
    pub crc32: Option<u32>,
}

#[derive(Clone, Debug)]
enum Kind {
    Folder,
    Zip(ZipFile),
}

impl Source {
    /// Opens a folder (with all folders below it) or a zip. Samples are the files with the name of an image, see
    /// [`is_image_name`].
    ///
    /// # Errors
    /// When `path` is neither a folder nor a zip, or cannot be read. An empty dataset is not an error.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path.as_ref(), false)
    }

    /// As [`open`](Self::open), but files that are images by their first bytes are samples too, whatever their names.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_by_content(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path.as_ref(), true)
    }

    fn open_with(path: &Path, by_content: bool) -> Result<Self, Error> {
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let mut found = Vec::new();
        let mut left_out = LeftOut::default();
        let kind = if metadata.is_dir() {
            list_folder(path, b"", &mut found, &mut left_out)?;
            Kind::Folder
        } else {
            let zip = open_zip(path)?;
            found = list_zip(&zip);
            Kind::Zip(zip)
        };
        let mut aliases = Aliases::default();
        let numbered = sort_and_number(&mut found, &mut aliases);
        let mut duplicates = Vec::new();
        if let Kind::Zip(zip) = &kind {
            add_python_names(&found, zip, &mut aliases);
            duplicates = numbered;
        }
        let mut source = Self {
            path: path.to_owned(),
            kind,
            names: Vec::new(),
            others: Vec::new(),
            places: Vec::new(),
            other_places: Vec::new(),
            duplicates,
            aliases,
            left_out,
        };
        for file in found {
            source.sort_in(file, by_content);
        }
        Ok(source)
    }

    /// Adds a file to the list that it belongs to: samples, other files or left out.
    fn sort_in(&mut self, file: Found, by_content: bool) {
        let Found { name, place } = file;
        let head = || self.head(&name, &place);
        // A name such as `a.png#2` ends in its number; its first alias is the name without the number.
        let told = self.aliases.of(&name).first();
        let has_image_name = is_image_name(&name) || told.is_some_and(|name| is_image_name(name));
        if may_be_system_file(&name) && is_system_file(&name, &head()) {
            self.left_out.system_files.push(name);
        } else if has_image_name || (by_content && is_image(&head())) {
            self.names.push(name);
            self.places.push(place);
        } else {
            self.others.push(name);
            self.other_places.push(place);
        }
    }

    /// Path of the zip or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the samples, sorted; folders are separated by `/` on every system.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names of the other files, sorted, including `dataset.json`.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Names of the members of a zip whose name an earlier member already has; each ends in its number (`a.png#2`).
    pub fn duplicates(&self) -> &[String] {
        &self.duplicates
    }

    /// Entries that are neither samples nor other files of the dataset.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// A sentence for the user about images that are not samples because of their names; `None` if there are none. Only
    /// the first 1000 other files are examined.
    pub fn images_without_extension(&self) -> Option<String> {
        const LOOKED_AT: usize = 1000;
        let others = self.others.iter().zip(&self.other_places).take(LOOKED_AT);
        let images: Vec<String> = others
            .filter(|(name, place)| is_image(&self.head(name, place)))
            .map(|(name, _)| name.clone())
            .collect();
        (!images.is_empty()).then(|| {
            format!(
                "{} image(s) without an image's extension left out (rename them): {}",
                images.len(),
                first_names(&images)
            )
        })
    }

    pub(crate) fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    /// The bytes of a file; those of a zip member are checked against its CRC-32.
    ///
    /// # Errors
    /// When the file is missing, damaged, encrypted or larger than 1 GiB.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.read_limited(name, u64::MAX).map_err(|e| Error::Image {
            path: self.path.clone(),
            name: name.to_owned(),
            reason: e.to_string(),
        })
    }

    /// The first `limit` bytes of a file; they are checked against the CRC-32 only when they are the whole file.
    pub(crate) fn read_limited(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let place = self.place(name)?;
        self.read_at(name, place, limit)
    }

    fn read_at(&self, name: &str, place: &Place, limit: u64) -> io::Result<Vec<u8>> {
        if let (Kind::Zip(zip), Place::Member(index)) = (&self.kind, place) {
            check_size(zip.members()[*index].size, limit)?;
            return zip.read_limited(*index, limit).map_err(io::Error::other);
        }
        let file = files::open_input(&self.file_path(name, place))?;
        let size = file.metadata()?.len();
        check_size(size, limit)?;
        // Reserve 16 MiB at most, whatever size the file claims.
        let reserve = size.min(limit).min(16 << 20) as usize;
        let mut bytes = Vec::with_capacity(reserve + 1);
        file.take(limit.min(MAX_ENTRY_BYTES))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The first 64 bytes of a file, which are enough to recognize its kind; empty when it cannot be read.
    fn head(&self, name: &str, place: &Place) -> Vec<u8> {
        const BYTES: u64 = 64;
        self.read_at(name, place, BYTES).unwrap_or_default()
    }

    fn place(&self, name: &str) -> io::Result<&Place> {
        let find = |names: &[String]| names.binary_search_by(|n| n.as_str().cmp(name)).ok();
        let place = find(&self.names)
            .map(|i| &self.places[i])
            .or_else(|| find(&self.others).map(|i| &self.other_places[i]));
        place.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
    }

    fn file_path(&self, name: &str, place: &Place) -> PathBuf {
        match place {
            Place::File(path) => path.clone(),
            _ => self.path.join(name),
        }
    }

    /// The bytes of `dataset.json`; `None` when there is none.
    pub(crate) fn read_labels(&self) -> Result<Option<Vec<u8>>, Error> {
        self.labels_name().map(|name| self.read(name)).transpose()
    }

    /// The name of the file with the labels; `None` when there is none.
    pub(crate) fn labels_name(&self) -> Option<&'static str> {
        const NAME: &str = "dataset.json";
        let has_labels = self.others.iter().any(|name| name == NAME);
        has_labels.then_some(NAME)
    }

    /// Size and checksum of a file by its directory entry; the file itself is not read.
    pub(crate) fn directory_entry(&self, name: &str) -> Result<DirectoryEntry, Error> {
        let place = self
            .place(name)
            .map_err(Error::io("read", self.path.join(name)))?;
        if let (Kind::Zip(zip), Place::Member(index)) = (&self.kind, place) {
            let member = &zip.members()[*index];
            return Ok(DirectoryEntry {
                size: member.size,
                crc32: Some(member.crc32),
            });
        }
        let path = self.file_path(name, place);
        let metadata = std::fs::metadata(&path).map_err(Error::io("read", path))?;
        Ok(DirectoryEntry {
            size: metadata.len(),
            crc32: None,
        })
    }
}

/// Opens a zip, which is recognized by its content, so that it does not need the extension `.zip`.
fn open_zip(path: &Path) -> Result<ZipFile, Error> {
    let is_named = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    ZipFile::open(path).map_err(|source| match source {
        ArchiveError::NotAnArchive(_) if !is_named => Error::UnknownKind {
            path: path.to_owned(),
            found: describe_file(path),
        },
        source => Error::Zip {
            path: path.to_owned(),
            source,
        },
    })
}

fn check_size(size: u64, limit: u64) -> io::Result<()> {
    if size.min(limit) > MAX_ENTRY_BYTES {
        return Err(io::Error::other(format!(
            "it has {size} bytes, and at most {} MiB are read",
            MAX_ENTRY_BYTES >> 20
        )));
    }
    Ok(())
}

/// Whether the first bytes of a file are those of an image. A BMP must also have a known header size, as text can begin
/// with "BM", too.
fn is_image(head: &[u8]) -> bool {
    const BMP_HEADER_SIZES: [u8; 7] = [12, 40, 52, 56, 64, 108, 124];
    match Format::sniff(head) {
        Some(Format::Bmp) => BMP_HEADER_SIZES.contains(&head[14]) && head[15..18] == [0; 3],
        format => format.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lists_samples_sorted_by_whole_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b/2.png",
            "b/10.png",
            "a.png",
            "b.jpg",
            "dataset.json",
            "notes.txt",
        ] {
            files::write_bytes(folder.path().join(name), name.as_bytes()).unwrap();
        }
        let source = Source::open(folder.path()).unwrap();
        assert_eq!(source.names(), ["a.png", "b.jpg", "b/10.png", "b/2.png"]);
        assert_eq!(source.others(), ["dataset.json", "notes.txt"]);
        assert_eq!(source.read("b/2.png").unwrap(), b"b/2.png");
        assert_eq!(source.read_limited("b/2.png", 3).unwrap(), b"b/2");
        let error = source.read("c.png").unwrap_err().to_string();
        assert!(error.contains("'c.png'"), "{error}");
    }

    #[test]
    fn other_files_are_no_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faces.tar");
        files::write_bytes(&path, b"not a zip").unwrap();
        assert!(matches!(
            Source::open(&path),
            Err(Error::UnknownKind { .. })
        ));
        let path = folder.path().join("torn.zip");
        files::write_bytes(&path, b"PK\x03\x04 torn").unwrap();
        assert!(matches!(Source::open(&path), Err(Error::Zip { .. })));
        assert!(matches!(
            Source::open(folder.path().join("none")),
            Err(Error::Io { .. })
        ));
    }
}
