//! Archives read in place, from many threads at once: each read has a position of its own.

use super::{InputError, read_limited};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::ZipArchive;

/// Pictures do not shrink a thousandfold; what claims to is a bomb.
const MAX_RATIO: u64 = 1000;

/// A file that is read at positions, so that clones do not disturb each other.
#[derive(Clone, Debug)]
pub struct SharedFile {
    file: Arc<File>,
    position: u64,
    size: u64,
}

impl SharedFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            position: 0,
            size,
        })
    }

    pub fn len(&self) -> u64 {
        self.size
    }

    fn at(&self, position: u64) -> Self {
        Self {
            position,
            ..self.clone()
        }
    }
}

impl Read for SharedFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let n = std::os::unix::fs::FileExt::read_at(&*self.file, bytes, self.position)?;
        #[cfg(windows)]
        let n = std::os::windows::fs::FileExt::seek_read(&*self.file, bytes, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => i128::from(position),
            SeekFrom::End(offset) => i128::from(self.size) + i128::from(offset),
            SeekFrom::Current(offset) => i128::from(self.position) + i128::from(offset),
        };
        self.position = u64::try_from(target).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek before the start of the file",
            )
        })?;
        Ok(self.position)
    }
}

/// A zip whose directory was read once.
#[derive(Debug)]
pub struct ZipFile {
    archive: ZipArchive<SharedFile>,
}

/// A member of an archive.
pub struct Member {
    pub name: String,
    pub stamp: String,
    pub index: usize,
}

impl ZipFile {
    /// Reads the directory; folders are left out.
    pub fn open(path: &Path) -> Result<(Self, Vec<Member>), String> {
        let file = SharedFile::open(path).map_err(|e| e.to_string())?;
        let mut archive = ZipArchive::new(file).map_err(|e| e.to_string())?;
        let mut members = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let named = archive
                .name_for_index(index)
                .and_then(Result::ok)
                .map(std::borrow::Cow::into_owned);
            let member = match archive.by_index_raw(index) {
                Ok(file) if file.is_dir() => continue,
                Ok(file) => Member {
                    name: String::from_utf8_lossy(file.name_raw()).into_owned(),
                    stamp: format!("zip {:08x} {}", file.crc32(), file.size()),
                    index,
                },
                // Named all the same: reading it will say what is wrong.
                Err(_) => Member {
                    name: named.unwrap_or_else(|| format!("entry {index}")),
                    stamp: "zip broken".to_owned(),
                    index,
                },
            };
            members.push(member);
        }
        Ok((Self { archive }, members))
    }

    pub fn read(&self, index: usize) -> Result<Vec<u8>, InputError> {
        let mut archive = self.archive.clone();
        let file = archive
            .by_index(index)
            .map_err(|e| InputError::Unreadable(format!("in the zip: {e}")))?;
        let (size, packed) = (file.size(), file.compressed_size());
        if size > packed.max(1).saturating_mul(MAX_RATIO) && size > 1 << 20 {
            return Err(InputError::TooLarge(format!(
                "{packed} bytes that claim to unpack to {size}: a zip bomb"
            )));
        }
        read_limited(file, size)
    }
}

/// A tar whose headers were read once.
#[derive(Debug)]
pub struct TarFile {
    file: SharedFile,
}

/// A member of a tar: its name and where its bytes lie.
pub struct TarMember {
    pub name: String,
    pub stamp: String,
    pub offset: u64,
    pub size: u64,
}

impl TarFile {
    /// Reads all headers. A damaged header ends the list; the message says so.
    pub fn open(path: &Path) -> Result<(Self, Vec<TarMember>, Option<String>), String> {
        let file = SharedFile::open(path).map_err(|e| e.to_string())?;
        let mut archive = tar::Archive::new(file.at(0));
        let mut members = Vec::new();
        let mut damage = None;
        for entry in archive.entries_with_seek().map_err(|e| e.to_string())? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    damage = Some(e.to_string());
                    break;
                }
            };
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
                continue;
            }
            let is_file = kind.is_file() || kind.is_contiguous();
            let time = entry.header().mtime().unwrap_or(0);
            members.push(TarMember {
                name: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
                stamp: format!("tar {} {} {time}", entry.raw_file_position(), entry.size()),
                offset: entry.raw_file_position(),
                // Links and devices have no bytes of their own.
                size: if is_file { entry.size() } else { u64::MAX },
            });
        }
        Ok((Self { file }, members, damage))
    }

    pub fn read(&self, offset: u64, size: u64) -> Result<Vec<u8>, InputError> {
        if size == u64::MAX {
            return Err(InputError::Unreadable(
                "a link or a device in the tar".to_owned(),
            ));
        }
        if offset.saturating_add(size) > self.file.len() {
            return Err(InputError::Unreadable(
                "the tar ends before this file does".to_owned(),
            ));
        }
        read_limited(self.file.at(offset).take(size), size)
    }
}

/// What an input file is, by its first bytes.
pub enum ArchiveKind {
    Zip,
    Tar,
}

/// Tells archives from other files.
pub fn archive_kind(path: &PathBuf) -> io::Result<Option<ArchiveKind>> {
    let mut head = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut head)?;
    Ok(
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Some(ArchiveKind::Zip)
        } else if head.get(257..262) == Some(b"ustar") {
            Some(ArchiveKind::Tar)
        } else {
            None
        },
    )
}
