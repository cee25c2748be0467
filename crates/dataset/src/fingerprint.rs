//! A fingerprint of the files of a dataset, to notice that it differs from an earlier one.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::source::Source;

/// Hashes of the names, sizes and CRC-32 of the files of a dataset.
///
/// The CRC-32 of the files in a zip are in its directory; those of the files in a folder are computed, on all threads.
/// A zip and the folder that it was unpacked to have the same fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Number of images.
    pub n_images: usize,
    /// SHA-256 over names and sizes, in hex.
    pub listing: String,
    /// SHA-256 over names, sizes and CRC-32, in hex; `None` in some fingerprints of earlier versions, which did not
    /// read the files of folders.
    pub contents: Option<String>,
}

impl Fingerprint {
    /// Whether both fingerprints can belong to the same dataset: all fields that both have are equal.
    pub fn matches(&self, other: &Self) -> bool {
        let same_contents = match (&self.contents, &other.contents) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.n_images == other.n_images && self.listing == other.listing && same_contents
    }
}

impl Source {
    /// The fingerprint of the images, and of `dataset.json` if `with_labels`.
    ///
    /// # Errors
    /// When a listed file no longer exists or, in a folder, cannot be read.
    pub fn fingerprint(&self, with_labels: bool) -> Result<Fingerprint, Error> {
        let (mut listing, mut contents) = (Sha256::new(), Sha256::new());
        let labels = self.labels_name().filter(|_| with_labels);
        let names: Vec<&str> = self
            .names()
            .iter()
            .map(String::as_str)
            .chain(labels)
            .collect();
        let sums = names.par_iter().map(|name| self.size_and_crc(name));
        for (name, sum) in names.iter().zip(sums.collect::<Result<Vec<_>, Error>>()?) {
            let (size, crc) = sum;
            for hash in [&mut listing, &mut contents] {
                // Each length is hashed before its data, so that no two listings give the same bytes to hash.
                hash.update((name.len() as u64).to_le_bytes());
                hash.update(name);
                hash.update(size.to_le_bytes());
            }
            contents.update(crc.to_le_bytes());
        }
        let hex = |hash: Sha256| files::hex(&hash.finalize());
        Ok(Fingerprint {
            n_images: self.names().len(),
            listing: hex(listing),
            contents: Some(hex(contents)),
        })
    }

    fn size_and_crc(&self, name: &str) -> Result<(u64, u32), Error> {
        let entry = self.directory_entry(name)?;
        if let Some(crc) = entry.crc32 {
            return Ok((entry.size, crc));
        }
        let bytes = self.read(name)?;
        Ok((bytes.len() as u64, crc32fast::hash(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn zip(path: &Path, files: &[(&str, &[u8])]) {
        let mut writer = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, bytes) in files {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap();
    }

    fn of(path: &Path, with_labels: bool) -> Fingerprint {
        Source::open(path)
            .unwrap()
            .fingerprint(with_labels)
            .unwrap()
    }

    #[test]
    fn every_change_that_the_directory_shows_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[(&str, &[u8])]| {
            let path = folder.path().join(name);
            zip(&path, files);
            of(&path, true)
        };
        let base = make("a.zip", &[("x.png", b"one"), ("y.png", b"two")]);
        assert_eq!(base.n_images, 2);
        let again = make("b.zip", &[("y.png", b"two"), ("x.png", b"one")]);
        assert_eq!(base, again);
        for (what, files) in [
            (
                "bytes",
                &[("x.png", b"One" as &[u8]), ("y.png", b"two")][..],
            ),
            ("size", &[("x.png", b"one!"), ("y.png", b"two")]),
            ("name", &[("x.png", b"one"), ("z.png", b"two")]),
            ("fewer", &[("x.png", b"one")]),
            (
                "labels",
                &[
                    ("x.png", b"one"),
                    ("y.png", b"two"),
                    ("dataset.json", b"{}"),
                ],
            ),
        ] {
            assert!(!base.matches(&make("c.zip", files)), "{what}");
        }
    }

    #[test]
    fn an_unpacked_zip_is_the_same_dataset_and_labels_count_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        zip(&path, &[("d/x.png", b"one"), ("dataset.json", b"{}")]);
        let unpacked = folder.path().join("unpacked");
        files::write_bytes(unpacked.join("d/x.png"), b"one").unwrap();
        files::write_bytes(unpacked.join("dataset.json"), b"[]").unwrap();
        assert!(of(&path, false).matches(&of(&unpacked, false)));
        files::write_bytes(unpacked.join("dataset.json"), b"[] ").unwrap();
        assert!(of(&path, false).matches(&of(&unpacked, false)));
        assert!(!of(&path, true).matches(&of(&unpacked, true)));
        // Other bytes of the same length.
        files::write_bytes(unpacked.join("d/x.png"), b"two").unwrap();
        assert!(!of(&path, false).matches(&of(&unpacked, false)));
        let mut of_earlier_version = of(&path, false);
        of_earlier_version.contents = None;
        assert!(of_earlier_version.matches(&of(&unpacked, false)));
    }
}
