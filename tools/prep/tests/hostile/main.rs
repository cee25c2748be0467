//! Broken, odd and hostile files: none stops a run, each one is recorded with its reason.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod make;

use common::{drawing, encode, input, manifest, ok, prep};
use files::write_dump;
use image::ImageFormat;
use std::fs;
use std::io::Write;
use zip::write::SimpleFileOptions;

#[test]
fn every_odd_file_is_a_recorded_decision() {
    let folder = tempfile::tempdir().unwrap();
    let dump_folder = folder.path().join("dump");
    fs::create_dir(&dump_folder).unwrap();
    let expected = write_dump(&dump_folder);
    assert!(
        expected
            .values()
            .filter(|reason| **reason != "kept")
            .count()
            >= 30
    );

    let text = ok(
        folder.path(),
        "run dump --out out/x.zip --detector none --resolution 64 --max-pixels 2000000 --detail off --blur off",
    );
    assert!(text.contains("not_a_picture"), "{text}");
    let lines = manifest(&folder.path().join("out/x.manifest.jsonl"));
    let mut wrong = Vec::new();
    for (name, reason) in &expected {
        let line = input(&lines, name);
        let found = line["reason"].as_str().unwrap_or("kept");
        if found != *reason {
            wrong.push(format!(
                "{name}: expected {reason}, found {found} ({})",
                line["detail"]
            ));
        }
        let is_told = line["decision"] == "kept"
            || line["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty());
        assert!(is_told, "{name} is dropped without a detail");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named: Vec<&str> = lines
        .iter()
        .filter(|l| l["face"].is_null())
        .map(|l| l["source"].as_str().unwrap())
        .collect();
    assert_eq!(
        named.len(),
        expected.len(),
        "nothing is lost and nothing invented: {named:?}"
    );

    // No file was written outside of its folder, and the packed dataset is valid.
    assert!(
        !folder.path().join("outside.png").exists()
            && !folder.path().parent().unwrap().join("outside.png").exists()
    );
    ok(folder.path(), "verify out/x.zip");
    let html = fs::read_to_string(folder.path().join("out/x.report.html")).unwrap();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>&\"quoted"));
}

#[test]
fn nothing_kept_is_exit_code_1_with_the_record() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dump")).unwrap();
    fs::write(folder.path().join("dump/a.jpg"), b"").unwrap();
    let output = prep(folder.path(), "run dump --out x.zip --detector none");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was kept"));
    assert_eq!(
        input(&manifest(&folder.path().join("x.manifest.jsonl")), "a.jpg")["reason"],
        "empty"
    );
    assert!(!folder.path().join("x.zip").exists());
    // The zip of an earlier run stays, and the error says that it is one.
    fs::write(folder.path().join("x.zip"), b"of before").unwrap();
    let output = prep(folder.path(), "run dump --out x.zip --detector none");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("'x.zip' is still that of an earlier run"),
        "{error}"
    );
    assert_eq!(fs::read(folder.path().join("x.zip")).unwrap(), b"of before");
    for side in ["0", "31", "65536"] {
        let output = prep(
            folder.path(),
            &format!("run dump --out y.zip --longest-side {side}"),
        );
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            error.contains(&format!("--longest-side (detect.longest_side) is {side};")),
            "{error}"
        );
        assert!(!folder.path().join("y.manifest.jsonl").exists());
    }
    for args in [
        "run nowhere --out x.zip --detector none",
        "run dump --out x.png --detector none",
        "run dump --out x.zip --detector cascade:none.xml",
    ] {
        let output = prep(folder.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("error: "),
            "{args}"
        );
    }
}

#[test]
fn thousands_of_boxes_cost_their_image_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("dump")).unwrap();
    for (name, seed) in [("crowd.png", 1), ("good.png", 2)] {
        let bytes = encode(&drawing(seed, 200), ImageFormat::Png);
        fs::write(folder.join("dump").join(name), bytes).unwrap();
    }
    let boxes = |n: usize| {
        let crowd = vec!["[10,10,90,90]"; n].join(",");
        let text = format!(
            "{{\"file\":\"good.png\",\"boxes\":[[60,60,130,130]]}}\n{{\"file\":\"crowd.png\",\"boxes\":[{crowd}]}}\n"
        );
        fs::write(folder.join("boxes.jsonl"), text).unwrap();
    };
    boxes(1001);
    ok(
        folder,
        "run dump --out x.zip --detector boxes:boxes.jsonl --resolution 64 --detail off --blur off --dedup off \
         --preset face --max-reflect 0.5",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let crowd = input(&lines, "crowd.png");
    assert_eq!(crowd["reason"], "detect_error");
    let detail = crowd["detail"].as_str().unwrap();
    assert!(
        detail.contains("1001 faces") && detail.contains("at most 1000"),
        "{detail}"
    );
    assert_eq!(input(&lines, "good.png")["decision"], "kept");
    // A line with more boxes than any image has is refused by its number.
    boxes(300_000);
    let output = prep(
        folder,
        "run dump --out y.zip --detector boxes:boxes.jsonl --resolution 64",
    );
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("boxes.jsonl line 2: 300000 boxes") && error.contains("at most 10000"),
        "{error}"
    );
}

#[test]
fn members_of_a_zip_that_share_bytes_are_dropped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, seed) in [("a.png", 1), ("b.png", 2)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&encode(&drawing(seed, 200), ImageFormat::Png))
            .unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    // Repeat the first record of the directory five times, under other names of the same length.
    let start = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let end = bytes.windows(4).position(|w| w == b"PK\x05\x06").unwrap();
    let record = bytes[start..start + 46 + 5].to_vec();
    assert_eq!(&record[46..], b"a.png");
    let mut tail = bytes.split_off(end);
    for letter in b'c'..b'h' {
        bytes.extend(&record[..46]);
        bytes.extend([letter]);
        bytes.extend(b".png");
    }
    let length = (bytes.len() - start) as u32;
    tail[8..10].copy_from_slice(&7u16.to_le_bytes());
    tail[10..12].copy_from_slice(&7u16.to_le_bytes());
    tail[12..16].copy_from_slice(&length.to_le_bytes());
    bytes.extend(tail);
    fs::write(folder.join("bomb.zip"), bytes).unwrap();
    ok(
        folder,
        "run bomb.zip --out x.zip --detector none --resolution 64 --detail off --blur off --dedup off",
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    // Only one of the six members that share their bytes is read.
    for name in ["a.png", "c.png", "d.png", "e.png", "f.png"] {
        let line = input(&lines, name);
        assert_eq!(line["reason"], "unreadable", "{name}: {line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains("also those of the next member"), "{detail}");
    }
    for name in ["b.png", "g.png"] {
        assert_eq!(input(&lines, name)["decision"], "kept", "{name}");
    }
}
