//! Typical use: recipes, metadata, labels, given boxes, duplicates, exclusion, inspection, comparison.

mod common;

use common::{drawing, encode, input, jpeg, manifest, ok, prep, render};
use image::ImageFormat;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use test_support::drawn::Work;

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Reads a dataset as NVIDIA's StyleGAN2-ADA does, and checks it: names sorted, equal square RGB `u8`, complete labels.
/// Returns the pixels and the labels.
fn load(path: &Path) -> (Vec<Vec<u8>>, Option<Vec<u64>>) {
    let mut zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut names: Vec<String> = Vec::new();
    for i in 0..zip.len() {
        let file = zip.by_index(i).unwrap();
        assert_eq!(file.compression(), zip::CompressionMethod::Stored);
        names.push(String::from_utf8(file.name_raw().to_vec()).unwrap());
    }
    assert_eq!(
        names.last().map(String::as_str),
        Some("dataset.json"),
        "dataset.json is last"
    );
    let mut images: Vec<String> = names
        .iter()
        .filter(|n| n.ends_with(".png"))
        .cloned()
        .collect();
    assert_eq!(images.len() + 1, names.len(), "nothing inside but samples");
    images.sort();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let json: Value = serde_json::from_slice(&read("dataset.json")).unwrap();
    let mut pixels = Vec::new();
    let mut shape = None;
    for (idx, name) in images.iter().enumerate() {
        let digits = format!("{idx:08}");
        assert_eq!(name, &format!("{}/img{digits}.png", &digits[..5]));
        let image = image::load_from_memory_with_format(&read(name), ImageFormat::Png).unwrap();
        assert_eq!(image.color(), image::ColorType::Rgb8);
        assert_eq!(image.width(), image.height());
        assert_eq!(*shape.get_or_insert(image.width()), image.width());
        pixels.push(image.into_rgb8().into_raw());
    }
    let labels = json["labels"].as_array().map(|list| {
        let by_name: std::collections::HashMap<&str, u64> = list
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_u64().unwrap()))
            .collect();
        images.iter().map(|name| by_name[name.as_str()]).collect()
    });
    (pixels, labels)
}

#[test]
fn faces_are_cut_where_the_boxes_are_and_copies_dropped_with_proof() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut boxes = String::new();
    let mut add =
        |name: &str, work: &Work, width: usize, quality: Option<u8>, is_mirrored: bool| {
            let mut image = render(work, width);
            let face = work.face_box();
            let (w, h) = (image.width() as f32, image.height() as f32);
            let mut rect = [face.left * w, face.top * h, face.right * w, face.bottom * h];
            if is_mirrored {
                image = image::imageops::flip_horizontal(&image);
                rect = [w - rect[2], rect[1], w - rect[0], rect[3]];
            }
            let bytes =
                quality.map_or_else(|| encode(&image, ImageFormat::Png), |q| jpeg(&image, q));
            write(folder, &format!("dump/{name}"), &bytes);
            boxes += &format!("{}\n", serde_json::json!({ "file": name, "boxes": [rect] }));
        };
    let work = |seed: u64| Work::new(seed);
    add("a_small.jpg", &work(1), 400, Some(80), false);
    add("b_best.png", &work(1), 640, None, false);
    add("c_worse.jpg", &work(1), 640, Some(60), false);
    add("d_mirror.jpg", &work(1), 600, Some(85), true);
    add("e_smile.png", &work(1).with_expression(3), 640, None, false);
    add("f_other.png", &work(2), 640, None, false);
    write(folder, "boxes.jsonl", boxes.as_bytes());
    ok(
        folder,
        "run dump --out x.zip --detector boxes:boxes.jsonl --resolution 128 --preset face --max-reflect 0.3 --detail off",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    for name in ["a_small.jpg", "c_worse.jpg", "d_mirror.jpg"] {
        let line = input(&lines, name);
        assert_eq!(line["reason"], "duplicate", "{line}");
        assert_eq!(line["kept_instead"]["source"], "b_best.png", "{line}");
        assert_eq!(line["kept_instead"]["mirrored"], name == "d_mirror.jpg");
        assert!(line["kept_instead"]["worst_tile"].as_f64().unwrap() < 10.0);
    }
    for name in ["b_best.png", "e_smile.png", "f_other.png"] {
        assert_eq!(input(&lines, name)["decision"], "kept", "{name}");
    }
    let kept: Vec<&Value> = lines
        .iter()
        .filter(|line| line["sample"].is_string())
        .collect();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|line| line["box"].is_array()
        && line["crop"].is_array()
        && line["scores"]["blur"].is_number()));
    assert_eq!(load(&folder.join("x.zip")).0.len(), 3);

    // The number of variants can be limited.
    ok(
        folder,
        "run dump --out x.zip --detector boxes:boxes.jsonl --resolution 128 --preset face --max-reflect 0.3 --detail off --max-variants 0",
    );
    let capped = manifest(&folder.join("x.manifest.jsonl"));
    let reasons: Vec<_> = capped
        .iter()
        .filter_map(|line| line["reason"].as_str())
        .collect();
    assert!(reasons.contains(&"variant_cap"), "{reasons:?}");
}

#[test]
fn faces_below_min_face_are_named_and_a_looser_limit_decodes_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, seed) in [("both.png", 31), ("tiny_only.png", 32)] {
        let bytes = encode(&drawing(seed, 300), ImageFormat::Png);
        write(folder, &format!("dump/{name}"), &bytes);
    }
    let boxes = "{\"file\":\"both.png\",\"boxes\":[[60,60,160,160],[200,20,212,31]],\"scores\":[0.9,0.8]}\n\
                 {\"file\":\"tiny_only.png\",\"boxes\":[[100,100,115,117]]}\n";
    write(folder, "boxes.jsonl", boxes.as_bytes());
    let run = |more: &str| -> Value {
        let line = "run dump --out x.zip --detector boxes:boxes.jsonl -r 16 --detail off --blur off --json";
        serde_json::from_str(&ok(folder, &format!("{line} {more}"))).unwrap()
    };
    assert_eq!(run("")["n_faces"], 3);
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let reason = |source: &str, face: usize| {
        let line = lines
            .iter()
            .find(|line| line["source"] == source && line["face"] == face)
            .unwrap();
        (line["decision"].clone(), line["reason"].clone())
    };
    assert_eq!(reason("both.png", 0), ("kept".into(), Value::Null));
    assert_eq!(reason("both.png", 1), ("dropped".into(), "small".into()));
    assert_eq!(
        reason("tiny_only.png", 0),
        ("dropped".into(), "small".into())
    );
    let line = input(&lines, "tiny_only.png");
    assert_eq!(line["reason"], "small", "{line}");

    // Only images whose crops were not made are measured again.
    let looser = run("--min-face 10 --max-upscale 2");
    assert_eq!(
        (&looser["n_measured"], &looser["n_kept"]),
        (&2.into(), &3.into())
    );
    let again = run("");
    assert_eq!(
        (&again["n_measured"], &again["n_kept"]),
        (&0.into(), &1.into())
    );
}

#[test]
fn results_of_earlier_runs_are_no_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for seed in 41..44 {
        let bytes = encode(&drawing(seed, 128), ImageFormat::Png);
        write(folder, &format!("dump/{seed}.png"), &bytes);
    }
    let run = |line: &str| -> Value {
        let more = "--detector none -r 64 --detail off --json";
        serde_json::from_str(&ok(folder, &format!("{line} {more}"))).unwrap()
    };
    for name in ["first", "second", "second"] {
        let summary = run(&format!("run dump dump/ --out dump/{name}.zip"));
        assert_eq!(
            (&summary["n_inputs"], &summary["n_kept"]),
            (&3.into(), &3.into()),
            "{summary}"
        );
    }
    // A result that is named as an input is one.
    assert_eq!(run("run dump/first.zip --out x.zip")["n_kept"], 3);
}

#[test]
fn metadata_labels_recipes_and_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut posts = String::new();
    for id in 1001..1013u64 {
        let name = format!("dump/{}/{id}.png", if id % 2 == 0 { "even" } else { "odd" });
        write(folder, &name, &encode(&drawing(id, 128), ImageFormat::Png));
        let tags = if id % 3 == 0 {
            "solo red_hair"
        } else {
            "solo blue_hair"
        };
        let tags = if id == 1004 { "solo monochrome" } else { tags };
        posts += &format!(
            "{}\n",
            serde_json::json!({ "id": id, "rating": "g", "score": id - 1000, "tag_string": tags })
        );
    }
    write(folder, "posts.jsonl", posts.as_bytes());
    write(
        folder,
        "recipe.toml",
        b"inputs = ['dump']\nout = 'x.zip'\ndetector = 'none'\nlabels = 'folder'\n[crop]\nresolution = 64\n[filters]\ndetail = 'off'\nblur = 'off'\n[metadata]\nposts = 'posts.jsonl'\ninclude_tags = ['solo']\nexclude_tags = ['monochrome']\nmin_score = 3\n",
    );
    ok(folder, "run --recipe recipe.toml");
    let (pixels, labels) = load(&folder.join("x.zip"));
    // 12 posts, two with a low score, one monochrome.
    assert_eq!(pixels.len(), 9);
    assert_eq!(labels.unwrap(), [0, 0, 0, 0, 1, 1, 1, 1, 1]);
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    assert_eq!(
        input(&lines, "even/1004.png")["detail"],
        "has the tag monochrome"
    );
    assert_eq!(input(&lines, "odd/1001.png")["reason"], "metadata");

    // The resolved recipe gives the same zip; a flag overrides it.
    ok(folder, "run --recipe x.recipe.toml --out again.zip");
    assert_eq!(
        fs::read(folder.join("x.zip")).unwrap(),
        fs::read(folder.join("again.zip")).unwrap()
    );
    ok(
        folder,
        "run --recipe x.recipe.toml --out tags.zip --labels tag:red_hair,blue_hair --min-score 6",
    );
    let labels = load(&folder.join("tags.zip")).1.unwrap();
    assert_eq!(labels.iter().filter(|&&l| l == 0).count(), 2);
    let text = ok(folder, "diff x.zip tags.zip");
    assert!(
        text.contains("odd/1003.png: kept -> metadata (score 3)"),
        "{text}"
    );
    assert_eq!(
        ok(folder, "diff x.zip again.manifest.jsonl"),
        "no difference\n"
    );

    // Excluded images stay excluded.
    let sha = input(&lines, "even/1006.png")["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    let phash = input(&lines, "odd/1007.png")["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    write(
        folder,
        "exclude.tsv",
        format!("sha256:{sha}\tby eye\nphash:{phash}\tseen before\n").as_bytes(),
    );
    ok(
        folder,
        "run --recipe x.recipe.toml --exclude exclude.tsv --dry-run --out plan.zip",
    );
    let plan = manifest(&folder.join("plan.manifest.jsonl"));
    assert_eq!(input(&plan, "even/1006.png")["detail"], "by eye");
    assert_eq!(input(&plan, "odd/1007.png")["reason"], "excluded");
    assert!(!folder.join("plan.zip").exists() && folder.join("plan.report.html").exists());
    assert!(plan.iter().all(|line| line["sample"].is_null()));

    // The other commands.
    let text = ok(folder, "inspect x.zip");
    assert!(
        text.contains("images   9") && text.contains("64 x 64") && text.contains("good"),
        "{text}"
    );
    assert!(ok(folder, "inspect x.manifest.jsonl").contains("metadata"));
    assert!(ok(folder, "inspect dump").contains("12 png"));
    assert!(ok(folder, "models").contains("onnx:"));
    let summary: Value = serde_json::from_str(ok(folder, "verify x.zip --json").trim()).unwrap();
    assert_eq!(summary["n_images"], 9);
}

#[test]
fn verify_names_what_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for seed in 0..3 {
        write(
            folder,
            &format!("dump/{seed}.png"),
            &encode(&drawing(seed + 70, 100), ImageFormat::Png),
        );
    }
    ok(
        folder,
        "run dump --out x.zip --detector none --resolution 32 --detail off --blur off --dedup off",
    );
    let mut bytes = fs::read(folder.join("x.zip")).unwrap();
    let at = bytes.windows(4).position(|w| w == b"IDAT").unwrap() + 200;
    bytes[at] ^= 0x40;
    write(folder, "bad.zip", &bytes);
    let output = prep(folder, "verify bad.zip");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("00000/img00000000.png"),
        "{output:?}"
    );
    // A run whose output is in its input folder does not read it.
    ok(
        folder,
        "run . --out x.zip --detector none --resolution 32 --detail off --blur off --dedup off",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    assert!(
        lines
            .iter()
            .all(|line| !line["source"].as_str().unwrap().starts_with("x.")),
        "{lines:?}"
    );
}
