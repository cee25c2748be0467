//! Compares the pixels of generated files with those of libjpeg-turbo 2.1.5 (`djpeg`), kept as checksums and mean
//! colors.

use crate::encoder::Spec;
use crate::specs::{case, quarters};
use decode::{DecodeOptions, decode};

/// Printed by `cargo run -p decode --example jpeg_parity -- --golden`.
const GOLDEN: &str = include_str!("../data/jpeg-golden.txt");

#[test]
fn generated_files_have_the_pixels_of_libjpeg_turbo() {
    let (mut n_exact, mut n_files) = (0, 0);
    for line in GOLDEN.lines() {
        let [number, checksum, colors] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a golden line of an unknown form: {line}");
        };
        let case = case(number.parse().unwrap());
        let pixels = decode(&case.spec.encode(), &DecodeOptions::default())
            .unwrap_or_else(|e| panic!("{number}, {}: {e}", case.class))
            .image
            .into_raw();
        n_files += 1;
        if format!("{:08x}", crc32fast::hash(&pixels)) == checksum {
            n_exact += 1;
            continue;
        }
        // Files of common structure are decoded by zune-jpeg, whose rounding differs.
        assert!(has_common_sampling(&case.spec), "{number}, {}", case.class);
        let found = quarters(&pixels, case.spec.width, case.spec.height);
        for (i, &found) in found.iter().enumerate() {
            let expected = u8::from_str_radix(&colors[2 * i..2 * i + 2], 16).unwrap();
            assert!(
                found.abs_diff(expected) <= 2,
                "{number}, {}: {found}, libjpeg-turbo has {expected}",
                case.class
            );
        }
    }
    assert_eq!(n_files, 160);
    assert!(n_exact >= 120, "{n_exact} of {n_files} files are exact");
}

fn has_common_sampling(spec: &Spec) -> bool {
    let [first, others @ ..] = spec.components.as_slice() else {
        return false;
    };
    first.h.max(first.v) <= 2 && others.iter().all(|c| (c.h, c.v) == (1, 1))
}

/// CMYK is stored inverted also without the Adobe marker. The checksum is that of `convert("RGB")` in Pillow 12.
#[test]
fn inks_without_marker_are_those_of_pillow() {
    let spec = Spec::new((37, 29), &[(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)]);
    let common = decode(&spec.encode(), &DecodeOptions::default())
        .unwrap()
        .image;
    let exact = decode(&spec.with_scan_each().encode(), &DecodeOptions::default()).unwrap();
    assert_eq!(crc32fast::hash(&exact.image), 0xbab5_859b);
    for (common, exact) in common.iter().zip(exact.image.iter()) {
        assert!(common.abs_diff(*exact) <= 3, "{common} beside {exact}");
    }
}
