//! Posts: which one a file belongs to, the accepted forms of metadata, and the messages when a post is missing.

mod common;

use common::{drawing, encode, input, manifest, ok, prep};
use flate2::Compression;
use flate2::write::GzEncoder;
use image::ImageFormat;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;

/// Settings with which every image passes the filters.
const ALL: &str = "--detector none -r 64 --dedup off --chroma off --blank off --text off --aspect off --blur off \
                   --detail off --max-upscale 100";

/// Posts of whose files some names contain the digits of other ids.
const POSTS: &str = r#"{"id": 2, "rating": "g"}
{"id": 12, "rating": "g"}
{"id": 8427, "rating": "g"}
{"id": 10, "rating": "e"}
{"id": 1200, "rating": "e"}
{"id": 7654321, "rating": "e"}
{"id": 1000001, "rating": "g"}
{"id": 1000123, "rating": "g"}
{"id": 2000123, "rating": "e"}
"#;

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// A function that makes a post from id, tags, rating and score, in one of the accepted forms.
type MakePost<'a> = &'a dyn Fn(u64, &[&str], &str, i64) -> Value;

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn image() -> Vec<u8> {
    encode(&drawing(1, 64), ImageFormat::Png)
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Sources of the kept inputs in a run's manifest.
fn kept(folder: &Path, stem: &str) -> BTreeSet<String> {
    manifest(&folder.join(format!("{stem}.manifest.jsonl")))
        .iter()
        .filter(|line| line["face"].is_null() && line["decision"] == "kept")
        .map(|line| line["source"].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn no_file_is_kept_by_the_rating_of_another_post() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = image();
    write(folder, "posts.jsonl", POSTS.as_bytes());
    let frames: Vec<String> = (0..14).map(|i| format!("{i:06}.png")).collect();
    let frames: Vec<(&str, &[u8])> = frames.iter().map(|name| (name.as_str(), &*png)).collect();
    write(folder, "in/7654321.zip", &zip(&frames));
    let pages: Vec<(&str, &[u8])> = vec![("2.png", &png), ("p12.png", &png), ("sub/12.png", &png)];
    write(folder, "in/art (7654321).cbz", &zip(&pages));
    write(folder, "in/1000001_ugoira1920x1080.zip", &zip(&frames[..2]));
    // The metadata has no post of this id, so the members have none.
    write(folder, "in/9999999.zip", &zip(&frames));
    let good = [
        "2.png",
        "0123/1000123.png",
        "1000001_p10.png",
        "1000001_p0_master1200.png",
        "sample-1000001.png",
        "preview_12.png",
        "artist_1000001_20210304_121314.png",
        "artist_8427_20210304_121314.png",
        "danbooru_1000001.png",
    ];
    let by_md5 = ["", "__miku__", "1000001_"].map(|front| format!("{front}{MD5}.png"));
    let none = [
        by_md5[0].as_str(),
        &by_md5[1],
        &by_md5[2],
        "000002.png",
        "7654321/000012.png",
        "7654321/2.png",
        "frame_12.png",
        "image (2).png",
        "cover.png",
        "1000001_2.png",
        "12_7654321.png",
        "cover_12.png",
        "book/1.png",
        "book/2.png",
        "book/3.png",
    ];
    let rated = [
        "7654321.png",
        "10_p2.png",
        "1200_p0_master1200.png",
        "7654321_p12.png",
    ];
    for name in good.iter().chain(&none).chain(&rated) {
        write(folder, &format!("in/{name}"), &png);
    }
    let text = ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl --rating g"),
    );
    let mut expected = set(&good);
    expected.extend(set(&[
        "1000001_ugoira1920x1080.zip/000000.png",
        "1000001_ugoira1920x1080.zip/000001.png",
    ]));
    assert_eq!(kept(folder, "x"), expected);
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    for name in none {
        assert_eq!(input(&lines, name)["reason"], "no_post", "{name}");
    }
    assert_eq!(
        input(&lines, &format!("{MD5}.png"))["detail"],
        "no post in the metadata"
    );
    let detail = input(&lines, "1000001_2.png")["detail"].as_str().unwrap();
    assert!(detail.contains("1000001 or 2"), "{detail}");
    for name in rated
        .iter()
        .chain(&["7654321.zip/000002.png", "art (7654321).cbz/2.png"])
    {
        assert_eq!(input(&lines, name)["reason"], "metadata", "{name}");
    }
    // 15 names and the 14 members of the archive without a post.
    assert!(
        text.contains("29 without a post in the metadata (no_post, dropped): "),
        "{text}"
    );
    assert!(
        text.contains("7 of these could belong to more than one post"),
        "{text}"
    );
    let json = ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl --rating g --json"),
    );
    let summary: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(summary["metadata"]["n_unmatched"], 29);
    assert_eq!(
        summary["metadata"]["unmatched"].as_array().unwrap().len(),
        3
    );
    assert_eq!(summary["images_dropped"]["no_post"], 29);

    // The archive as the only input: its name is still known.
    let output = prep(
        folder,
        &format!("run in/7654321.zip -o y.zip {ALL} --metadata posts.jsonl --rating g"),
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = manifest(&folder.join("y.manifest.jsonl"));
    assert!(
        lines.iter().all(|line| line["reason"] == "metadata"),
        "{lines:?}"
    );
}

#[test]
fn shards_are_archives_of_many_posts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = image();
    write(folder, "posts.jsonl", POSTS.as_bytes());
    let members: [(&str, &[u8]); 3] = [
        ("1000001.png", &png),
        ("7654321.png", &png),
        ("12.png", &png),
    ];
    write(folder, "in/data-000.tar", &tar(&members));
    let sharded: [(&str, &[u8]); 2] = [("1000123.png", &png), ("2000123.png", &png)];
    for name in ["0123.zip", "123.zip", "images.zip"] {
        write(folder, &format!("in/{name}"), &zip(&sharded));
    }
    // A member with an id of its own in the archive of another post: it is not known which is right.
    write(folder, "in/8427001.zip", &zip(&members));
    // Pages of a book, even though posts have these numbers.
    let pages: Vec<String> = (1..13).map(|i| format!("{i}.png")).collect();
    let pages: Vec<(&str, &[u8])> = pages.iter().map(|name| (name.as_str(), &*png)).collect();
    write(folder, "in/book.zip", &zip(&pages));
    ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl --rating g"),
    );
    assert_eq!(
        kept(folder, "x"),
        set(&[
            "data-000.tar/1000001.png",
            "data-000.tar/12.png",
            "0123.zip/1000123.png",
            "123.zip/1000123.png",
            "images.zip/1000123.png",
        ])
    );
}

#[test]
fn a_pattern_decides_where_names_are_unclear() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = image();
    write(folder, "posts.jsonl", POSTS.as_bytes());
    for name in ["12_7654321.png", "7654321_12.png", "8427_1000001.png"] {
        write(folder, &format!("in/{name}"), &png);
    }
    let run = format!("run in -o x.zip {ALL} --metadata posts.jsonl --rating g");
    let output = prep(folder, &run);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("3 without a post") && text.contains("--id-pattern"),
        "{text}"
    );
    ok(folder, &format!("{run} --id-pattern _(\\d+)\\.png$"));
    assert_eq!(
        kept(folder, "x"),
        set(&["7654321_12.png", "8427_1000001.png"])
    );
    // The pattern is a setting of the run.
    ok(folder, "run --recipe x.recipe.toml -o again.zip");
    assert_eq!(kept(folder, "again"), kept(folder, "x"));
    let output = prep(folder, &format!("{run} --id-pattern \\d+"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// The same four posts, with tags, ratings and scores, in every accepted form.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let posts = |make: MakePost<'_>| -> Vec<Value> {
        vec![
            make(1_000_001, &["solo", ">_<"], "g", 9),
            make(1_000_002, &["solo", "monochrome"], "g", 9),
            make(1_000_003, &["solo"], "e", 9),
            make(1_000_004, &["solo"], "g", 1),
        ]
    };
    let lines = |posts: &[Value]| -> Vec<u8> {
        posts
            .iter()
            .map(|post| format!("{post}\n"))
            .collect::<String>()
            .into_bytes()
    };
    let plain = posts(
        &|id, tags, rating, score| json!({"id": id, "tag_string": tags.join(" "), "rating": rating, "score": score}),
    );
    let plain_lines = lines(&plain);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain_lines).unwrap();
    let objects = posts(&|id, tags, rating, score| {
        let tags: Vec<Value> = tags
            .iter()
            .map(|tag| json!({"name": tag, "category": "0"}))
            .collect();
        let score = json!({"up": score + 1, "down": -1, "total": score});
        json!({"id": id.to_string(), "tags": tags, "rating": rating, "score": score})
    });
    vec![
        ("tag_string", plain_lines.clone()),
        (
            "siblings of tag_string",
            lines(&posts(&|id, tags, rating, score| {
                json!({"id": id, "tag_string_general": tags[0], "tag_string_meta": tags.get(1), "tags": null,
                       "rating": rating, "score": score.to_string()})
            })),
        ),
        (
            "one text, entities, words",
            lines(&posts(&|id, tags, rating, score| {
                let rating = if rating == "g" { "general" } else { "explicit" };
                let tags = tags.join(" ").replace('>', "&gt;").replace('<', "&#60;");
                json!({"id": id as f64, "tags": tags, "rating": rating, "score": score})
            })),
        ),
        (
            "list of texts",
            lines(&posts(
                &|id, tags, rating, score| json!({"id": format!("{id}.0"), "tags": tags, "rating": rating.to_uppercase(), "score": score as f64}),
            )),
        ),
        ("list of objects", lines(&objects)),
        (
            "object of lists",
            lines(&posts(&|id, tags, rating, score| {
                json!({"id": id, "tags": {"general": tags[..1], "species": [], "meta": tags[1..]}, "rating": rating,
                       "score": {"up": score, "down": 0, "total": score}})
            })),
        ),
        (
            "array",
            Value::Array(plain.clone()).to_string().into_bytes(),
        ),
        (
            "array over lines",
            serde_json::to_vec_pretty(&Value::Array(objects)).unwrap(),
        ),
        ("wrapped", json!({"posts": plain}).to_string().into_bytes()),
        (
            "byte-order mark",
            [b"\xef\xbb\xbf".as_slice(), &plain_lines].concat(),
        ),
        ("gzip", gzip.finish().unwrap()),
    ]
}

#[test]
fn every_form_of_metadata_filters_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for id in 1_000_001..1_000_006 {
        write(folder, &format!("in/{id}.png"), &image());
    }
    for (name, bytes) in forms() {
        write(folder, "posts", &bytes);
        let filters = "--include-tag solo --exclude-tag monochrome --rating g --min-score 5";
        ok(
            folder,
            &format!("run in -o x.zip {ALL} --metadata posts {filters}"),
        );
        assert_eq!(kept(folder, "x"), set(&["1000001.png"]), "{name}");
        ok(
            folder,
            &format!("run in -o x.zip {ALL} --metadata posts --exclude-tag >_<"),
        );
        assert_eq!(
            kept(folder, "x"),
            set(&["1000002.png", "1000003.png", "1000004.png"]),
            "{name}"
        );
    }
}

#[test]
fn a_filter_that_cannot_read_its_field_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "in/1000001.png", &image());
    let line = r#"{"id": 1000001, "labels": ["monochrome"], "rating": 7, "score": "many"}"#;
    write(folder, "posts.jsonl", format!("{line}\n").as_bytes());
    for (filter, field) in [
        ("--exclude-tag monochrome", "tags"),
        ("--include-tag monochrome", "tags"),
        ("--labels tag:monochrome", "tags"),
        ("--rating g", "rating"),
        ("--min-score 1", "score"),
    ] {
        let output = prep(
            folder,
            &format!("run in -o x.zip {ALL} --metadata posts.jsonl {filter}"),
        );
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{filter}");
        for part in [field, line, "posts.jsonl", "tag_string_general", "score"] {
            assert!(error.contains(part), "{filter}: {part}: {error}");
        }
        assert!(!folder.join("x.zip").exists());
    }
    // Without a filter, no field of the posts is needed.
    ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl"),
    );
    for (bytes, part) in [
        (b"id,rating\n1,g\n".as_slice(), "id,rating"),
        (b"<posts/>", "<posts/>"),
        (b"PK\x03\x04", "zip archive"),
        (b"", "tags"),
    ] {
        write(folder, "posts.jsonl", bytes);
        let output = prep(
            folder,
            &format!("run in -o x.zip {ALL} --metadata posts.jsonl --exclude-tag x"),
        );
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains(part) && error.contains("known forms"),
            "{error}"
        );
    }
}

#[test]
fn posts_without_a_field_are_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut posts = String::new();
    for id in 1_000_001..1_000_008 {
        write(folder, &format!("in/{id}.png"), &image());
        let tags = if id > 1_000_003 {
            Value::Null
        } else {
            "solo".into()
        };
        posts += &format!("{}\n", json!({"id": id, "tags": tags, "rating": "g"}));
    }
    write(folder, "posts.jsonl", posts.as_bytes());
    let text = ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl --exclude-tag comic"),
    );
    assert_eq!(
        kept(folder, "x"),
        set(&["1000001.png", "1000002.png", "1000003.png"])
    );
    let gap =
        "4 posts of the metadata without tags in a known form: 1000004, 1000005, 1000006, ...";
    assert!(text.contains(gap), "{text}");
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    assert_eq!(input(&lines, "1000004.png")["reason"], "metadata");
    // A field that no filter uses may be missing.
    ok(
        folder,
        &format!("run in -o x.zip {ALL} --metadata posts.jsonl --rating g"),
    );
    assert_eq!(kept(folder, "x").len(), 7);
}

#[test]
fn sidecars_lie_beside_images_in_folders_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = image();
    let files: Vec<(&str, &[u8])> = vec![
        ("a.png", &png),
        ("a.json", br#"{"rating": "g", "tag_string": "solo"}"#),
        ("b.png", &png),
        ("b.png.json", br#"{"rating": "e", "tags": ["solo"]}"#),
        ("c.png", &png),
        ("c.txt", b"solo, long hair, rating:general"),
        ("d.png", &png),
        ("d.txt", b"monochrome, rating:general"),
        ("e.png", &png),
        ("f.png", &png),
        ("f.json", b"{"),
    ];
    for (name, bytes) in &files {
        write(folder, &format!("in/{name}"), bytes);
    }
    write(folder, "in/g.zip", &zip(&files));
    // Frames follow the sidecar of their archive.
    write(folder, "in/7654321.zip", &zip(&[("000000.png", &png)]));
    write(
        folder,
        "in/7654321.zip.json",
        br#"{"rating": "e", "tags": "solo"}"#,
    );
    write(folder, "in/7654322.zip", &zip(&[("000000.png", &png)]));
    write(
        folder,
        "in/7654322.json",
        br#"{"rating": "g", "tags": "solo"}"#,
    );
    let run =
        format!("run in -o x.zip {ALL} --metadata sidecar --rating g --exclude-tag monochrome");
    let text = ok(folder, &run);
    assert_eq!(
        kept(folder, "x"),
        set(&[
            "a.png",
            "c.png",
            "g.zip/a.png",
            "g.zip/c.png",
            "7654322.zip/000000.png"
        ])
    );
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let fate = |name: &str| input(&lines, name)["reason"].as_str().unwrap().to_owned();
    assert_eq!(
        [
            "b.png",
            "d.png",
            "e.png",
            "f.png",
            "a.json",
            "7654321.zip/000000.png"
        ]
        .map(fate),
        [
            "metadata",
            "metadata",
            "no_post",
            "no_post",
            "not_a_picture",
            "metadata"
        ]
    );
    assert!(text.contains("4 without a post"), "{text}");

    // The archive as an input of its own, with an image as another one.
    ok(
        folder,
        &format!("run in/g.zip in/a.png -o y.zip {ALL} --metadata sidecar --rating g"),
    );
    assert_eq!(
        kept(folder, "y"),
        set(&["g.zip/a.png", "g.zip/c.png", "g.zip/d.png", "a.png/a.png"])
    );
    write(folder, "bare/a.png", &png);
    let output = prep(
        folder,
        &format!("run bare -o z.zip {ALL} --metadata sidecar --rating g"),
    );
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("NAME.json"), "{error}");
}

#[test]
fn labels_come_from_the_same_posts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = image();
    let posts = "{\"id\": 2, \"tags\": \"red\"}\n{\"id\": 1000001, \"tags\": [\"Blue Hair\"]}\n";
    write(folder, "posts.jsonl", posts.as_bytes());
    write(folder, "in/1000001_p2.png", &png);
    write(folder, "in/2.png", &png);
    write(folder, "in/7654321.zip", &zip(&[("000002.png", &png)]));
    let run = format!("run in -o x.zip {ALL} --metadata posts.jsonl --labels");
    let mut command = common::command(folder, &run);
    let output = command.arg("tag:blue hair,red").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = manifest(&folder.join("x.manifest.jsonl"));
    let label = |name: &str| {
        let line = lines
            .iter()
            .find(|line| line["source"] == name && line["face"] == 0);
        line.unwrap()["label"].as_u64().unwrap()
    };
    assert_eq!(label("1000001_p2.png"), 0);
    assert_eq!(label("2.png"), 1);
    assert_eq!(label("7654321.zip/000002.png"), 2);
}
