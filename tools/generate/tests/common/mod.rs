//! Helpers of the tests: the program, test data, PNG files.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

pub fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Path of a snapshot written by NVIDIA's StyleGAN2-ADA: 8 px, with G, D and G_ema.
pub fn official() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/../../crates/interop/tests/data/official.pkl")
}

/// Runs `generate` with arguments in `folder`, without ffmpeg in its PATH.
pub fn generate(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_generate"))
        .current_dir(folder)
        .env("KAOGAN_FFMPEG", "")
        .env("KAOGAN_OFFLINE", "1")
        .env("KAOGAN_CACHE", folder)
        .args(args)
        .output()
        .expect("the program starts")
}

/// Runs `generate`, which must succeed; returns stdout.
pub fn ok(folder: &Path, args: &[&str]) -> String {
    let output = generate(folder, args);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "generate {args:?}\n{out}\n{err}");
    out.into_owned()
}

/// Runs `generate`, which must fail with the exit code `code`; returns stderr.
pub fn fails(folder: &Path, code: i32, args: &[&str]) -> String {
    let output = generate(folder, args);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "generate {args:?}\n{err}");
    assert!(!err.contains("panicked"), "{err}");
    err
}

pub struct Png {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
    pub texts: BTreeMap<String, String>,
}

pub fn png(path: &Path) -> Png {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    let info = reader.info();
    let latin1 = &info.uncompressed_latin1_text;
    Png {
        width: info.width,
        height: info.height,
        texts: latin1
            .iter()
            .map(|t| (t.keyword.clone(), t.text.clone()))
            .collect(),
        pixels,
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
