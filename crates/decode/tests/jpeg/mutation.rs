//! Damaged files never panic, and end in an image or an error.

use crate::encoder::{Rng, Spec};
use crate::specs::case;
use decode::{DecodeOptions, decode, decode_stored, read_header};

/// Changes a file at random: bytes, bits, cuts, repetitions, markers.
fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(4) {
        let n = bytes.len() as u32;
        if n < 8 {
            return;
        }
        let at = (2 + rng.below(n - 2)) as usize;
        // The headers are a small part of the file; half of the changes go there.
        let at = if rng.below(2) == 0 {
            at.min(2 + at % 330)
        } else {
            at
        };
        match rng.below(8) {
            0 | 1 => bytes[at] = rng.below(256) as u8,
            2 | 3 => bytes[at] ^= 1 << rng.below(8),
            4 => bytes[at] = [0, 0xff, 0x7f, 0x80, 0x11, 0x44][rng.below(6) as usize],
            5 => bytes.truncate(at),
            6 => {
                let end = (at + rng.below(20) as usize).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let marker = 0xc0 + rng.below(64) as u8;
                bytes.splice(at..at, [0xff, marker]);
            }
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    let options = DecodeOptions {
        max_pixels: 1 << 16,
        ..DecodeOptions::default()
    };
    let mut rng = Rng(3);
    let two = Spec::new((33, 21), &[(1, 1, 1), (2, 1, 1)]);
    let mut two_adobe = two.clone().with_progression(true);
    two_adobe.adobe = Some(0);
    let mut sources: Vec<Vec<u8>> = (0..120).map(|n| case(n).spec.encode()).collect();
    sources.extend([two.encode(), two_adobe.encode()]);
    let (mut n_decoded, mut n_refused) = (0, 0);
    for source in &sources {
        for _ in 0..150 {
            let mut bytes = source.clone();
            mutate(&mut bytes, &mut rng);
            match decode(&bytes, &options) {
                Ok(_) => n_decoded += 1,
                Err(error) => {
                    n_refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
            if read_header(&bytes).is_ok_and(|h| h.width * h.height <= 1 << 16) {
                let _ = decode_stored(&bytes);
            }
        }
    }
    assert!(
        n_decoded > 500 && n_refused > 500,
        "{n_decoded} decoded, {n_refused} refused"
    );
}
