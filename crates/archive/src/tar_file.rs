//! A tar whose headers are read once, so that many threads can read its members.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use tar::EntryType;

use crate::error::ArchiveError;
use crate::shared_file::SharedFile;
use crate::tar_metered::Metered;
use crate::tar_sparse::SparseMap;

/// A tar on disk: v7, ustar, GNU or pax, or several of them joined in one file.
#[derive(Debug)]
pub struct TarFile {
    file: SharedFile,
    members: Vec<TarMember>,
    damage: Option<String>,
}

/// A member of a tar.
#[derive(Clone, Debug)]
pub struct TarMember {
    /// Its path as stored, from the extended headers where there are any.
    pub name: Vec<u8>,
    /// Offset of its bytes in the tar.
    pub offset: u64,
    /// Number of its bytes, including the holes of a sparse file.
    pub size: u64,
    /// Number of its bytes that the tar stores: fewer than `size` for a sparse file.
    pub stored_size: u64,
    /// Modification time, in seconds since 1970-01-01 00:00 UTC.
    pub time: u64,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Plain,
    Sparse(SparseMap),
    /// A member that cannot be read, and the reason.
    Nothing(String),
}

const BLOCK: u64 = 512;

impl TarFile {
    /// Opens a tar and reads all headers; folders are left out. A damaged header ends the list, see
    /// [`damage`](Self::damage).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = SharedFile::open(path)?;
        let (source, meter) = Metered::new(file.at(0));
        let mut archive = tar::Archive::new(source);
        // Tars that were joined end to end are read as one.
        archive.set_ignore_zeros(true);
        let mut members: Vec<TarMember> = Vec::new();
        let mut by_name: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut damage = None;
        // Offset after the bytes of the last member, filled up to a block.
        let mut end = 0;
        let mut entries = archive.entries_with_seek()?;
        while let Some(entry) = {
            meter.reset();
            entries.next()
        } {
            let found = entry.and_then(|entry| {
                let behind = entry.raw_file_position().saturating_add(entry.size());
                end = behind.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
                member_of(entry, &file)
            });
            let (mut member, target) = match found {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    // After the end mark, a block of zeros, anything may follow: the error is then no damage.
                    let mark = file.read_range(end, BLOCK)?;
                    let is_over = end > 0 && !mark.is_empty() && mark.iter().all(|b| *b == 0);
                    damage = (!is_over).then(|| error.to_string());
                    break;
                }
            };
            // A hard link has the bytes of the earlier member that it links to.
            if let Some(&target) = target.and_then(|target| by_name.get(plain_name(&target))) {
                let target = &members[target];
                (member.offset, member.size) = (target.offset, target.size);
                member.stored_size = target.stored_size;
                member.place = target.place.clone();
            }
            by_name.insert(plain_name(&member.name).to_vec(), members.len());
            members.push(member);
        }
        if damage.is_none() {
            // Tars are whole blocks: one that ends inside a block after the last member was cut.
            let ends = members
                .iter()
                .map(|member| member.offset.saturating_add(member.stored_size));
            let last = ends.max().unwrap_or(0);
            let is_whole = last <= file.len();
            let is_cut = is_whole && file.len() < last.div_ceil(BLOCK).saturating_mul(BLOCK);
            damage = is_cut.then(|| "the file ends inside a block".to_owned());
        }
        Ok(Self {
            file,
            members,
            damage,
        })
    }

    /// All members except folders, in the order of the tar.
    pub fn members(&self) -> &[TarMember] {
        &self.members
    }

    /// Describes why the list of members may be incomplete: a damaged header at which reading stopped, or a file that
    /// ends inside a block. `None` for a tar without damage.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The first `limit` bytes of a member, or all of its [`size`](TarMember::size) bytes if these are fewer.
    ///
    /// # Errors
    /// When the member is a link or a device, or the file ends before the member does.
    ///
    /// # Panics
    /// When `index` is not an index into [`members`](Self::members).
    pub fn read_limited(&self, index: usize, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let member = &self.members[index];
        if let Place::Nothing(reason) = &member.place {
            return Err(ArchiveError::Unsupported(reason.clone()));
        }
        let end = member.offset.checked_add(member.stored_size);
        let bytes = match &member.place {
            _ if end.is_none_or(|end| end > self.file.len()) => None,
            Place::Sparse(map) => map.read(&self.file, member.offset, limit)?,
            _ => Some(
                self.file
                    .read_range(member.offset, member.size.min(limit))?,
            ),
        };
        bytes.ok_or_else(|| ArchiveError::CutShort("the tar ends before this file does".to_owned()))
    }
}

/// A name without `./` at its beginning, for comparing links with members: tar writes `a`, `./a` and `.//a` for one
/// file.
fn plain_name(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
        while let Some(rest) = name.strip_prefix(b"/") {
            name = rest;
        }
    }
    name
}

/// Cuts a name of more than 32 KiB, which no system allows, and marks its member as one that is not read.
fn without_long_name(member: &mut TarMember) {
    const LONGEST: usize = 32 << 10;
    const KEPT: usize = 200;
    let n = member.name.len();
    if n > LONGEST {
        member.name.truncate(KEPT);
        member.place = Place::Nothing(format!(
            "its name has {n} bytes, and systems have room for 4096"
        ));
    }
}

/// A member, and the name that it is a hard link to, if it is one; `None` for an entry that is not a file.
type Found = Option<(TarMember, Option<Vec<u8>>)>;

fn member_of<R: Read>(mut entry: tar::Entry<'_, R>, file: &SharedFile) -> std::io::Result<Found> {
    const VOLUME_HEADER: u8 = b'V';
    const DIRECTORY_LIST: u8 = b'D';
    const CONTINUED: u8 = b'M';
    let kind = entry.header().entry_type();
    let is_described = kind.is_pax_global_extensions()
        || kind.is_pax_local_extensions()
        || kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || matches!(kind.as_byte(), VOLUME_HEADER | DIRECTORY_LIST);
    let mut name = entry.path_bytes().into_owned();
    // Tars before ustar have no entry type for folders.
    let is_folder = kind.is_dir() || (kind.is_file() && name.ends_with(b"/"));
    if is_folder || is_described {
        return Ok(None);
    }
    let (mut offset, mut size) = (entry.raw_file_position(), entry.size());
    let mut stored_size = size;
    let mut place = match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Place::Plain,
        EntryType::Link | EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = crate::names::show_name(&target);
            Place::Nothing(format!("a link in the tar, to '{target}'"))
        }
        _ if kind.as_byte() == CONTINUED => {
            Place::Nothing("the rest of a file that begins in another tar".to_owned())
        }
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            Place::Nothing("a device in the tar".to_owned())
        }
        // By POSIX, entries of unknown types are regular files.
        _ => Place::Plain,
    };
    let mut sparse = None;
    if kind == EntryType::GNUSparse {
        stored_size = entry.header().entry_size()?;
        let header = entry.raw_header_position();
        let (map, skipped) = SparseMap::of_gnu(file, header, stored_size)?;
        sparse = Some((map, None, skipped));
    } else if matches!(place, Place::Plain) {
        let mut fields = Vec::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for field in extensions.flatten() {
                fields.push((field.key_bytes().to_vec(), field.value_bytes().to_vec()));
            }
        }
        sparse = SparseMap::of_pax(&fields, file, offset, size)?;
    }
    if let Some((map, real_name, skipped)) = sparse {
        (size, stored_size) = (map.size(), map.n_stored());
        offset = offset.saturating_add(skipped);
        name = real_name.unwrap_or(name);
        place = Place::Sparse(map);
    }
    let target = entry
        .link_name_bytes()
        .filter(|_| kind.is_hard_link())
        .map(std::borrow::Cow::into_owned);
    let time = entry.header().mtime().unwrap_or(0);
    let mut member = TarMember {
        name,
        offset,
        size,
        stored_size,
        time,
        place,
    };
    without_long_name(&mut member);
    Ok(Some((member, target)))
}
