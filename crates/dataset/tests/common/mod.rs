//! Deterministic images, and zips of them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;

use dataset::{DatasetWriter, Image, Label, WriterOptions};

/// A square image computed by a formula, different for every `variant`.
pub fn formula_image(side: usize, channels: usize, variant: usize) -> Image {
    let value = |i: usize| (i * (31 + 2 * variant) + variant * 17 + i * i / 7) as u8;
    Image {
        width: side,
        height: side,
        channels,
        pixels: (0..side * side * channels).map(value).collect(),
    }
}

/// Writes a zip with one sample of `side` x `side` pixels for each label.
pub fn write_zip(path: &Path, side: usize, labels: &[Option<Label>]) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for (idx, label) in labels.iter().enumerate() {
        writer
            .add(idx, &formula_image(side, 3, idx), label.clone())
            .unwrap();
    }
    writer.finish().unwrap();
}
