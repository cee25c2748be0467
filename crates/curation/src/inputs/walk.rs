//! Inputs to entries: sorted by name, so that the order never depends on the file system.

use super::archive::{ArchiveKind, TarFile, ZipFile, archive_kind};
use super::{Entry, InputError, Place, WalkError};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Lists every file of the inputs.
///
/// An input is a folder (walked to the bottom; links to folders are not followed), a zip or tar (told by its first
/// bytes), a picture, or `@list.txt`, a text file with one path a line (relative to the list's folder). Archives
/// inside folders are opened when they are called `.zip`, `.cbz` or `.tar`. With several inputs each source starts with the
/// name of its input; one that is named twice is read once. Files and folders named in `skip` are left out, and so are
/// the results of earlier runs inside folders: what a run writes is not among its inputs.
///
/// # Errors
/// When an input as a whole cannot be opened; what is wrong with a single file is told when it is read.
pub fn walk(inputs: &[PathBuf], skip: &[PathBuf]) -> Result<Vec<Entry>, WalkError> {
    let mut entries = Vec::new();
    let skip: Skip = skip
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let mut prefixes = HashSet::new();
    let inputs = without_repeats(inputs);
    for input in &inputs {
        let prefix = if inputs.len() == 1 {
            String::new()
        } else {
            unique(&mut prefixes, base_name(input)) + "/"
        };
        add_input(input, &prefix, &skip, &mut entries)?;
    }
    // Two names can look the same once they are text: they go by their bytes, and the second gets a number.
    let path = |entry: &Entry| match &entry.place {
        Place::File(path) => Some(path.clone()),
        _ => None,
    };
    entries.sort_by(|a, b| {
        let by_source = a.source.cmp(&b.source);
        by_source.then_with(|| path(a).cmp(&path(b)))
    });
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in &mut entries {
        entry.source = unique(&mut seen, std::mem::take(&mut entry.source));
    }
    Ok(entries)
}

/// What is left out, canonical.
type Skip = HashSet<PathBuf>;

fn unique(seen: &mut HashSet<String>, name: String) -> String {
    let mut candidate = name.clone();
    let mut n = 2;
    while !seen.insert(candidate.clone()) {
        candidate = format!("{name}#{n}");
        n += 1;
    }
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
    let text = input.to_string_lossy();
    let path = Path::new(text.strip_prefix('@').unwrap_or(&text)).to_owned();
    let resolved = if path.file_name().is_none() {
        path.canonicalize().unwrap_or(path)
    } else {
        path
    };
    resolved.file_name().map_or_else(
        || "input".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn add_input(
    input: &Path,
    prefix: &str,
    skip: &Skip,
    entries: &mut Vec<Entry>,
) -> Result<(), WalkError> {
    let open = |path: &Path, source| WalkError::Open {
        path: path.to_owned(),
        source,
    };
    if let Some(list) = input.to_str().and_then(|text| text.strip_prefix('@')) {
        return add_list(Path::new(list), prefix, entries);
    }
    let meta = fs::metadata(input).map_err(|e| open(input, e))?;
    if meta.is_dir() {
        return add_folder(input, prefix, skip, entries).map_err(|e| open(input, e));
    }
    match archive_kind(&input.to_owned()).map_err(|e| open(input, e))? {
        Some(kind) => {
            add_archive(input, &kind, prefix, entries).map_err(|message| WalkError::Archive {
                path: input.to_owned(),
                message,
            })
        }
        None => {
            entries.push(file_entry(
                input.to_owned(),
                format!("{prefix}{}", base_name(input)),
            ));
            Ok(())
        }
    }
}

fn add_list(list: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<(), WalkError> {
    let text = fs::read_to_string(list).map_err(|source| WalkError::Open {
        path: list.to_owned(),
        source,
    })?;
    let folder = list.parent().unwrap_or(Path::new(""));
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        entries.push(file_entry(
            folder.join(line),
            format!("{prefix}{}", tidy(line)),
        ));
    }
    Ok(())
}

/// A path of a list as a name: no drive, no leading slash, no dots.
fn tidy(path: &str) -> String {
    let parts: Vec<_> = Path::new(path)
        .components()
        .filter_map(|c| match c {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        })
        .collect();
    parts.join("/")
}

fn add_folder(
    folder: &Path,
    prefix: &str,
    skip: &Skip,
    entries: &mut Vec<Entry>,
) -> std::io::Result<()> {
    let items: Vec<fs::DirEntry> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    let results = earlier_results(&items);
    for item in items {
        let path = item.path();
        if results.contains(&item.file_name()) {
            continue;
        }
        let may_skip = skip
            .iter()
            .any(|skipped| skipped.file_name() == path.file_name());
        if may_skip && path.canonicalize().is_ok_and(|path| skip.contains(&path)) {
            continue;
        }
        let source = format!("{prefix}{}", item.file_name().to_string_lossy());
        let kind = item.file_type()?;
        if kind.is_dir() {
            // A folder that cannot be listed is one entry with its reason, not the end.
            if let Err(e) = add_folder(&path, &format!("{source}/"), skip, entries) {
                entries.push(unreadable(source, InputError::Unreadable(e.to_string())));
            }
            continue;
        }
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if kind.is_file() && matches!(extension.as_str(), "zip" | "cbz" | "tar") {
            let opened = match archive_kind(&path) {
                Ok(Some(kind)) => add_archive(&path, &kind, &format!("{source}/"), entries),
                // Only called an archive: its content will be looked at like any other.
                Ok(None) => {
                    entries.push(file_entry(path, source));
                    continue;
                }
                Err(e) => Err(e.to_string()),
            };
            if let Err(message) = opened {
                entries.push(unreadable(
                    source,
                    InputError::Unreadable(format!("a damaged archive: {message}")),
                ));
            }
            continue;
        }
        entries.push(file_entry(path, source));
    }
    Ok(())
}

/// The names of zips with their manifest and journal beside them, and all that lies beside them.
fn earlier_results(items: &[fs::DirEntry]) -> HashSet<OsString> {
    let names: HashSet<OsString> = items.iter().map(fs::DirEntry::file_name).collect();
    let mut results = HashSet::new();
    for item in items {
        let path = item.path();
        let is_journal = path.extension().is_some_and(|e| e == "journal")
            && path.join("records.jsonl").is_file();
        let Some(stem) = path.file_stem().filter(|_| is_journal) else {
            continue;
        };
        let with = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            name
        };
        if names.contains(&with(".manifest.jsonl")) {
            tracing::warn!(
                "'{}' and what lies beside it are left out: the result of an earlier run",
                path.with_extension("zip").display()
            );
            results.extend(
                [
                    ".zip",
                    ".manifest.jsonl",
                    ".report.html",
                    ".recipe.toml",
                    ".journal",
                ]
                .map(with),
            );
        }
    }
    results
}

fn add_archive(
    path: &Path,
    kind: &ArchiveKind,
    prefix: &str,
    entries: &mut Vec<Entry>,
) -> Result<(), String> {
    let archive: Option<Arc<str>> = path.file_name().map(|name| name.to_string_lossy().into());
    let mut add = |name: &str, stamp: String, place: Place| {
        let is_safe = !name.starts_with(['/', '\\'])
            && !name.contains(":\\")
            && name.split(['/', '\\']).all(|part| part != "..")
            && !name.contains('\0');
        let place = if is_safe {
            place
        } else {
            Place::Unreadable(InputError::UnsafeName)
        };
        entries.push(Entry {
            source: format!("{prefix}{}", name.replace('\0', "?")),
            archive: archive.clone(),
            stamp,
            place,
        });
    };
    match kind {
        ArchiveKind::Zip => {
            let (zip, members) = ZipFile::open(path)?;
            let zip = Arc::new(zip);
            for member in members {
                add(
                    &member.name,
                    member.stamp,
                    Place::Zip(zip.clone(), member.index),
                );
            }
        }
        ArchiveKind::Tar => {
            let (tar, members, damage) = TarFile::open(path)?;
            let tar = Arc::new(tar);
            for member in members {
                add(
                    &member.name,
                    member.stamp,
                    Place::Tar(tar.clone(), member.offset, member.size),
                );
            }
            if let Some(message) = damage {
                let error =
                    InputError::Unreadable(format!("the tar is damaged from here on: {message}"));
                entries.push(unreadable(format!("{prefix}(rest of the tar)"), error));
            }
        }
    }
    Ok(())
}

fn unreadable(source: String, error: InputError) -> Entry {
    Entry {
        source,
        archive: None,
        stamp: "unreadable".to_owned(),
        place: Place::Unreadable(error),
    }
}

/// A file of a folder; pipes and devices are not opened, since reading them may never end.
fn file_entry(path: PathBuf, source: String) -> Entry {
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => {
            let time = meta
                .modified()
                .ok()
                .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
                .unwrap_or_default();
            Entry {
                source,
                archive: None,
                stamp: format!("file {} {}", meta.len(), time.as_nanos()),
                place: Place::File(path),
            }
        }
        Ok(meta) if meta.is_dir() => unreadable(
            source,
            InputError::Unreadable("a link to a folder: name the folder as an input".to_owned()),
        ),
        Ok(_) => unreadable(
            source,
            InputError::Unreadable("not a regular file".to_owned()),
        ),
        Err(e) => unreadable(source, InputError::Unreadable(e.to_string())),
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
        let mut zip = zip::ZipWriter::new(fs::File::create(&zip_path).unwrap());
        let tar_path = folder.path().join("shard-000");
        let mut tar = tar::Builder::new(fs::File::create(&tar_path).unwrap());
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
        assert!(matches!(entries[1].read(), Err(InputError::Unreadable(_))));
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
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for name in ["../../up.png", "ok.png", "a/../../up.png"] {
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
                Ok(())
            ]
        );
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
