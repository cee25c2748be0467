//! Helpers of the end-to-end tests: they run the program, draw images and read manifests.
#![allow(dead_code)] // each test file uses its part

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};
use test_support::drawn::{Window, Work};

/// Runs `prep` in `folder`, with arguments separated by white space.
pub fn prep(folder: &Path, args: &str) -> Output {
    command(folder, args).output().expect("the program starts")
}

pub fn command(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prep"));
    command.current_dir(folder).args(args.split_whitespace());
    command
}

/// Runs `prep`, expects success and returns its stdout.
pub fn ok(folder: &Path, args: &str) -> String {
    let output = prep(folder, args);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "prep {args}\n{out}\n{err}");
    out.into_owned()
}

/// The lines of a manifest.
pub fn manifest(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a manifest");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// The line of an input (not of its faces).
pub fn input<'a>(lines: &'a [Value], source: &str) -> &'a Value {
    lines
        .iter()
        .find(|line| line["source"] == source && line["face"].is_null())
        .unwrap_or_else(|| panic!("no line for {source}"))
}

/// A drawn illustration, `width` pixels wide.
pub fn drawing(seed: u64, width: usize) -> RgbImage {
    render(&Work::new(seed), width)
}

pub fn render(work: &Work, width: usize) -> RgbImage {
    let (rgb, width, height) = work.render(Window::ALL, width);
    RgbImage::from_raw(width as u32, height as u32, rgb).expect("fits")
}

pub fn encode(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    encode_any(&DynamicImage::ImageRgb8(image.clone()), format)
}

pub fn encode_any(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

pub fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(image)
        .expect("encodes");
    bytes
}
