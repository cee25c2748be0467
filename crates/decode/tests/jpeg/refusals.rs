//! Tests that unsupported kinds of JPEG are refused by a name that a user understands.

use crate::encoder::Spec;
use decode::{DecodeError, DecodeOptions, decode, decode_stored, read_header};

const YCC: [(u8, usize, usize); 3] = [(1, 2, 2), (2, 1, 1), (3, 1, 1)];

/// The reason for which a file is refused, the same for all functions that read it.
#[track_caller]
fn reason(bytes: &[u8]) -> String {
    let Err(DecodeError::Broken(reason)) = decode(bytes, &DecodeOptions::default()) else {
        panic!("decoded, or refused in another way");
    };
    assert_eq!(decode_stored(bytes).unwrap_err().to_string(), reason);
    reason
}

/// A file with a changed frame header. `change` gets the bytes from the SOF marker (ff c1) on: marker at index 1,
/// precision at 4, height at 5..7.
fn with_frame(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = Spec::new((40, 30), &YCC).encode();
    let at = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc1])
        .unwrap();
    change(&mut bytes[at..]);
    bytes
}

#[test]
fn coding_processes_are_refused_by_name() {
    for (marker, name) in [
        (0xc3, "lossless coding"),
        (0xc5, "hierarchical coding"),
        (0xc6, "hierarchical coding"),
        (0xcb, "lossless arithmetic coding"),
        (0xce, "hierarchical coding"),
        (0xf7, "JPEG-LS coding"),
    ] {
        let bytes = with_frame(|frame| frame[1] = marker);
        let reason = reason(&bytes);
        assert!(reason.contains(name) && reason.contains("PNG"), "{reason}");
        assert!(read_header(&bytes).unwrap_err().to_string().contains(name));
    }
    assert!(reason(&with_frame(|frame| frame[4] = 12)).contains("12 bits per sample"));
    assert!(reason(&with_frame(|frame| frame[5..7].fill(0))).contains("(DNL)"));
}

/// A progressive file with an Adobe marker made `zune-jpeg` panic; the same sequential file came out black.
#[test]
fn two_components_are_refused_by_name() {
    for adobe in [None, Some(0), Some(1), Some(2)] {
        for is_progressive in [false, true] {
            let mut spec = Spec::new((40, 30), &[(1, 1, 1), (2, 1, 1)]);
            spec.adobe = adobe;
            if is_progressive {
                spec = spec.with_progression(true);
            }
            assert!(reason(&spec.encode()).contains("2 color components"));
        }
    }
}

#[test]
fn fractional_sampling_is_refused_by_name() {
    let spec = Spec::new((40, 30), &[(1, 3, 1), (2, 2, 1), (3, 1, 1)]);
    let reason = reason(&spec.encode());
    assert!(
        reason.contains("sampled 2 x 1 beside one of 3 x 1"),
        "{reason}"
    );
}
