//! Compares cascade detection with OpenCV, on small cascades written for this test: LBP and Haar (with a tilted
//! feature), stumps and trees.

use std::path::{Path, PathBuf};

use detect::cascade::{Cascade, CascadeOptions};
use detect::{DetectOptions, Detector, NamedImage};
use image::{GrayImage, Luma, RgbImage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    cascade: String,
    options: CascadeOptions,
    n_raw: usize,
    /// Sum of all coordinates, widths and heights of the windows before grouping.
    raw_sum: i64,
    boxes: Vec<[i32; 4]>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The test image: dark discs on a bright background, with a texture.
fn drawn() -> GrayImage {
    let discs = [
        (40, 45, 16),
        (110, 60, 30),
        (175, 40, 22),
        (60, 105, 12),
        (160, 110, 9),
    ];
    GrayImage::from_fn(200, 130, |x, y| {
        let (x, y) = (x as i32, y as i32);
        let disc = |&(cx, cy, r): &(i32, i32, i32)| {
            40 + 190 * ((x - cx).pow(2) + (y - cy).pow(2)) / (r * r)
        };
        let value = discs.iter().map(disc).min().unwrap_or(230).min(230);
        Luma([(value + (x * 7 + y * 13 + x * y) % 23) as u8])
    })
}

/// `opencv_boxes.json` was recorded with OpenCV 4.14 on the same files and the same image.
#[test]
fn boxes_and_windows_are_those_of_opencv() {
    let recorded: Recorded =
        serde_json::from_slice(&std::fs::read(data("opencv_boxes.json")).unwrap()).unwrap();
    assert_eq!(recorded.cases.len(), 12);
    let image = drawn();
    for case in recorded.cases {
        let cascade = Cascade::load(&data(&format!("{}.xml", case.cascade))).unwrap();
        let coordinates = |options: &CascadeOptions| -> Vec<[i32; 4]> {
            let groups = cascade.detect_gray(&image, options).unwrap().groups;
            groups
                .iter()
                .map(|group| group.window)
                .map(|w| [w.x, w.y, w.width, w.height])
                .collect()
        };
        let title = format!("{} {:?}", case.cascade, case.options);
        let raw = coordinates(&CascadeOptions {
            min_neighbors: 0,
            ..case.options
        });
        assert_eq!(raw.len(), case.n_raw, "{title}");
        assert_eq!(
            raw.iter().flatten().map(|&v| i64::from(v)).sum::<i64>(),
            case.raw_sum,
            "{title}"
        );
        if case.options.min_neighbors > 0 {
            let mut boxes = coordinates(&case.options);
            boxes.sort();
            assert_eq!(boxes, case.boxes, "{title}");
        }
    }
}

#[test]
fn faces_are_in_source_pixels_whatever_the_scale() {
    let gray = drawn();
    let image = RgbImage::from_fn(800, 520, |x, y| {
        image::Rgb([gray.get_pixel(x / 4, y / 4).0[0]; 3])
    });
    let cascade = Cascade::load(&data("haar_stumps.xml")).unwrap();
    let named = NamedImage {
        image: &image,
        name: "discs",
    };
    let options = DetectOptions {
        longest_side: Some(200),
        ..DetectOptions::default()
    };
    let faces = cascade.detect(&named, &options).unwrap();
    // The disc of radius 30 at (110, 60); the image is enlarged four times.
    let [x0, y0, x1, y1] = faces[0].rect;
    assert!(
        ((x0 + x1) / 2.0 - 440.0).abs() < 24.0 && ((y0 + y1) / 2.0 - 240.0).abs() < 24.0,
        "{faces:?}"
    );
    assert!(faces.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert!(
        faces
            .iter()
            .all(|face| face.score > 0.0 && face.score < 1.0)
    );

    let best = DetectOptions {
        max_faces: 1,
        ..options.clone()
    };
    assert_eq!(cascade.detect(&named, &best).unwrap(), faces[..1]);
    let none = DetectOptions {
        min_face: 700.0,
        ..options
    };
    assert_eq!(cascade.detect(&named, &none).unwrap(), []);
}

#[test]
fn tiny_images_have_no_faces() {
    let cascade = Cascade::load(&data("lbp_stumps.xml")).unwrap();
    for (width, height) in [(0, 0), (1, 1), (23, 400), (24, 24)] {
        let image = RgbImage::new(width, height);
        let named = NamedImage {
            image: &image,
            name: "tiny",
        };
        assert_eq!(
            cascade.detect(&named, &DetectOptions::default()).unwrap(),
            [],
            "{width} x {height}"
        );
    }
}

#[test]
fn a_cascade_that_accepts_everything_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yes.xml");
    let text = std::fs::read_to_string(data("lbp_stumps.xml")).unwrap();
    std::fs::write(
        &path,
        text.replace(">0.5<", ">-5<").replace(">0.2<", ">-5<"),
    )
    .unwrap();
    let image = RgbImage::new(640, 640);
    let cascade = Cascade::load(&path).unwrap();
    let error = cascade
        .detect(
            &NamedImage {
                image: &image,
                name: "black",
            },
            &DetectOptions::default(),
        )
        .unwrap_err();
    assert!(error.to_string().contains("black"), "{error}");
}
