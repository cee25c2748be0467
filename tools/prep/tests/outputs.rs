//! An output never replaces an input, nor files that runs on another dump made.

mod common;

use common::{drawing, encode, ok, prep};
use image::ImageFormat;
use std::fs;
use std::io::Write;
use std::path::Path;

const OFF: &str = "--resolution 32 --detector none --dedup off --chroma off --blank off --text off --blur off --detail off";

/// Makes a folder with one image.
fn dump(folder: &Path, name: &str, seed: u64) {
    fs::create_dir(folder.join(name)).unwrap();
    let image = encode(&drawing(seed, 96), ImageFormat::Png);
    fs::write(folder.join(name).join("a.png"), image).unwrap();
}

fn refused(folder: &Path, args: &str, text: &str) {
    let output = prep(folder, &format!("{args} {OFF}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "prep {args}\n{error}");
    assert!(error.contains(text), "prep {args}\n{error}");
}

#[test]
fn an_input_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("photos.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    zip.start_file("a.png", zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.write_all(&encode(&drawing(1, 96), ImageFormat::Png))
        .unwrap();
    zip.finish().unwrap();
    let before = fs::read(&path).unwrap();
    fs::write(folder.join("list.txt"), "photos.zip\n").unwrap();
    fs::create_dir(folder.join("pictures")).unwrap();
    fs::copy(&path, folder.join("pictures/photos.zip")).unwrap();
    for args in [
        "run photos.zip --out photos.zip",
        "run photos.zip --out photos.zip --force",
        "run photos.zip --out pictures/../photos.zip --force --dry-run",
    ] {
        refused(folder, args, "is an input of this command");
    }
    refused(folder, "run @list.txt --out photos.zip", "--force");
    let inside = "lies in the input folder";
    refused(folder, "run pictures --out pictures/photos.zip", inside);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(
        fs::read(folder.join("pictures/photos.zip")).unwrap(),
        before
    );

    fs::write(folder.join("posts.manifest.jsonl"), "{\"id\": 1}\n").unwrap();
    let args = "run photos.zip --metadata posts.manifest.jsonl --out posts.zip --force";
    refused(folder, args, "'posts.manifest.jsonl' is an input");
    assert_eq!(
        fs::read_to_string(folder.join("posts.manifest.jsonl")).unwrap(),
        "{\"id\": 1}\n"
    );
}

#[test]
fn an_archive_inside_an_input_folder_is_an_input_even_with_force() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dump(folder, "a", 1);
    fs::write(folder.join("a/photos.zip"), "a user's").unwrap();
    for force in ["", " --force"] {
        let args = format!("run a --out a/photos.zip{force}");
        refused(folder, &args, "input folder 'a'");
        assert_eq!(fs::read(folder.join("a/photos.zip")).unwrap(), b"a user's");
    }
    // The dataset of an earlier run may be in an input folder.
    for _ in 0..2 {
        ok(folder, &format!("run a --out a/ours.zip {OFF}"));
    }
}

#[test]
fn a_dataset_of_other_inputs_is_replaced_by_force_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    dump(folder, "a", 1);
    dump(folder, "b", 2);
    ok(folder, &format!("run a --out faces.zip {OFF}"));
    let files = ["zip", "manifest.jsonl", "report.html", "recipe.toml"];
    let read = || files.map(|ending| fs::read(folder.join(format!("faces.{ending}"))).unwrap());
    let before = read();
    for args in ["run b --out faces.zip", "run b --out faces.zip --dry-run"] {
        refused(folder, args, "made from other inputs ('a')");
        assert!(read() == before, "{args}");
    }
    // The same dump may be run again, or with more beside it.
    ok(
        folder,
        &format!("run {} --out faces.zip {OFF}", folder.join("a").display()),
    );
    ok(folder, &format!("run a b --out faces.zip {OFF}"));
    ok(folder, &format!("run b --out faces.zip --force {OFF}"));

    // Files of another origin.
    fs::write(folder.join("mine.zip"), "not a dataset").unwrap();
    refused(folder, "run a --out mine.zip", "not of an earlier run");
    assert_eq!(fs::read(folder.join("mine.zip")).unwrap(), b"not a dataset");
    ok(folder, &format!("run a --out mine.zip --force {OFF}"));

    // A run that was killed between writing its zip and its recipe.
    fs::remove_file(folder.join("mine.recipe.toml")).unwrap();
    ok(folder, &format!("run a --out mine.zip {OFF}"));
}
