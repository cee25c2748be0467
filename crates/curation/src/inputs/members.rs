//! Entries for the members of archives. Many threads read members at the same time, without unpacking the archive.

use std::path::Path;
use std::sync::Arc;

use archive::names::{CodePage, Speller, is_safe, show_name};
use archive::{ArchiveError, ArchiveKind, TarFile, ZipFile};

use super::{Entry, InputError, MAX_FILE_BYTES, Place, unreadable};

/// Largest ratio of unpacked to packed size. Images compress far less; a member above this ratio is taken for a zip
/// bomb.
const MAX_RATIO: u64 = 1000;

/// Adds an entry for every member of an archive except folders, even when several members have the same name.
///
/// # Errors
/// When the archive as a whole cannot be read.
pub(super) fn add_members(
    path: &Path,
    kind: ArchiveKind,
    prefix: &str,
    entries: &mut Vec<Entry>,
) -> Result<(), ArchiveError> {
    let archive: Option<Arc<str>> = path
        .file_name()
        .map(|name| show_name(name.as_encoded_bytes()).into());
    let mut speller = Speller::new(prefix);
    let mut add = |raw: &[u8], page: CodePage, stamp: String, size: u64, place: Place| {
        let source = speller.spell(raw, page);
        let place = if is_safe(&source[prefix.len()..]) {
            place
        } else {
            Place::Unreadable(InputError::UnsafeName)
        };
        entries.push(Entry {
            source,
            archive: archive.clone(),
            stamp,
            size: size.min(MAX_FILE_BYTES),
            place,
        });
    };
    match kind {
        ArchiveKind::Zip => {
            let zip = Arc::new(ZipFile::open(path)?);
            for (index, member) in zip.members().iter().enumerate() {
                if !member.is_folder() {
                    let stamp = format!("zip {:08x} {}", member.crc32, member.size);
                    let place = Place::Zip(zip.clone(), index);
                    add(
                        &member.name.raw,
                        member.name.page,
                        stamp,
                        member.size,
                        place,
                    );
                }
            }
        }
        ArchiveKind::Tar => {
            let tar = Arc::new(TarFile::open(path)?);
            for (index, member) in tar.members().iter().enumerate() {
                let stamp = format!("tar {} {} {}", member.offset, member.size, member.time);
                let place = Place::Tar(tar.clone(), index);
                add(&member.name, CodePage::Unknown, stamp, member.size, place);
            }
            if let Some(message) = tar.damage() {
                let message = format!("the tar is damaged from here on: {message}");
                let error = InputError::Unreadable(message);
                entries.push(unreadable(format!("{prefix}(rest of the tar)"), error));
            }
        }
    }
    Ok(())
}

/// Reads at most the first `limit` bytes of the zip's member `index`.
pub(super) fn read_zip(zip: &ZipFile, index: usize, limit: u64) -> Result<Vec<u8>, InputError> {
    let member = &zip.members()[index];
    check_size(member.size, member.packed_size)?;
    zip.read_limited(index, limit)
        .map_err(|e| of_member(e, |e| format!("in the zip: {e}")))
}

/// Reads at most the first `limit` bytes of the tar's member `index`.
pub(super) fn read_tar(tar: &TarFile, index: usize, limit: u64) -> Result<Vec<u8>, InputError> {
    let member = &tar.members()[index];
    check_size(member.size, member.stored_size)?;
    tar.read_limited(index, limit)
        .map_err(|e| of_member(e, |e| e.to_string()))
}

/// Converts an error in reading a member: errors of the operating system become [`InputError::System`], all others mean
/// that the member is damaged. `words` describes the error.
fn of_member(error: ArchiveError, words: impl FnOnce(&ArchiveError) -> String) -> InputError {
    let message = words(&error);
    match error {
        ArchiveError::System(_) => InputError::System {
            message,
            is_container: false,
        },
        _ => InputError::Unreadable(message),
    }
}

fn check_size(size: u64, packed: u64) -> Result<(), InputError> {
    if size > packed.max(1).saturating_mul(MAX_RATIO) && size > 1 << 20 {
        return Err(InputError::TooLarge(format!(
            "{packed} bytes that claim to unpack to {size}: a zip bomb"
        )));
    }
    if size > MAX_FILE_BYTES {
        return Err(InputError::too_large());
    }
    Ok(())
}
