//! Tests of names in any encoding, backslashes, repeated names, files of operating systems, and files that are not
//! datasets.

mod common;

use std::path::Path;

use common::formula_image;
use dataset::{DatasetOptions, Error, ImageDataset, Label, ProblemKind, Source, verify};
use test_support::zips::raw_zip;

fn png(variant: usize) -> Vec<u8> {
    let encoded = dataset::encode_png(&formula_image(8, 3, variant), 0).unwrap();
    encoded.bytes().to_vec()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn classes(path: &Path) -> Vec<(String, Label)> {
    let options = DatasetOptions {
        use_labels: true,
        ..DatasetOptions::default()
    };
    let dataset = ImageDataset::open(path, &options).unwrap();
    (0..dataset.len())
        .map(|idx| {
            dataset.image(idx).unwrap();
            let label = dataset.raw_label(idx).unwrap().clone();
            (dataset.name(idx).to_owned(), label)
        })
        .collect()
}

#[test]
fn labels_are_found_by_every_spelling_that_the_reference_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (png(1), png(2));
    for (what, names, json, expected) in [
        (
            "entries with a backslash",
            [b"cat\\1.png".as_slice(), b"dog\\2.png"],
            r#"{"labels": [["cat/1.png", 0], ["dog/2.png", 1]]}"#,
            ["cat\\1.png", "dog\\2.png"],
        ),
        (
            "labels with a backslash",
            [b"cat/1.png", b"dog/2.png"],
            r#"{"labels": [["cat\\1.png", 0], ["dog\\2.png", 1]]}"#,
            ["cat/1.png", "dog/2.png"],
        ),
        (
            "a byte-order mark",
            [b"a.png", b"b.png"],
            "\u{feff}{\"labels\": [[\"a.png\", 0], [\"b.png\", 1]]}",
            ["a.png", "b.png"],
        ),
        (
            // Python's zipfile reads 94 4C as "öL" and 95 5C as "ò\".
            "names that Python reads as CP437",
            [b"\x94\x4c/1.png", b"\x95\x5c/2.png"],
            r#"{"labels": [["öL/1.png", 0], ["ò//2.png", 1]]}"#,
            ["猫/1.png", "表/2.png"],
        ),
        (
            "names as they are shown",
            [b"\x94\x4c/1.png", b"\x95\x5c/2.png"],
            r#"{"labels": [["猫/1.png", 0], ["表/2.png", 1]]}"#,
            ["猫/1.png", "表/2.png"],
        ),
    ] {
        let members = [
            (names[0], one.as_slice()),
            (names[1], &two),
            (b"dataset.json", json.as_bytes()),
        ];
        let path = write(folder.path(), "x.zip", &raw_zip(&members));
        let found = classes(&path);
        let mut expected = [
            (expected[0].to_owned(), Label::Class(0)),
            (expected[1].to_owned(), Label::Class(1)),
        ];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected, "{what}");
        let report = verify(&Source::open(&path).unwrap(), || ()).unwrap();
        assert!(report.is_good(), "{what}: {report}");
    }
}

#[test]
fn every_member_of_one_name_is_listed_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (png(1), png(2));
    let members = [
        (b"a.png".as_slice(), one.as_slice()),
        (b"b.png", &one),
        (b"a.png", &two),
    ];
    let path = write(folder.path(), "x.zip", &raw_zip(&members));
    let source = Source::open(&path).unwrap();
    assert_eq!(source.names(), ["a.png", "a.png#2", "b.png"]);
    assert_eq!(source.read("a.png").unwrap(), one);
    assert_eq!(source.read("a.png#2").unwrap(), two);
    let report = verify(&source, || ()).unwrap();
    let found: Vec<_> = report
        .problems
        .iter()
        .map(|p| (p.name.as_str(), &p.kind))
        .collect();
    assert_eq!(found, [("a.png#2", &ProblemKind::DuplicateNames)]);
}

#[cfg(unix)]
#[test]
fn folders_with_names_that_are_not_utf8_open() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    // ネコ and イヌ in CP932, ネコ in UTF-8, é in Latin-1.
    for (i, name) in [
        b"\x83\x6c\x83\x52/1.png".as_slice(),
        b"\x83\x43\x83\x6b/1.png",
        "ネコ/1.png".as_bytes(),
        b"caf\xe9.png",
    ]
    .iter()
    .enumerate()
    {
        let path = folder.path().join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, png(i)).unwrap();
    }
    let source = Source::open(folder.path()).unwrap();
    assert_eq!(
        source.names(),
        ["caf\\xE9.png", "イヌ/1.png", "ネコ/1.png", "ネコ/1.png#2"]
    );
    for (name, i) in source.names().iter().zip([3, 1, 2, 0]) {
        assert_eq!(source.read(name).unwrap(), png(i), "{name}");
    }
    source.fingerprint(true).unwrap();
    assert!(verify(&source, || ()).unwrap().is_good());
}

#[test]
fn files_of_operating_systems_are_left_out_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (png(1), png(2));
    let apple = b"\0\x05\x16\x07\0\x02\0\0Mac OS X".as_slice();
    let members = [
        (b"a.png".as_slice(), one.as_slice()),
        (b"._a.png", apple),
        (b"__MACOSX/._a.png", apple),
        (b".DS_Store", b"\0\0\0\x01Bud1"),
        (b"b/Thumbs.db", b"\xd0\xcf\x11\xe0"),
        (b"b/desktop.ini", b"[.ShellClassInfo]"),
        // A real image in spite of its name.
        (b"._x.png", &two),
    ];
    let zip = write(folder.path(), "x.zip", &raw_zip(&members));
    for (name, bytes) in members {
        write(
            folder.path(),
            &format!("tree/{}", str::from_utf8(name).unwrap()),
            bytes,
        );
    }
    for path in [zip, folder.path().join("tree")] {
        let source = Source::open(&path).unwrap();
        assert_eq!(source.names(), ["._x.png", "a.png"]);
        assert_eq!(source.left_out().system_files.len(), 5);
        let sentences = source.left_out().sentences();
        assert!(sentences[0].starts_with("5 file(s)"), "{sentences:?}");
        let report = verify(&source, || ()).unwrap();
        assert!(report.is_good(), "{report}");
    }
}

#[cfg(unix)]
#[test]
fn images_are_told_by_content_where_asked_and_links_are_named() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tree");
    for (i, name) in ["a.png", "b", "c.dat", "d/e.jpg_large"].iter().enumerate() {
        write(&root, name, &png(i));
    }
    write(
        &root,
        "BMW notes.txt",
        b"BMW is no bitmap, though it begins like one.",
    );
    write(folder.path(), "other/f.png", &png(9));
    symlink(folder.path().join("other"), root.join("linked")).unwrap();
    symlink("/nowhere.png", root.join("gone.png")).unwrap();
    let by_name = Source::open(&root).unwrap();
    assert_eq!(by_name.names(), ["a.png"]);
    let sentence = by_name.images_without_extension().unwrap();
    assert!(
        sentence.contains("3 image(s)") && sentence.contains("c.dat"),
        "{sentence}"
    );
    let source = Source::open_by_content(&root).unwrap();
    assert_eq!(source.names(), ["a.png", "b", "c.dat", "d/e.jpg_large"]);
    assert_eq!(source.others(), ["BMW notes.txt"]);
    assert_eq!(source.left_out().linked_folders, ["linked"]);
    assert_eq!(source.left_out().dangling_links, ["gone.png"]);
    assert_eq!(source.left_out().sentences().len(), 2);
}

#[test]
fn files_that_are_no_zips_are_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let whole = raw_zip(&[(b"a.png", &png(1))]);
    for (bytes, word) in [
        (b"".as_slice(), "an empty file"),
        (b"<html><title>Sign in</title>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (&[0; 2048], "zero bytes"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
        (&whole[..whole.len() - 30], "cut short"),
    ] {
        let path = write(folder.path(), "x.zip", bytes);
        let error = Source::open(&path).unwrap_err();
        let Error::Zip { source, .. } = &error else {
            panic!("{word}: {error}");
        };
        assert!(source.to_string().contains(word), "{word}: {source}");
    }
    let path = write(folder.path(), "x.tar.gz", b"\x1f\x8b\x08\0");
    let error = Source::open(&path).unwrap_err().to_string();
    assert!(error.contains("gzip"), "{error}");
}
