//! The zip files that `torch.save` writes since PyTorch 1.6.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;
use zip::{CompressionMethod, ZipArchive};

use files::cut_zip_length;

use crate::error::{Error, Result, layout};

/// The members of a zip file written by torch, under their names without the top folder. Their CRC-32 checksums have
/// been verified.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    members: HashMap<String, &'a [u8]>,
    has_code: bool,
}

/// Opens a zip archive that starts at the first byte of `data`, or, if that fails, one that starts later.
///
/// The first attempt is needed because the `zip` crate's search for the start mistakes the second record of the
/// directory for the first when a record is exactly as long as the two zip64 end records (76 bytes).
fn open_zip(data: &[u8]) -> ZipResult<ZipArchive<Cursor<&[u8]>>> {
    let at_start = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    ZipArchive::with_config(at_start, Cursor::new(data))
        .or_else(|_| ZipArchive::new(Cursor::new(data)))
}

/// Refuses members that overlap in the file, since a small file could then have members of any total size.
///
/// # Errors
/// `Layout` naming two members that overlap.
fn refuse_overlap(zip: &mut ZipArchive<Cursor<&[u8]>>) -> Result<()> {
    let mut spans = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let file = zip.by_index_raw(index)?;
        let start = file.header_start();
        let end = file.data_start().unwrap_or(start);
        spans.push((start, end.saturating_add(file.compressed_size()), index));
    }
    spans.sort_unstable();
    let found = spans.windows(2).find(|pair| pair[1].0 < pair[0].1);
    let Some(&[(.., first), (.., second)]) = found else {
        return Ok(());
    };
    let mut name = |index| -> Result<String> {
        let file = zip.by_index_raw(index)?;
        let name = file.name()?;
        Ok(name.chars().take(60).collect())
    };
    Err(layout!(
        "the archive members `{}` and `{}` overlap: the file is damaged or hostile",
        name(first)?,
        name(second)?
    ))
}

impl<'a> Archive<'a> {
    /// Opens the bytes of a zip file. The members are slices of `data`, since torch stores them uncompressed.
    ///
    /// # Errors
    /// `Truncated` for an incomplete file, `Zip` or `Layout` for a damaged one, `Layout` for a zip that torch did not
    /// write, `Unsupported` for a file of a big-endian machine.
    pub fn open(data: &'a [u8]) -> Result<Self> {
        let mut zip = open_zip(data).map_err(|error| match cut_zip_length(data) {
            Some(offset) => Error::Truncated {
                offset,
                what: "a zip archive, whose directory comes last",
            },
            None => error.into(),
        })?;
        refuse_overlap(&mut zip)?;
        let mut members = HashMap::new();
        let mut data_pkl = None;
        let mut has_code = false;
        for index in 0..zip.len() {
            let mut file = zip.by_index(index)?;
            if file.is_dir() {
                continue;
            }
            let name = file.name()?.into_owned();
            if name.contains("/code/") {
                // The source text of a TorchScript archive, which is compressed and not needed here.
                has_code = true;
                continue;
            }
            if name.ends_with(".npy") {
                return Err(layout!(
                    "this is numpy's .npz (array `{name}`), which holds no networks: latents, or statistics of a FID"
                ));
            }
            if file.compression() != CompressionMethod::Stored || file.encrypted() {
                return Err(layout!(
                    "archive member `{name}` is compressed: torch never does that; is this a zip of something else?"
                ));
            }
            let start = file.data_start().and_then(|at| usize::try_from(at).ok());
            let size = usize::try_from(file.size()).ok();
            let bytes = start
                .zip(size)
                .and_then(|(start, size)| data.get(start..start.checked_add(size)?))
                .ok_or(Error::Truncated {
                    offset: data.len(),
                    what: "an archive member",
                })?;
            // Reading to the end makes the zip reader check the CRC.
            let mut seen = 0;
            let mut chunk = [0; 1 << 14];
            loop {
                match file.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(n) => seen += n,
                    Err(e) => {
                        return Err(layout!(
                            "archive member `{name}` is damaged ({e}): fetch the file again"
                        ));
                    }
                }
            }
            if seen != bytes.len() {
                return Err(Error::Truncated {
                    offset: data.len(),
                    what: "an archive member",
                });
            }
            if let Some(root) = name
                .strip_suffix("data.pkl")
                .filter(|r| r.is_empty() || r.ends_with('/'))
            {
                data_pkl.get_or_insert_with(|| root.to_owned());
            }
            members.insert(name, bytes);
        }
        let root = data_pkl.ok_or_else(|| {
            layout!("the zip archive has no data.pkl, so it is no torch.save file (a dataset? then it is not a checkpoint)")
        })?;
        let members: HashMap<String, &'a [u8]> = members
            .into_iter()
            .filter_map(|(name, bytes)| Some((name.strip_prefix(&root)?.to_owned(), bytes)))
            .collect();
        if members
            .get("byteorder")
            .is_some_and(|order| order.trim_ascii() != b"little")
        {
            return Err(Error::Unsupported(
                "a torch.save file of a big-endian machine".into(),
            ));
        }
        Ok(Self { members, has_code })
    }

    /// The bytes of a member, for example of `data.pkl`.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.members.get(name).copied()
    }

    /// Whether this is a TorchScript archive: one that contains code or `constants.pkl`.
    pub fn is_torchscript(&self) -> bool {
        self.has_code || self.members.contains_key("constants.pkl")
    }

    /// The bytes of the tensor storages in `folder` (`data` or `constants`), by key.
    pub fn storages(&self, folder: &str) -> HashMap<String, &'a [u8]> {
        self.members
            .iter()
            .filter_map(|(name, bytes)| {
                Some((
                    name.strip_prefix(folder)?.strip_prefix('/')?.to_owned(),
                    *bytes,
                ))
            })
            .collect()
    }
}
