//! Where the samples lie: a zip read in place (stored or deflated, zip64), or a folder.
//!
//! Reading takes `&self` and is safe from many threads: zips are read at positions, with no shared cursor.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use crate::error::Error;

/// The largest entry that is read, against archives that claim to unpack to terabytes.
const MAX_ENTRY_BYTES: u64 = 1 << 30;

/// Names that Pillow takes for pictures, in lower case and without the dot. Anything else in a dataset is no sample.
const EXTENSIONS: &[&str] = &[
    "apng", "avif", "avifs", "blp", "bmp", "bufr", "bw", "cur", "dcx", "dds", "dib", "emf", "eps",
    "fit", "fits", "flc", "fli", "ftc", "ftu", "gbr", "gif", "grib", "h5", "hdf", "icb", "icns",
    "ico", "iim", "im", "j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx",
    "mpeg", "mpg", "mpo", "msp", "palm", "pbm", "pcd", "pcx", "pdf", "pfm", "pgm", "png", "pnm",
    "ppm", "ps", "psd", "pxr", "qoi", "ras", "rgb", "rgba", "sgi", "tga", "tif", "tiff", "vda",
    "vst", "webp", "wmf", "xbm", "xpm",
];

/// Whether a loader takes a file of this name for a sample, whatever is in it.
pub fn is_image_name(name: &str) -> bool {
    let file_name = name.rsplit('/').next().unwrap_or(name);
    // As Python's `splitext`: leading dots belong to the stem.
    match file_name.trim_start_matches('.').rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()),
        None => false,
    }
}

/// The files of a dataset: samples in the order of their names, which is their index, and the others.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    kind: Kind,
    names: Vec<String>,
    others: Vec<String>,
    duplicate_names: bool,
}

/// What a directory tells of a file.
pub(crate) struct DirectoryEntry {
    /// Bytes, unpacked.
    pub size: u64,
    /// Checksum of the bytes; folders keep none.
    pub crc32: Option<u32>,
}

#[derive(Clone, Debug)]
enum Kind {
    Folder,
    Zip(ZipArchive<Positioned>),
}

impl Source {
    /// Opens a folder (with all folders below it) or a zip.
    ///
    /// # Errors
    /// When `path` is neither or cannot be read. An empty dataset opens.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let mut all = Vec::new();
        let mut duplicate_names = false;
        let kind = if metadata.is_dir() {
            walk(path, "", &mut all)?;
            Kind::Folder
        } else if is_zip(path).map_err(Error::io("read", path))? {
            let zip_error = |source| Error::Zip {
                path: path.to_path_buf(),
                source,
            };
            let file = File::open(path).map_err(Error::io("read", path))?;
            let archive = ZipArchive::new(Positioned::new(file)).map_err(zip_error)?;
            for name in archive.file_names() {
                let name = name.map_err(zip_error)?;
                if !name.ends_with('/') {
                    all.push(name.into_owned());
                }
            }
            duplicate_names = archive.has_duplicate_names();
            Kind::Zip(archive)
        } else {
            return Err(Error::UnknownKind(path.to_path_buf()));
        };
        let (mut names, mut others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|name| is_image_name(name));
        names.sort_unstable();
        others.sort_unstable();
        Ok(Self {
            path: path.to_path_buf(),
            kind,
            names,
            others,
            duplicate_names,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The samples, sorted; separated by `/` on every system.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The other files, sorted, `dataset.json` among them.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Whether two entries of a zip have the same name, so that only one of them can be reached.
    pub fn has_duplicate_names(&self) -> bool {
        self.duplicate_names
    }

    /// The bytes of a file; those of a zip entry are checked against its CRC.
    ///
    /// # Errors
    /// When it is missing, damaged, encrypted or larger than 1 GiB.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.read_limited(name, u64::MAX)
            .map_err(|e| Error::Picture {
                path: self.path.clone(),
                name: name.to_owned(),
                reason: e.to_string(),
            })
    }

    /// The first `limit` bytes of a file (not checked against the CRC when that is not all).
    pub(crate) fn read_limited(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        match &self.kind {
            Kind::Folder => {
                let file = File::open(self.path.join(name))?;
                let size = file.metadata()?.len();
                read_up_to(file, size, limit)
            }
            Kind::Zip(archive) => {
                // Cheap: the directory is shared, the clone only has a cursor of its own.
                let mut archive = archive.clone();
                let entry = archive.by_name(name)?;
                let size = entry.size();
                read_up_to(entry, size, limit)
            }
        }
    }

    /// `dataset.json`, when there is one.
    pub(crate) fn read_labels(&self) -> Result<Option<Vec<u8>>, Error> {
        self.labels_name().map(|name| self.read(name)).transpose()
    }

    /// The name of the file with the labels, when there is one.
    pub(crate) fn labels_name(&self) -> Option<&'static str> {
        const NAME: &str = "dataset.json";
        let has_labels = self.others.iter().any(|name| name == NAME);
        has_labels.then_some(NAME)
    }

    /// What the directory tells of a file, without reading it.
    pub(crate) fn directory_entry(&self, name: &str) -> Result<DirectoryEntry, Error> {
        let path = || self.path.join(name);
        match &self.kind {
            Kind::Folder => {
                let metadata = std::fs::metadata(path()).map_err(Error::io("read", path()))?;
                Ok(DirectoryEntry {
                    size: metadata.len(),
                    crc32: None,
                })
            }
            Kind::Zip(archive) => {
                let zip_error = |source| Error::Zip {
                    path: self.path.clone(),
                    source,
                };
                let idx = archive.index_for_name(name);
                let idx = idx.ok_or_else(|| zip_error(zip::result::ZipError::FileNotFound))?;
                let entry = archive.by_index_data(idx).map_err(zip_error)?;
                Ok(DirectoryEntry {
                    size: entry.size(),
                    crc32: Some(entry.crc32()),
                })
            }
        }
    }
}

fn read_up_to(reader: impl Read, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    if size.min(limit) > MAX_ENTRY_BYTES {
        return Err(io::Error::other(format!("{size} bytes are too many")));
    }
    // A claimed size is no reason to reserve it all.
    let reserve = size.min(limit).min(16 << 20) as usize;
    let mut bytes = Vec::with_capacity(reserve + 1);
    reader
        .take(limit.min(MAX_ENTRY_BYTES))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// By content, so that a zip without its extension opens too.
fn is_zip(path: &Path) -> io::Result<bool> {
    let mut start = [0; 4];
    let mut file = File::open(path)?;
    let is_start = match file.read_exact(&mut start) {
        Ok(()) => start.starts_with(b"PK"),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(e) => return Err(e),
    };
    let named = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    Ok(is_start || named)
}

/// Collects files below `folder`; folders behind links are left out, as `os.walk` does.
fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let path = entry.path();
        let name = match entry.file_name().into_string() {
            Ok(name) => format!("{prefix}{name}"),
            Err(_) => return Err(Error::BadName(path)),
        };
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), names)?;
        } else if kind.is_file() || path.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// A file with a cursor of its own: clones read the same file independently.
#[derive(Clone, Debug)]
struct Positioned {
    file: Arc<File>,
    position: u64,
}

impl Positioned {
    fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            position: 0,
        }
    }
}

impl Read for Positioned {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let n = std::os::unix::fs::FileExt::read_at(&*self.file, bytes, self.position)?;
        #[cfg(windows)]
        let n = std::os::windows::fs::FileExt::seek_read(&*self.file, bytes, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(offset) => (self.position, offset),
            SeekFrom::End(offset) => (self.file.metadata()?.len(), offset),
        };
        self.position = base.checked_add_signed(offset).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek before the start of the file",
            )
        })?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_as_pillow_counts_them() {
        for name in [
            "a.png",
            "x/y.JPG",
            "deep/er/img.WebP",
            "..a.png",
            "a.b.jpeg",
        ] {
            assert!(is_image_name(name), "{name}");
        }
        for name in [
            "dataset.json",
            "png",
            ".png",
            "x.png/readme",
            "a.png.txt",
            "",
            "a.",
            "x/.jpg",
        ] {
            assert!(!is_image_name(name), "{name}");
        }
    }

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
        assert!(matches!(Source::open(&path), Err(Error::UnknownKind(_))));
        let path = folder.path().join("torn.zip");
        files::write_bytes(&path, b"PK\x03\x04 torn").unwrap();
        assert!(matches!(Source::open(&path), Err(Error::Zip { .. })));
        assert!(matches!(
            Source::open(folder.path().join("none")),
            Err(Error::Io { .. })
        ));
    }
}
