//! `prep run` on the synthetic dump, compared with what is known about each of its files.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{input, manifest, ok};
use serde_json::Value;
use synthetic_dump::{Dump, FileTruth, Kind, SceneKind};

fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap()
}

/// The lines of an input's faces, and the number of faces kept.
fn faces<'a>(lines: &'a [Value], file: &FileTruth) -> (Vec<&'a Value>, usize) {
    let all: Vec<&Value> = lines
        .iter()
        .filter(|line| line["source"] == name(&file.file) && line["face"].is_u64())
        .collect();
    let n_kept = all.iter().filter(|line| line["decision"] == "kept").count();
    (all, n_kept)
}

fn check(folder: &Path, dump: &Dump) {
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let mut n_doubtful = 0;
    for file in &dump.truth().files {
        let line = input(&lines, name(&file.file));
        let (all, n_kept) = faces(&lines, file);
        let context = format!("{file:?}\n{line}");
        let allowed: &[&str] = match file.kind {
            Kind::Work if file.faces.is_empty() => {
                // A night sky is of one tint; it has no face either way.
                assert!(matches!(
                    file.scene,
                    Some(SceneKind::Behind | SceneKind::Scenery)
                ));
                &["no_face", "grayscale"]
            }
            Kind::Work | Kind::Expression | Kind::Colors => {
                assert_eq!(line["decision"], "kept", "{context}");
                assert_eq!(all.len(), file.faces.len(), "{context}");
                if file.kind == Kind::Work {
                    assert_eq!(
                        n_kept,
                        all.len(),
                        "a face of an original is lost: {context}"
                    );
                }
                continue;
            }
            Kind::Gray | Kind::Sepia | Kind::Tinted => &["grayscale"],
            Kind::Blank => &["blank"],
            Kind::Banner => &["aspect"],
            Kind::Tiny => &["no_face", "small", "upscaled"],
            Kind::Truncated => &["truncated"],
            Kind::Empty => &["empty"],
            Kind::Text => &["not_a_picture"],
            Kind::Noise => &["decode_error", "truncated", "too_large"],
            Kind::Bomb => &["too_large"],
            _ => {
                assert!(file.kind.is_copy());
                let source = file.source.as_deref().map(name);
                if line["decision"] == "kept" {
                    // Where cropping or clipped highlights leave too little in common, it must still be found to be a
                    // variant.
                    assert!(
                        matches!(file.kind, Kind::Cropped | Kind::Brightness),
                        "{context}"
                    );
                    assert_eq!(line["group"].as_str(), source, "{context}");
                    n_doubtful += 1;
                    continue;
                }
                assert_eq!(line["kept_instead"]["source"].as_str(), source, "{context}");
                assert_eq!(
                    line["kept_instead"]["mirrored"],
                    file.kind == Kind::Mirrored,
                    "{context}"
                );
                &["duplicate"]
            }
        };
        assert_eq!(
            (&line["decision"], n_kept),
            (&Value::from("dropped"), 0),
            "{context}"
        );
        assert!(
            allowed.iter().any(|reason| line["reason"] == *reason),
            "{context}"
        );
    }
    assert!(
        n_doubtful <= 1,
        "{n_doubtful} of the copies are kept as variants"
    );
}

#[test]
fn every_file_of_the_sample_meets_the_fate_that_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dump = Dump::with_works(3, 24);
    dump.write_to(&folder.join("dump"), |_| {}).unwrap();
    let mut kinds = BTreeMap::new();
    for file in &dump.truth().files {
        *kinds.entry(file.kind).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 20, "every kind is there");
    ok(
        folder,
        "run dump/pictures --out x.zip --detector boxes:dump/boxes.jsonl --resolution 64",
    );
    check(folder, &dump);
    ok(folder, "verify x.zip");

    // Filters on tags; nothing is decoded again.
    let text = ok(
        folder,
        "run dump/pictures --out x.zip --detector boxes:dump/boxes.jsonl --resolution 64 \
         --metadata dump/posts.jsonl --include-tag solo --exclude-tag cover,from_behind",
    );
    assert!(text.contains(" metadata"), "{text}");
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    for file in dump
        .truth()
        .files
        .iter()
        .filter(|file| file.kind == Kind::Work)
    {
        let is_wanted = file.scene == Some(SceneKind::Solo);
        let line = input(&lines, name(&file.file));
        assert_eq!(line["decision"] == "kept", is_wanted, "{file:?}\n{line}");
        assert_eq!(line["reason"] == "metadata", !is_wanted, "{file:?}\n{line}");
    }
}

#[test]
fn a_run_that_loses_small_faces_says_what_would_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dump = Dump::with_works(3, 6);
    dump.write_to(&folder.join("dump"), |_| {}).unwrap();
    let run = |more: &str| {
        let line = "run dump/pictures --out x.zip --detector boxes:dump/boxes.jsonl --dry-run --json --dedup off";
        let summary: Value = serde_json::from_str(&ok(folder, &format!("{line} {more}"))).unwrap();
        summary
    };
    let summary = run("");
    let small = &summary["small_faces"];
    let n_upscaled = summary["faces_dropped"]["upscaled"].as_u64().unwrap();
    assert_eq!(
        (&small["n"], &small["half_resolution"]),
        (&Value::from(n_upscaled), &Value::from(256))
    );
    let more = |summary: &Value| summary["n_kept"].as_u64().unwrap();
    let before = more(&summary);
    let at_half = run("--resolution 256");
    assert!(at_half["small_faces"].is_null(), "{at_half}");
    assert_eq!(
        more(&at_half) - before,
        small["n_at_half_resolution"].as_u64().unwrap()
    );
    let at_2 = run("--max-upscale 2 --detail off");
    assert_eq!(
        more(&at_2) - before,
        small["n_at_upscale_2"].as_u64().unwrap()
    );
}
