//! The embedded detector on images that are in no training set.

use detect::embedded::EmbeddedDetector;
use detect::{DetectOptions, Detector, DetectorSpec, Face, NamedImage};
use image::{Rgb, RgbImage};

fn found(image: &RgbImage, options: &DetectOptions) -> Vec<Face> {
    let detector = EmbeddedDetector::new().unwrap();
    let named = NamedImage {
        image,
        name: "drawn",
    };
    detector.detect(&named, options).unwrap()
}

#[test]
fn images_without_faces_have_none() {
    let options = DetectOptions::default();
    for (width, height) in [(1, 1), (7, 300), (640, 480), (33, 31)] {
        let flat = RgbImage::from_pixel(width, height, Rgb([200, 180, 160]));
        assert_eq!(found(&flat, &options), []);
    }
    let stripes = RgbImage::from_fn(300, 200, |x, y| {
        Rgb(if (x / 9 + y / 23) % 2 == 0 {
            [240, 240, 250]
        } else {
            [40, 90, 60]
        })
    });
    assert_eq!(found(&stripes, &options), []);
}

#[test]
fn an_empty_image_is_no_error() {
    assert_eq!(found(&RgbImage::new(0, 0), &DetectOptions::default()), []);
}

#[test]
fn every_box_lies_inside_and_scores_fall() {
    let image = RgbImage::from_fn(200, 150, |x, y| {
        Rgb([
            (x * 7 % 256) as u8,
            (y * 11 % 256) as u8,
            ((x * y) % 256) as u8,
        ])
    });
    let options = DetectOptions {
        threshold: Some(0.0),
        min_face: 0.0,
        ..DetectOptions::default()
    };
    let faces = found(&image, &options);
    assert!(!faces.is_empty());
    for face in &faces {
        let [x0, y0, x1, y1] = face.rect;
        assert!(
            0.0 <= x0 && x0 < x1 && x1 <= 200.0 && 0.0 <= y0 && y0 < y1 && y1 <= 150.0,
            "{face:?}"
        );
        assert!((0.0..=1.0).contains(&face.score));
    }
    assert!(faces.windows(2).all(|pair| pair[0].score >= pair[1].score));
    // A second detector finds the same.
    assert_eq!(found(&image, &options), faces);
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let error = EmbeddedDetector::from_safetensors(b"no weights").unwrap_err();
    assert!(error.to_string().contains("safetensors"), "{error}");
    assert!(EmbeddedDetector::weights().len() <= 2_000_000);
    assert_eq!(DetectorSpec::Embedded.load().unwrap().name(), "embedded");
}
