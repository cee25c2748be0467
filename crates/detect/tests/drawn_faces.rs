//! The embedded detector on faces that are drawn by code, in various poses and sizes.
//!
//! The required numbers of faces are those that the current weights find, less one to three; new weights must reach
//! them.

use detect::embedded::EmbeddedDetector;
use detect::{DetectOptions, Detector, NamedImage, intersection_over_union};
use synthetic_dump::{Pose, posed};

/// Number of images for each pose, each of another character.
const N: u32 = 24;
/// Largest accepted number of false boxes in all images of a pose together.
const MAX_FALSE: u32 = 2;

/// Number of boxes on a face (IoU of at least `min_iou`) and of other boxes, in [`N`] images of `size` pixels.
fn found(size: u32, pose: &Pose, min_iou: f32) -> (u32, u32) {
    let detector = EmbeddedDetector::new().unwrap();
    let options = DetectOptions {
        min_face: 16.0,
        ..DetectOptions::default()
    };
    let (mut n_found, mut n_false) = (0, 0);
    for seed in 0..N {
        let (image, drawn) = posed(seed, size, pose);
        let named = NamedImage {
            image: &image,
            name: "drawn",
        };
        for face in detector.detect(&named, &options).unwrap() {
            if intersection_over_union(&face.rect, &drawn) >= min_iou {
                n_found += 1;
            } else {
                n_false += 1;
            }
        }
    }
    (n_found, n_false)
}

fn check(name: &str, (n_found, n_false): (u32, u32), least: u32) {
    eprintln!("{name}: {n_found} of {N} found, {n_false} false");
    assert!(n_found >= least, "{name}: {n_found} of {N} faces found");
    assert!(n_false <= MAX_FALSE, "{name}: {n_false} boxes on no face");
}

fn must_find(name: &str, pose: &Pose, least: u32) {
    check(name, found(512, pose, 0.5), least);
}

#[test]
fn faces_from_the_front() {
    must_find("front", &Pose::default(), 23);
}

#[test]
fn tilted_heads() {
    for tilt in [-30.0, -15.0, 15.0, 30.0] {
        let pose = Pose {
            tilt,
            ..Pose::default()
        };
        must_find(&format!("tilt {tilt}"), &pose, 23);
    }
}

#[test]
fn half_profiles() {
    for turn in [-2.0, 2.0] {
        let pose = Pose {
            turn,
            ..Pose::default()
        };
        must_find(&format!("turn {turn}"), &pose, 23);
    }
}

#[test]
fn glasses_closed_eyes_and_hats() {
    let plain = Pose::default();
    let glasses = Pose {
        has_glasses: true,
        ..plain
    };
    must_find("glasses", &glasses, 20);
    let asleep = Pose {
        has_closed_eyes: true,
        ..plain
    };
    must_find("closed eyes", &asleep, 23);
    let hat = Pose {
        has_hat: true,
        ..plain
    };
    must_find("hat", &hat, 21);
}

/// A pose whose face is `side` pixels wide in an image of `size`.
fn of_side(side: f32, size: u32) -> Pose {
    // The width of the true box is 2.16 times `half_face`.
    Pose {
        half_face: side / 2.16 / size as f32,
        ..Pose::default()
    }
}

#[test]
fn faces_of_many_sizes() {
    for (side, size, least) in [
        (90.0, 400, 23),
        (240.0, 512, 23),
        (500.0, 1200, 23),
        // Large enough to be shrunk once before all scales.
        (300.0, 2400, 20),
    ] {
        let result = found(size, &of_side(side, size), 0.5);
        check(&format!("{side} px"), result, least);
    }
}

/// Small faces, also in images that are shrunk to half their size. The boxes of small faces extend below the chin, so a
/// smaller IoU suffices.
#[test]
fn small_faces() {
    for (side, size, least) in [
        (24.0, 400, 16),
        (24.0, 1024, 18),
        (32.0, 400, 17),
        (32.0, 1024, 20),
        (40.0, 400, 19),
        (60.0, 400, 20),
    ] {
        let result = found(size, &of_side(side, size), 0.35);
        check(&format!("{side} px in {size}"), result, least);
    }
}
