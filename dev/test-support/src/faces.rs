//! Datasets of computed images, for tests that train.

use std::path::Path;

use dataset::{DatasetWriter, Image, Label, WriterOptions};

/// An RGB image of `side` x `side` pixels with a pattern that depends on `variant`.
pub fn formula_image(side: usize, variant: usize) -> Image {
    let value = |i: usize| (i * (31 + 2 * variant) + variant * 17 + i * i / 7) as u8;
    Image {
        width: side,
        height: side,
        channels: 3,
        pixels: (0..side * side * 3).map(value).collect(),
    }
}

/// Writes a dataset zip of 24 images, [`formula_image`] of variants 0 to 23; with labels, they have classes 0, 1 and 2.
///
/// # Panics
/// When the file cannot be written.
pub fn write_faces(path: &Path, side: usize, with_labels: bool) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for idx in 0..24 {
        let label = with_labels.then_some(Label::Class(idx as u32 % 3));
        writer.add(idx, &formula_image(side, idx), label).unwrap();
    }
    writer.finish().unwrap();
}
