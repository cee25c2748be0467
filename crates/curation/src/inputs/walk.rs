//! Lists the entries of all inputs, sorted by name, so that the order never depends on the file system.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use archive::names::{CodePage, Speller, show_name};
use archive::{ArchiveError, ArchiveKind, describe_file};
use decode::Format;

use super::list::add_list;
use super::members::add_members;
use super::results::earlier_results;
use super::{Entry, InputError, Place, WalkError, file_entry, unreadable};

/// Lists every file of the inputs.
///
/// An input is a folder (walked recursively; links to folders are not followed), a zip or tar (recognized by its first
/// bytes), an image, or `@list.txt`, a text file with one path a line (relative to the list's folder). Archives
/// inside folders are opened when their name ends in `.zip`, `.cbz` or `.tar`. With several inputs, each source starts
/// with the name of its input; an input that is named twice is read once. Files and folders named in `skip` are left
/// out, and so are the results of earlier runs inside folders: the files that a run writes are not among its inputs.
///
/// Names become text by the rule of [`archive::names`]; when several files have one name, the second gets `#2`, the
/// third `#3`.
///
/// # Errors
/// When an input as a whole cannot be opened. Errors in single files are reported when they are read.
pub fn walk(inputs: &[PathBuf], skip: &[PathBuf]) -> Result<Vec<Entry>, WalkError> {
    let mut entries = Vec::new();
    let skip: Skip = skip
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let mut prefixes = Names::new();
    let inputs = without_repeats(inputs);
    for input in &inputs {
        let prefix = if inputs.len() == 1 {
            String::new()
        } else {
            unique(&mut prefixes, base_name(input)) + "/"
        };
        add_input(input, &prefix, &skip, &mut entries)?;
    }
    // When several files have the same source, a file whose name on disk is UTF-8 sorts first and keeps the source; the
    // others get a number. Members of archives stay in the order of the archive.
    let path = |entry: &Entry| match &entry.place {
        Place::File(path) => Some((path.to_str().is_none(), path.clone())),
        _ => None,
    };
    entries.sort_by(|a, b| {
        let by_source = a.source.cmp(&b.source);
        by_source.then_with(|| path(a).cmp(&path(b)))
    });
    let mut seen = Names::with_capacity(entries.len());
    for entry in &mut entries {
        entry.source = unique(&mut seen, std::mem::take(&mut entry.source));
    }
    Ok(entries)
}

/// Canonical paths of files and folders that are left out.
type Skip = HashSet<PathBuf>;

/// Names in use. The value is the smallest number that the next file of the same name may get.
type Names = HashMap<String, u64>;

fn unique(seen: &mut Names, name: String) -> String {
    let Some(&first) = seen.get(&name) else {
        seen.insert(name.clone(), 2);
        return name;
    };
    let mut n = first;
    let mut candidate = format!("{name}#{n}");
    while seen.contains_key(&candidate) {
        n += 1;
        candidate = format!("{name}#{n}");
    }
    seen.insert(name, n + 1);
    seen.insert(candidate.clone(), 2);
    candidate
}

fn without_repeats(inputs: &[PathBuf]) -> Vec<&PathBuf> {
    let mut seen = HashSet::new();
    let is_new = |input: &&PathBuf| {
        let is_new = seen.insert(input.canonicalize().unwrap_or_else(|_| (*input).clone()));
        if !is_new {
            tracing::warn!("'{}' is named twice: it is read once", input.display());
        }
        is_new
    };
    inputs.iter().filter(is_new).collect()
}

fn base_name(input: &Path) -> String {
    let bytes = input.as_os_str().as_encoded_bytes();
    let resolved = match input.file_name() {
        Some(_) => input.to_owned(),
        None => input.canonicalize().unwrap_or_else(|_| input.to_owned()),
    };
    let name = resolved.file_name().map_or_else(
        || "input".to_owned(),
        |name| show_name(name.as_encoded_bytes()),
    );
    match name.strip_prefix('@') {
        Some(list) if bytes.starts_with(b"@") => list.to_owned(),
        _ => name,
    }
}

fn add_input(
    input: &Path,
    prefix: &str,
    skip: &Skip,
    entries: &mut Vec<Entry>,
) -> Result<(), WalkError> {
    let open = |source| WalkError::Open {
        path: input.to_owned(),
        source,
    };
    if let Some(list) = list_path(input) {
        return add_list(&list, prefix, entries);
    }
    let meta = fs::metadata(input).map_err(open)?;
    if meta.is_dir() {
        let mut folders = Folders {
            skip,
            speller: Speller::new(prefix),
            entries,
        };
        return folders.add(input, &[]).map_err(open);
    }
    let kind = ArchiveKind::of_file(input).map_err(open)?;
    let damaged = |message: String| WalkError::Archive {
        path: input.to_owned(),
        message,
    };
    match kind {
        Some(kind) => {
            add_members(input, kind, prefix, entries).map_err(|error| damaged(error.to_string()))
        }
        None if is_called_archive(input) && !is_image(input).map_err(open)? => {
            let error = ArchiveError::NotAnArchive(describe_file(input));
            Err(damaged(error.to_string()))
        }
        None => {
            let source = format!("{prefix}{}", base_name(input));
            entries.push(file_entry(input.to_owned(), source));
            Ok(())
        }
    }
}

/// Returns the path of the list when the input has the form `@PATH`.
fn list_path(input: &Path) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let list = input.as_os_str().as_bytes().strip_prefix(b"@")?;
        Some(std::ffi::OsStr::from_bytes(list).into())
    }
    #[cfg(not(unix))]
    {
        input.to_str()?.strip_prefix('@').map(PathBuf::from)
    }
}

/// Whether an input has the extension of an archive, even of a kind that cannot be read.
fn is_called_archive(path: &Path) -> bool {
    const EXTENSIONS: &[&str] = &[
        "7z", "bz2", "cb7", "cbr", "cbt", "cbz", "gz", "lzh", "rar", "tar", "tgz", "xz", "zip",
        "zst",
    ];
    EXTENSIONS.contains(&extension(path).as_str())
}

fn is_image(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(Format::sniff(&head).is_some())
}

fn extension(path: &Path) -> String {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.unwrap_or_default().to_ascii_lowercase()
}

/// A walk through folders that adds their files to `entries`.
struct Folders<'a> {
    skip: &'a Skip,
    speller: Speller,
    entries: &'a mut Vec<Entry>,
}

impl Folders<'_> {
    /// Adds all files in `folder`. `raw` is the path of the folder below the input, in raw bytes and with `/` after it.
    fn add(&mut self, folder: &Path, raw: &[u8]) -> io::Result<()> {
        let mut items: Vec<fs::DirEntry> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        let results = earlier_results(&items);
        // Sorted, so that the order does not depend on the file system; names in UTF-8 come first.
        items.sort_by_cached_key(|item| {
            let name = item.file_name();
            (name.to_str().is_none(), name)
        });
        for item in items {
            let path = item.path();
            if results.contains(&item.file_name()) {
                continue;
            }
            let may_skip = self
                .skip
                .iter()
                .any(|skipped| skipped.file_name() == path.file_name());
            if may_skip
                && path
                    .canonicalize()
                    .is_ok_and(|path| self.skip.contains(&path))
            {
                continue;
            }
            let raw = [raw, item.file_name().as_encoded_bytes()].concat();
            let kind = item.file_type()?;
            if kind.is_dir() {
                // A folder that cannot be listed becomes one unreadable entry, and the walk goes on.
                if let Err(e) = self.add(&path, &[&raw, b"/".as_slice()].concat()) {
                    let source = self.speller.spell(&raw, CodePage::Unknown);
                    self.entries
                        .push(unreadable(source, InputError::of_container(&e)));
                }
            } else if kind.is_file() && matches!(extension(&path).as_str(), "zip" | "cbz" | "tar") {
                self.add_archive(path, &raw);
            } else {
                let source = self.speller.spell(&raw, CodePage::Unknown);
                self.entries.push(file_entry(path, source));
            }
        }
        Ok(())
    }

    fn add_archive(&mut self, path: PathBuf, raw: &[u8]) {
        let kind = match ArchiveKind::of_file(&path) {
            Ok(Some(kind)) => kind,
            other => {
                let source = self.speller.spell(raw, CodePage::Unknown);
                let entry = match other {
                    Err(e) => unreadable(source, InputError::of_container(&e)),
                    // An image with the extension of an archive.
                    _ if is_image(&path).unwrap_or(true) => file_entry(path, source),
                    _ => {
                        let error = ArchiveError::NotAnArchive(describe_file(&path));
                        let message = format!("not an archive: {error}");
                        unreadable(source, InputError::NotAnArchive(message))
                    }
                };
                self.entries.push(entry);
                return;
            }
        };
        let prefix = self
            .speller
            .spell(&[raw, b"/".as_slice()].concat(), CodePage::Unknown);
        if let Err(error) = add_members(&path, kind, &prefix, self.entries) {
            let source = self.speller.spell(raw, CodePage::Unknown);
            let error = match error {
                ArchiveError::System(message) => InputError::System {
                    message,
                    is_container: true,
                },
                damage => InputError::Unreadable(format!("a damaged archive: {damage}")),
            };
            self.entries.push(unreadable(source, error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sources(inputs: &[PathBuf]) -> Vec<String> {
        walk(inputs, &[])
            .unwrap()
            .into_iter()
            .map(|e| e.source)
            .collect()
    }

    #[test]
    fn folders_zips_and_tars_read_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("b/2.png", b"two".as_slice()),
            ("a.png", b"one"),
            ("b/10.png", b"ten"),
        ];
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("b")).unwrap();
        let zip_path = folder.path().join("x.zip");
        let mut zip = zip::ZipWriter::new(File::create(&zip_path).unwrap());
        let tar_path = folder.path().join("shard-000");
        let mut tar = tar::Builder::new(File::create(&tar_path).unwrap());
        for (name, bytes) in files {
            fs::write(tree.join(name), bytes).unwrap();
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(bytes).unwrap();
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        zip.finish().unwrap();
        tar.finish().unwrap();
        drop(tar);
        for input in [tree.clone(), zip_path.clone(), tar_path] {
            let entries = walk(std::slice::from_ref(&input), &[]).unwrap();
            let names: Vec<_> = entries.iter().map(|e| e.source.as_str()).collect();
            assert_eq!(names, ["a.png", "b/10.png", "b/2.png"], "{input:?}");
            let bytes: Vec<_> = entries.iter().map(|e| e.read().unwrap()).collect();
            assert_eq!(bytes, [b"one".to_vec(), b"ten".to_vec(), b"two".to_vec()]);
        }
        assert_eq!(
            sources(&[tree.clone(), zip_path])[..2],
            ["tree/a.png", "tree/b/10.png"]
        );
        let list = folder.path().join("list.txt");
        fs::write(&list, "# chosen\ntree/b/2.png\ntree/gone.png\n").unwrap();
        let entries = walk(&[PathBuf::from(format!("@{}", list.display()))], &[]).unwrap();
        assert_eq!(entries[0].read().unwrap(), b"two");
        assert!(matches!(entries[1].read(), Err(InputError::System { .. })));
        assert_eq!(sources(&[tree.join("a.png")]), ["a.png"]);
        let rest = walk(std::slice::from_ref(&tree), &[tree.join("b")]).unwrap();
        assert_eq!(
            rest.iter().map(|e| e.source.as_str()).collect::<Vec<_>>(),
            ["a.png"]
        );
    }

    #[test]
    fn hostile_names_in_archives_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.zip");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for name in ["../../up.png", "ok.png", "a/../../up.png", "./a/../b.png"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap();
        let entries = walk(&[path], &[]).unwrap();
        let fates: Vec<_> = entries.iter().map(|e| e.read().map(|_| ())).collect();
        assert_eq!(
            fates,
            [
                Err(InputError::UnsafeName),
                Err(InputError::UnsafeName),
                Ok(()),
                Ok(())
            ]
        );
        assert_eq!(entries[2].source, "b.png");
    }

    #[test]
    fn equal_names_are_numbered() {
        let mut seen = Names::new();
        let texts = ["a", "a#2", "a", "a", "a#2"];
        let names = texts.map(|name| unique(&mut seen, name.to_owned()));
        assert_eq!(names, ["a", "a#2", "a#3", "a#4", "a#2#2"]);
        // The time grows linearly with the number of names, not quadratically.
        for n in 1..=200_000 {
            let name = unique(&mut seen, "b".to_owned());
            assert!(n == 1 || name == format!("b#{n}"), "{name}");
        }
    }

    #[test]
    fn a_missing_input_is_named() {
        assert!(
            walk(&["/nowhere/x".into()], &[])
                .unwrap_err()
                .to_string()
                .contains("/nowhere/x")
        );
    }
}
