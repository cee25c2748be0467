//! Tests of packing, writing and verifying: the pixels of NVIDIA's `dataset_tool.py`, and bytes that never change.

mod common;

use std::path::{Path, PathBuf};

use common::{formula_image, write_zip};
use dataset::{
    DatasetOptions, DatasetWriter, Error, Filter, Image, ImageDataset, Label, PackOptions,
    ProblemKind, Source, Transform, WriterOptions, decode, pack, sample_name, verify,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A temporary folder with the images of `a/` and `b/` and their labels.
fn sources() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/pic00.png", "a/pic02.png", "b/pic01.png", "b/pic03.png"] {
        files::write_bytes(
            folder.path().join(name),
            &std::fs::read(data(name)).unwrap(),
        )
        .unwrap();
    }
    let labels = r#"{"labels": [["a/pic00.png", 1], ["a/pic02.png", 0], ["b/pic01.png", 2], ["b/pic03.png", 1]]}"#;
    files::write_bytes(folder.path().join("dataset.json"), labels.as_bytes()).unwrap();
    folder
}

#[test]
fn packed_pixels_are_those_of_the_reference() {
    let sources = sources();
    let source = Source::open(sources.path()).unwrap();
    for (name, transform, filter, size, indices) in [
        (
            "crop_lanczos32",
            Transform::CenterCrop,
            Filter::Lanczos,
            (32, 32),
            &[0, 1, 2, 3][..],
        ),
        (
            "crop_box32",
            Transform::CenterCrop,
            Filter::Box,
            (32, 32),
            &[0, 1, 2, 3],
        ),
        (
            "scale_lanczos32",
            Transform::Scale,
            Filter::Lanczos,
            (32, 32),
            &[0, 1, 2, 3],
        ),
        (
            "wide_lanczos32x24",
            Transform::CenterCropWide,
            Filter::Lanczos,
            (32, 24),
            &[0, 1, 3],
        ),
    ] {
        let out = sources.path().with_extension(format!("{name}.zip"));
        let options = PackOptions {
            transform,
            filter,
            size: Some(size),
            ..Default::default()
        };
        let report = pack(&source, &out, &options, || ()).unwrap();
        let options = DatasetOptions {
            use_labels: true,
            ..Default::default()
        };
        let packed = ImageDataset::open(&out, &options).unwrap();
        std::fs::remove_file(&out).unwrap();

        let names: Vec<_> = (0..packed.len())
            .map(|idx| packed.name(idx).to_owned())
            .collect();
        let expected_names: Vec<_> = indices.iter().map(|&idx| sample_name(idx)).collect();
        assert_eq!(names, expected_names, "{name}");
        assert_eq!(report.dropped.len(), 4 - indices.len(), "{name}");
        let pixels: Vec<u8> = (0..packed.len())
            .flat_map(|idx| packed.image(idx).unwrap().pixels)
            .collect();
        let expected =
            decode(&std::fs::read(data(&format!("expected_{name}.png"))).unwrap()).unwrap();
        assert!(pixels == expected.pixels, "{name}: other pixels");
        assert_eq!(
            packed.raw_label(packed.len() - 1),
            Some(&Label::Class(1)),
            "{name}"
        );
    }
}

#[test]
fn the_same_samples_give_the_same_bytes_whatever_the_threads() {
    let sources = sources();
    let source = Source::open(sources.path()).unwrap();
    let options = PackOptions {
        transform: Transform::CenterCrop,
        size: Some((16, 16)),
        ..Default::default()
    };
    let zips = [1, 4].map(|threads| {
        let out = sources.path().join(format!("{threads}.zip"));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| pack(&source, &out, &options, || ()))
            .unwrap();
        std::fs::read(out).unwrap()
    });
    assert!(zips[0] == zips[1]);
}

#[test]
fn bad_images_are_dropped_with_a_reason_and_the_rest_is_packed() {
    let sources = sources();
    files::write_bytes(sources.path().join("a/empty.png"), b"").unwrap();
    files::write_bytes(sources.path().join("b/page.jpg"), b"<html>not here</html>").unwrap();
    let out = sources.path().join("out.zip");
    let options = PackOptions {
        size: Some((8, 8)),
        ..Default::default()
    };
    let report = pack(
        &Source::open(sources.path()).unwrap(),
        &out,
        &options,
        || (),
    )
    .unwrap();
    assert_eq!(report.written.n_images, 4);
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(dropped, ["a/empty.png", "b/page.jpg"]);
    assert!(
        verify(&Source::open(&out).unwrap(), || ())
            .unwrap()
            .is_good()
    );
}

#[test]
fn images_of_different_sizes_need_a_size() {
    let sources = sources();
    let out = sources.path().join("out.zip");
    let error = pack(
        &Source::open(sources.path()).unwrap(),
        &out,
        &PackOptions::default(),
        || (),
    )
    .unwrap_err();
    assert!(error.to_string().contains("a/pic02.png"), "{error}");
    assert!(!out.exists());
}

#[test]
fn dataset_json_comes_last_and_says_null_without_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.zip");
    let mut writer = DatasetWriter::create(&path, &WriterOptions::default()).unwrap();
    let image = formula_image(4, 3, 0);
    assert_eq!(
        writer.add(7, &image, None).unwrap(),
        "00000/img00000007.png"
    );
    assert_eq!(
        writer.add(12_345, &image, Some(Label::Class(1))).unwrap(),
        "00012/img00012345.png"
    );
    let summary = writer.finish().unwrap();
    assert_eq!(
        (summary.n_images, summary.shape, summary.has_labels),
        (2, [3, 4, 4], false)
    );
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
    let entry = archive.by_index(2).unwrap();
    assert_eq!(entry.name().unwrap(), "dataset.json");
    assert_eq!(
        std::io::read_to_string(entry).unwrap(),
        r#"{"labels":null}"#
    );
}

#[test]
fn labels_of_both_forms_come_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, labels) in [
        ("class.zip", vec![Label::Class(2), Label::Class(0)]),
        (
            "vector.zip",
            vec![
                Label::Vector(vec![0.1, -3.5]),
                Label::Vector(vec![1e-7, 0.0]),
            ],
        ),
    ] {
        let path = folder.path().join(name);
        write_zip(
            &path,
            4,
            &labels.iter().cloned().map(Some).collect::<Vec<_>>(),
        );
        let options = DatasetOptions {
            use_labels: true,
            ..Default::default()
        };
        let dataset = ImageDataset::open(&path, &options).unwrap();
        assert_eq!(
            (dataset.raw_label(0), dataset.raw_label(1)),
            (Some(&labels[0]), Some(&labels[1]))
        );
    }
}

#[test]
fn what_would_break_the_contract_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.zip");
    let mut writer = DatasetWriter::create(&path, &WriterOptions::default()).unwrap();
    writer.add(3, &formula_image(8, 3, 0), None).unwrap();
    for (idx, image) in [
        (4, formula_image(4, 3, 0)),
        (4, formula_image(8, 1, 0)),
        (3, formula_image(8, 3, 0)),
    ] {
        assert!(matches!(
            writer.add(idx, &image, None),
            Err(Error::Write(_))
        ));
    }
    drop(writer);
    let empty = DatasetWriter::create(&path, &WriterOptions::default()).unwrap();
    assert!(matches!(empty.finish(), Err(Error::Write(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn more_entries_than_a_plain_zip_can_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.zip");
    let image = dataset::encode_png(&formula_image(4, 1, 9), 0).unwrap();
    let mut writer = DatasetWriter::create(&path, &WriterOptions::default()).unwrap();
    for idx in 0..70_000 {
        writer.add_encoded(idx, &image, None).unwrap();
    }
    writer.finish().unwrap();
    let source = Source::open(&path).unwrap();
    assert_eq!(source.names().len(), 70_000);
    assert_eq!(source.names()[69_999], "00069/img00069999.png");
    assert_eq!(source.read(&source.names()[69_999]).unwrap(), image.bytes());
}

#[test]
fn verify_finds_every_kind_of_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("harmed.zip");
    let good = dataset::encode_png(&formula_image(8, 3, 0), 0)
        .unwrap()
        .bytes()
        .to_vec();
    let other = dataset::encode_png(&formula_image(16, 3, 0), 0)
        .unwrap()
        .bytes()
        .to_vec();
    let alpha = dataset::encode_png(&formula_image(8, 4, 0), 0)
        .unwrap()
        .bytes()
        .to_vec();
    let mut torn = good.clone();
    torn.truncate(60);
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let deflated = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [
        ("0.png", good.as_slice()),
        ("1.png", &good),
        ("2.png", &other),
        ("3.png", &alpha),
        ("4.png", &torn),
        ("montage.txt", b"a stray file"),
        (
            "dataset.json",
            br#"{"labels": [["0.png", 0], ["1.png", 1], ["9.png", 0]]}"#,
        ),
    ] {
        writer.start_file(name, deflated).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap();
    let report = verify(&Source::open(&path).unwrap(), || ()).unwrap();
    assert_eq!((report.n_images, report.shape), (5, Some([3, 8, 8])));
    let found = |name: &str, wanted: fn(&ProblemKind) -> bool| {
        assert!(
            report
                .problems
                .iter()
                .any(|p| p.name == name && wanted(&p.kind)),
            "{name} is not in {report}"
        );
    };
    found("2.png", |k| {
        matches!(
            k,
            ProblemKind::Shape {
                found: [3, 16, 16],
                ..
            }
        )
    });
    found("3.png", |k| matches!(k, ProblemKind::Alpha));
    found("4.png", |k| matches!(k, ProblemKind::Truncated(_)));
    found("2.png", |k| matches!(k, ProblemKind::MissingLabel));
    found("9.png", |k| matches!(k, ProblemKind::StrayLabel));
    found("montage.txt", |k| matches!(k, ProblemKind::StrayFile));
    assert!(
        !report
            .problems
            .iter()
            .any(|p| p.name == "0.png" || p.name == "1.png"),
        "{report}"
    );
}

#[test]
fn a_flipped_byte_is_found_by_its_crc() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    write_zip(&path, 8, &[None, None]);
    assert!(
        verify(&Source::open(&path).unwrap(), || ())
            .unwrap()
            .is_good()
    );
    let mut bytes = std::fs::read(&path).unwrap();
    // A byte of the pixels of the first sample.
    bytes[180] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let report = verify(&Source::open(&path).unwrap(), || ()).unwrap();
    assert_eq!(report.problems.len(), 1, "{report}");
    assert_eq!(report.problems[0].name, sample_name(0));
}

#[test]
fn gray_and_alpha_become_rgb() {
    let sources = tempfile::tempdir().unwrap();
    for (name, channels) in [("gray.png", 1), ("alpha.png", 4), ("rgb.png", 3)] {
        let image: Image = formula_image(8, channels, 1);
        let encoded = dataset::encode_png(&image, 9).unwrap();
        files::write_bytes(sources.path().join(name), encoded.bytes()).unwrap();
    }
    let out = sources.path().join("out.zip");
    let report = pack(
        &Source::open(sources.path()).unwrap(),
        &out,
        &PackOptions::default(),
        || (),
    )
    .unwrap();
    assert_eq!(
        (report.written.n_images, report.written.shape),
        (3, [3, 8, 8])
    );
}
