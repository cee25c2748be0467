//! Tests of the decisions: each reason to drop an image or a face, and the choice among several copies.

use super::*;
use crate::config::Limit;
use crate::record::{FaceRecord, Outcome};
use decode::Format;
use dedup::{ImageHash, THUMB_SIDE, Thumb};
use detect::crop::{CropAffine, CropPlan};
use std::collections::BTreeMap;

/// An input with measurements that pass every filter, and the number of the drawing that it shows.
struct Input {
    drawing: u32,
    image: ImageRecord<()>,
}

/// The thumb of a drawing of smooth waves; drawings with different numbers look different.
fn thumb(drawing: u32) -> Thumb {
    let phase = f64::from(drawing) * 2.3;
    let wave = |i: usize, frequency: f64| ((i as f64 * frequency + phase).sin() + 1.0) * 120.0;
    let rgb: Vec<u8> = (0..THUMB_SIDE * THUMB_SIDE)
        .flat_map(|i| {
            let (x, y) = (i % THUMB_SIDE, i / THUMB_SIDE);
            let (a, b) = (wave(x, 0.05 + 0.03 * phase), wave(y, 0.11 + 0.02 * phase));
            [(a + b) as u8 / 2, a as u8, b as u8]
        })
        .collect();
    Thumb::new(&rgb, THUMB_SIDE, THUMB_SIDE)
}

/// A face of 400 x 400 pixels with a finished crop.
fn face() -> FaceRecord<()> {
    let affine = CropAffine {
        x: 160,
        y: 90,
        side: 680,
        resolution: 512,
    };
    FaceRecord {
        rect: [300.0, 300.0, 700.0, 700.0],
        score: 0.9,
        crop: Some(CropRecord {
            plan: CropPlan {
                affine,
                reflected: 0.0,
                shifted: 0.0,
                upscale: 512.0 / 680.0,
                is_upscaled: false,
            },
            blur: 0.2,
            effective_resolution: 1.0,
            hash: ImageHash::new(&thumb(0)),
            mean_rgb: [0; 3],
            thumb: (),
            png: (),
            png_level: 0,
        }),
    }
}

fn input(drawing: u32) -> Input {
    let thumb = thumb(drawing);
    Input {
        drawing,
        image: ImageRecord {
            width: 1000,
            height: 1200,
            format: Format::Png,
            jpeg: None,
            is_lossless: true,
            chroma: 30.0,
            blank: 0.1,
            text: 0.0,
            effective_resolution: 1.0,
            hash: ImageHash::new(&thumb),
            mean_rgb: thumb.mean_rgb(),
            thumb: (),
            faces: vec![face()],
        },
    }
}

/// The only face of an input.
fn only_face(input: &mut Input) -> &mut FaceRecord<()> {
    &mut input.image.faces[0]
}

fn only_crop(input: &mut Input) -> &mut CropRecord<()> {
    only_face(input).crop.as_mut().unwrap()
}

/// Records of the inputs. The offset of each blob is the number of the drawing, from which `decide_with` draws the
/// thumb.
fn records(inputs: Vec<Input>) -> Vec<Option<Record>> {
    let record = |(i, input): (usize, Input)| {
        let blob = Blob {
            offset: u64::from(input.drawing),
            length: 0,
            crc: 0,
        };
        let mut image = input.image.map_blobs(|()| blob);
        for crop in image.faces.iter_mut().filter_map(|face| face.crop.as_mut()) {
            crop.hash = image.hash;
            crop.mean_rgb = image.mean_rgb;
        }
        Some(Record {
            source: format!("{i}.png"),
            stamp: String::new(),
            sha256: format!("{:064x}", input.drawing),
            outcome: Outcome::Image(Box::new(image)),
        })
    };
    inputs.into_iter().enumerate().map(record).collect()
}

fn decide_records(records: &[Option<Record>], config: &CurationConfig) -> Vec<Decision> {
    decide_with(records, config, &ExcludeList::default())
}

fn decide_with(
    records: &[Option<Record>],
    config: &CurationConfig,
    exclude: &ExcludeList,
) -> Vec<Decision> {
    let refused = vec![None; records.len()];
    let read = |blob: &Blob| Ok(thumb(blob.offset as u32).as_bytes().to_vec());
    let decider = Decider {
        records,
        refused: &refused,
        exclude,
        config,
        read: &read,
    };
    decider.decide().unwrap().inputs
}

fn decide(inputs: Vec<Input>, config: &CurationConfig) -> Vec<Decision> {
    decide_records(&records(inputs), config)
}

/// The reason for which an input is dropped.
fn reason(decision: &Decision) -> Option<Reason> {
    decision.drop.as_ref().map(|(reason, _)| *reason)
}

/// The decision on one input after `change` has modified its measurements.
fn decide_changed(change: impl FnOnce(&mut Input), config: &CurationConfig) -> Decision {
    let mut changed = input(1);
    change(&mut changed);
    decide(vec![changed], config).remove(0)
}

#[test]
fn an_image_that_passes_every_filter_is_kept_with_its_face() {
    let decision = decide_changed(|_| {}, &CurationConfig::default());
    assert_eq!(decision.drop, None);
    assert_eq!(decision.faces, [FaceDecision::default()]);
    assert_eq!(decision.group, None);
}

#[test]
fn each_filter_drops_beyond_its_limit_and_keeps_at_it() {
    type Change = fn(&mut Input, f64);
    let cases: [(Reason, f64, f64, Change); 7] = [
        (Reason::Grayscale, 8.0, 7.9, |i, v| i.image.chroma = v),
        (Reason::Blank, 0.985, 0.99, |i, v| i.image.blank = v),
        (Reason::Text, 0.4, 0.41, |i, v| i.image.text = v),
        (Reason::Aspect, 5.0, 5.2, |i, v| {
            i.image.height = (v * 1000.0) as u32;
        }),
        (Reason::Blur, 0.7, 0.71, |i, v| only_crop(i).blur = v),
        // Detail is 680 / 512 times the effective resolution.
        (Reason::Upscaled, 0.3765, 0.37, |i, v| {
            only_crop(i).effective_resolution = v;
        }),
        (Reason::Small, 24.0, 23.0, |i, v| {
            only_face(i).rect = [500.0, 500.0, 500.0 + v as f32, 600.0];
        }),
    ];
    // With the default `max_upscale`, a face of 24 pixels would be dropped for its enlargement.
    let mut config = CurationConfig::default();
    config.crop.max_upscale = 100.0;
    for (expected, at_limit, beyond, change) in cases {
        let decide_at = |value: f64| decide_changed(|input| change(input, value), &config);
        assert_eq!(decide_at(at_limit).drop, None, "{expected:?} at its limit");
        let decision = decide_at(beyond);
        assert_eq!(reason(&decision), Some(expected));
        assert_eq!(decision.faces[0].drop, decision.drop, "{expected:?}");
    }
}

#[test]
fn a_filter_that_is_off_drops_nothing() {
    let mut config = CurationConfig::default();
    config.filters.chroma = Limit(None);
    config.filters.blur = Limit(None);
    let decision = decide_changed(
        |input| {
            input.image.chroma = 0.0;
            only_crop(input).blur = 1.0;
        },
        &config,
    );
    assert_eq!(decision.drop, None);
}

#[test]
fn the_crop_must_fit_the_image_without_much_enlargement() {
    let config = CurationConfig::default();
    let small_face = |input: &mut Input| only_face(input).rect = [500.0, 500.0, 550.0, 550.0];
    let decision = decide_changed(small_face, &config);
    assert_eq!(reason(&decision), Some(Reason::Upscaled));
    // The crop of 512 pixels is made from a square of 1.7 times the face's 50 pixels.
    let enlargement = decision.faces[0].enlargement.unwrap();
    assert!((enlargement - 512.0 / 85.0).abs() < 0.01, "{enlargement}");

    let small_image = |input: &mut Input| {
        (input.image.width, input.image.height) = (200, 200);
        only_face(input).rect = [50.0, 50.0, 150.0, 150.0];
    };
    assert_eq!(
        reason(&decide_changed(small_image, &config)),
        Some(Reason::Small)
    );

    let whole_image = |input: &mut Input| only_face(input).rect = [0.0, 0.0, 1000.0, 1200.0];
    assert_eq!(
        reason(&decide_changed(whole_image, &config)),
        Some(Reason::Border)
    );
}

#[test]
fn enlarged_crops_are_kept_and_flagged_on_request() {
    let mut config = CurationConfig::default();
    config.crop.upscaled_ok = true;
    let soft = |input: &mut Input| only_crop(input).effective_resolution = 0.2;
    let decision = decide_changed(soft, &config);
    assert_eq!(decision.drop, None);
    assert!(decision.faces[0].is_upscaled);
}

#[test]
fn a_kept_face_without_a_crop_waits_for_its_measurement() {
    // Blur and detail are unknown, so the face is not dropped.
    let decision = decide_changed(
        |input| only_face(input).crop = None,
        &CurationConfig::default(),
    );
    assert_eq!(
        (decision.drop, decision.faces[0].drop.clone()),
        (None, None)
    );
}

#[test]
fn images_without_faces_and_faces_below_the_threshold_are_no_face() {
    let mut config = CurationConfig::default();
    let decision = decide_changed(|input| input.image.faces.clear(), &config);
    assert_eq!(reason(&decision), Some(Reason::NoFace));
    assert_eq!(decide_changed(|_| {}, &config).drop, None);
    config.detect.threshold = Some(0.95);
    let decision = decide_changed(|_| {}, &config);
    assert_eq!(decision.drop, Some((Reason::NoFace, "score 0.900".into())));
}

#[test]
fn max_faces_counts_kept_faces_only() {
    let mut config = CurationConfig::default();
    config.detect.max_faces = 1;
    config.dedup.faces = false;
    let decision = decide_changed(
        |input| {
            let mut blurred = face();
            blurred.crop.as_mut().unwrap().blur = 0.9;
            input.image.faces = vec![blurred, face(), face()];
        },
        &config,
    );
    let reasons: Vec<Option<Reason>> = decision
        .faces
        .iter()
        .map(|face| face.drop.as_ref().map(|(reason, _)| *reason))
        .collect();
    assert_eq!(reasons, [Some(Reason::Blur), None, Some(Reason::MaxFaces)]);
    assert_eq!(decision.drop, None);
}

#[test]
fn the_image_gets_the_common_reason_of_its_faces() {
    let mut blurred = face();
    blurred.crop.as_mut().unwrap().blur = 0.9;
    let mut tiny = face();
    tiny.rect = [5.0, 5.0, 15.0, 15.0];
    let config = CurationConfig::default();
    for (faces, expected) in [
        (vec![blurred.clone()], (Reason::Blur, "blur 0.90")),
        (
            vec![blurred.clone(), blurred.clone()],
            (Reason::Blur, "all 2 faces"),
        ),
        (
            vec![blurred.clone(), tiny, blurred],
            (
                Reason::NoFaceKept,
                "none of 3 faces is kept, most often for blur",
            ),
        ),
    ] {
        let decision = decide_changed(|input| input.image.faces = faces, &config);
        let (reason, detail) = decision.drop.unwrap();
        assert_eq!((reason, detail.as_str()), expected);
    }
}

#[test]
fn unread_and_rejected_inputs_keep_their_reason() {
    let mut records = records(vec![input(1), input(2)]);
    records[0].as_mut().unwrap().outcome = Outcome::Failed {
        reason: Reason::Truncated,
        detail: "cut".into(),
    };
    records[1] = None;
    let refused = [None, Some((Reason::NoPost, "no post".to_owned()))];
    let decider = Decider {
        records: &records,
        refused: &refused,
        exclude: &ExcludeList::default(),
        config: &CurationConfig::default(),
        read: &|_| Err(io::ErrorKind::NotFound.into()),
    };
    let inputs = decider.decide().unwrap().inputs;
    assert_eq!(inputs[0].drop, Some((Reason::Truncated, "cut".into())));
    assert_eq!(inputs[1].drop, refused[1]);
}

#[test]
fn the_exclusion_list_comes_before_every_filter() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hash = ImageHash::new(&thumb(2)).to_hex();
    std::fs::write(
        file.path(),
        format!("sha256:{:064x}\tby content\nphash:{hash}\tby hash\n", 1),
    )
    .unwrap();
    let exclude = ExcludeList::read(file.path()).unwrap();
    let mut gray = input(1);
    gray.image.chroma = 0.0;
    let records = records(vec![gray, input(2), input(3)]);
    let decisions = decide_with(&records, &CurationConfig::default(), &exclude);
    let drops: Vec<_> = decisions.iter().map(|decision| &decision.drop).collect();
    assert_eq!(*drops[0], Some((Reason::Excluded, "by content".into())));
    assert_eq!(*drops[1], Some((Reason::Excluded, "by hash".into())));
    assert_eq!(*drops[2], None);
}

#[test]
fn of_two_copies_the_better_one_is_kept() {
    let mut small = input(1);
    small.image.effective_resolution = 0.5;
    let decisions = decide(vec![small, input(1), input(2)], &CurationConfig::default());
    let drops: BTreeMap<usize, Reason> = decisions
        .iter()
        .enumerate()
        .filter_map(|(i, decision)| Some((i, reason(decision)?)))
        .collect();
    assert_eq!(drops, BTreeMap::from([(0, Reason::Duplicate)]));
    assert_eq!(decisions[0].drop.as_ref().unwrap().1, "a copy of 1.png");
    assert_eq!(decisions[0].faces[0].drop, decisions[0].drop);
    let group = decisions[0].group.as_ref().unwrap();
    assert_eq!(group.best, Subject::image(1));
    assert_eq!(group.comparison.as_ref().unwrap().with, Subject::image(1));
    assert_eq!(decisions[1].group.as_ref().unwrap().comparison, None);
    assert_eq!(decisions[2].group, None);
}

#[test]
fn a_copy_of_a_dropped_image_is_kept() {
    let mut blurred = input(1);
    only_crop(&mut blurred).blur = 0.9;
    let mut small = input(1);
    small.image.effective_resolution = 0.5;
    let decisions = decide(vec![blurred, small], &CurationConfig::default());
    assert_eq!(reason(&decisions[0]), Some(Reason::Blur));
    assert_eq!(decisions[1].drop, None);
}

#[test]
fn copies_among_faces_are_found_where_images_are_not_compared() {
    let mut config = CurationConfig::default();
    let two = |config: &CurationConfig| decide(vec![input(1), input(1)], config);
    config.dedup.images = false;
    let decisions = two(&config);
    assert_eq!(
        decisions[1].drop,
        Some((Reason::Duplicate, "a copy of 0.png face 0".into()))
    );
    assert_eq!(
        decisions[1].faces[0].group.as_ref().unwrap().best,
        Subject::face(0, 0)
    );
    config.dedup.faces = false;
    assert!(two(&config).iter().all(|decision| decision.drop.is_none()));
}

#[test]
fn a_damaged_thumb_names_its_input() {
    let records = records(vec![input(1), input(1)]);
    let decider = Decider {
        records: &records,
        refused: &[None, None],
        exclude: &ExcludeList::default(),
        config: &CurationConfig::default(),
        read: &|_| Ok(vec![0; 5]),
    };
    let error = decider.decide().unwrap_err();
    assert!(matches!(error, DecideError::Damaged(0 | 1, _)), "{error}");
}
