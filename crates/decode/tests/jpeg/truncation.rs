//! Tests that cut files are reported as truncated, whatever was put after the cut, and that complete files are accepted
//! with anything after them.

use crate::encoder::Spec;
use decode::{DecodeError, DecodeOptions, decode, decode_stored};

const YCC_420: [(u8, usize, usize); 3] = [(1, 2, 2), (2, 1, 1), (3, 1, 1)];
const YCC_444: [(u8, usize, usize); 3] = [(1, 1, 1), (2, 1, 1), (3, 1, 1)];
const SIZE: (usize, usize) = (150, 130);

fn with_restarts(mut spec: Spec) -> Spec {
    spec.restart = 5;
    spec
}

fn inks() -> Spec {
    let mut spec = Spec::new(SIZE, &[(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]);
    spec.adobe = Some(2);
    spec
}

/// One file of each structure, with its name.
fn files() -> Vec<(&'static str, Spec)> {
    let new = |components| Spec::new(SIZE, components);
    vec![
        ("gray", new(&[(1, 1, 1)])),
        ("4:4:4", new(&YCC_444)),
        ("4:2:0", new(&YCC_420)),
        ("4:2:0, restarts", with_restarts(new(&YCC_420))),
        ("4:2:0, a scan each", new(&YCC_420).with_scan_each()),
        (
            "4:4:4, a scan each, restarts",
            with_restarts(new(&YCC_444).with_scan_each()),
        ),
        ("narrow luma", new(&[(1, 1, 1), (2, 2, 1), (3, 2, 1)])),
        ("progressive", new(&YCC_420).with_progression(true)),
        (
            "progressive, restarts",
            with_restarts(new(&YCC_444).with_progression(false)),
        ),
        (
            "progressive gray",
            new(&[(1, 1, 1)]).with_progression(false),
        ),
        ("four inks", inks()),
    ]
}

#[track_caller]
fn assert_truncated(bytes: &[u8], what: &str) {
    match decode(bytes, &DecodeOptions::default()) {
        Err(DecodeError::Truncated(_)) => {}
        Ok(_) => panic!("{what}: decoded"),
        Err(other) => panic!("{what}: {other:?}"),
    }
    assert!(decode_stored(bytes).is_err(), "{what}: decoded as stored");
}

#[track_caller]
fn assert_whole(bytes: &[u8], what: &str) {
    if let Err(error) = decode(bytes, &DecodeOptions::default()) {
        panic!("{what}: {error}");
    }
    if let Err(error) = decode_stored(bytes) {
        panic!("{what} as stored: {error}");
    }
}

#[test]
fn cut_files_are_truncated() {
    for (name, spec) in files() {
        let whole = spec.encode();
        assert_whole(&whole, name);
        for percent in 40..=99 {
            let cut = &whole[..whole.len() * percent / 100];
            let missing = whole.len() - cut.len();
            let marker = [0xff, 0xd9];
            let what = |tail| format!("{name}, {percent} % and {tail}");
            assert_truncated(cut, &what("nothing"));
            assert_truncated(&[cut, &marker].concat(), &what("an end marker"));
            for n_zeros in [1, 7, missing, missing + 512, 60_000] {
                let zeros = vec![0; n_zeros];
                assert_truncated(&[cut, &zeros].concat(), &what("zeros"));
                assert_truncated(
                    &[cut, &zeros, &marker].concat(),
                    &what("zeros, an end marker"),
                );
            }
        }
    }
}

/// A sequential file is complete without its end marker, a progressive one is not, as further scans may be missing.
/// Whatever else is missing at the end, a file never decodes to other pixels.
#[test]
fn a_sequential_file_needs_no_end_marker() {
    for (name, mut spec) in files() {
        for seed in 1..=4 {
            spec.seed = seed;
            let whole = spec.encode();
            let pixels = decode(&whole, &DecodeOptions::default()).unwrap().image;
            let stored = decode_stored(&whole).unwrap();
            for missing in 1..=40 {
                let cut = &whole[..whole.len() - missing];
                let what = format!("{name}, seed {seed}, {missing} bytes missing");
                match decode(cut, &DecodeOptions::default()) {
                    Ok(found) => {
                        assert!(!spec.is_progressive, "{what}: decoded");
                        assert_eq!(found.image, pixels, "{what}");
                        assert_eq!(decode_stored(cut).unwrap(), stored, "{what}");
                    }
                    Err(DecodeError::Truncated(_)) => {
                        assert!(spec.is_progressive || missing > 2, "{what}: truncated");
                    }
                    Err(other) => panic!("{what}: {other:?}"),
                }
                // Several zeros without an end marker are never accepted as the end of an image.
                for n_zeros in [2, 3, 8, 40, 600] {
                    let filled = [cut, &vec![0; n_zeros]].concat();
                    assert_truncated(&filled, &format!("{what}, {n_zeros} zeros"));
                }
                if missing > 4 {
                    let marked = [cut, &[0xff, 0xd9]].concat();
                    assert_truncated(&marked, &format!("{what}, an end marker"));
                }
            }
        }
    }
}

/// Files that are cut between two scans and then get an end marker: components or bits of coefficients are missing.
#[test]
fn missing_scans_are_truncated() {
    for (name, spec) in files() {
        for n_scans in 1..spec.scans.len() {
            let mut shorter = spec.clone();
            shorter.scans.truncate(n_scans);
            assert_truncated(&shorter.encode(), &format!("{name}, {n_scans} scans"));
        }
    }
}

/// The end marker of a thumbnail in the EXIF block must not be taken for that of the image.
#[test]
fn a_thumbnail_does_not_end_the_image() {
    let thumbnail = Spec::new((24, 16), &YCC_444).encode();
    for (name, mut spec) in files() {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
        exif.extend_from_slice(&thumbnail);
        spec.segments = vec![0xff, 0xe1];
        spec.segments.extend((exif.len() as u16 + 2).to_be_bytes());
        spec.segments.extend(exif);
        let whole = spec.encode();
        assert_whole(&whole, name);
        let without_marker = &whole[..whole.len() - 2];
        if spec.is_progressive {
            assert_truncated(without_marker, name);
        } else {
            assert_whole(without_marker, name);
        }
        for percent in [5, 10, 50, 70, 90, 99] {
            assert_truncated(&whole[..whole.len() * percent / 100], name);
        }
    }
}

#[test]
fn data_behind_the_end_marker_are_ignored() {
    for (name, spec) in files() {
        let whole = spec.encode();
        let pixels = decode(&whole, &DecodeOptions::default()).unwrap().image;
        let other = Spec::new((40, 30), &YCC_420).encode();
        let noise: Vec<u8> = (0..3000u32).map(|i| (i * i % 251) as u8).collect();
        for tail in [&vec![0; 4096], &noise, &other, &other[..500].to_vec()] {
            let bytes = [&whole, tail.as_slice()].concat();
            let found = decode(&bytes, &DecodeOptions::default()).unwrap();
            assert_eq!(found.image, pixels, "{name}");
        }
    }
}

/// With the Huffman codes of these files a flat area is coded by zeros only, as in files with optimized codes.
#[test]
fn a_flat_bottom_is_whole() {
    for (name, mut spec) in files() {
        for busy_share in [0.0, 0.25, 0.75, 0.95] {
            spec.busy_share = busy_share;
            assert_whole(&spec.encode(), name);
        }
    }
}

#[test]
fn fill_bytes_before_markers_are_allowed() {
    for (name, spec) in files() {
        let mut bytes = spec.encode();
        let end = bytes.len() - 2;
        bytes.splice(end..end, [0xff; 3]);
        assert_whole(&bytes, name);
    }
}
