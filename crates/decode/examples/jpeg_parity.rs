//! Compares the JPEG decoder with libjpeg-turbo's `djpeg` over files of every structure, and prints a table.
//!
//! `cargo run --release -p decode --example jpeg_parity [FILES]` compares `FILES` (2000) generated files, and about
//! 1500 files of `cjpeg` and `jpegtran`, which must be on the path, like `djpeg`. With `--write FOLDER` the generated
//! files are only written; with `--golden` the lines of `tests/data/jpeg-golden.txt` are printed; with `--file FILE`
//! one file is compared.

#[path = "../tests/jpeg/encoder.rs"]
#[allow(dead_code)]
mod encoder;
#[path = "../tests/jpeg/specs.rs"]
mod specs;

use decode::{DecodeError, DecodeOptions, decode};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

type Failure = Box<dyn std::error::Error>;

/// Results for the files of one class.
#[derive(Default)]
struct Row {
    n_files: usize,
    largest_error: f64,
    n_beyond: usize,
    refused: BTreeMap<String, usize>,
    /// Number of files that are refused here and decoded by libjpeg-turbo.
    n_refused_alone: usize,
    /// Number of files that are decoded here and refused by libjpeg-turbo.
    n_decoded_alone: usize,
}

/// Runs a program with `input` on its standard input; returns its output, `None` where it fails.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{program}: {e}"))?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that refuses its input closes the pipe early.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "writing failed")?;
    Ok((output.status.success() && !output.stdout.is_empty()).then_some(output.stdout))
}

/// The pixels of a binary PPM or PGM as RGB; `None` for other data.
fn read_pnm(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut fields = bytes.splitn(4, |b| b.is_ascii_whitespace());
    let kind = fields.next()?;
    fields.nth(1)?;
    let (_, pixels) = {
        let rest = fields.next()?;
        rest.split_at(rest.iter().position(|b| *b == b'\n')? + 1)
    };
    match kind {
        b"P6" => Some(pixels.to_vec()),
        b"P5" => Some(pixels.iter().flat_map(|&v| [v; 3]).collect()),
        _ => None,
    }
}

fn compare(table: &mut BTreeMap<String, Row>, class: String, file: &[u8]) -> Result<(), Failure> {
    let theirs = run("djpeg", &["-pnm"], file)?.as_deref().and_then(read_pnm);
    let ours = decode(file, &DecodeOptions::default());
    let row = table.entry(class.clone()).or_default();
    row.n_files += 1;
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            let ours = ours.image.into_raw();
            if ours.len() != theirs.len() {
                return Err(format!("{class}: images of different size").into());
            }
            let sum: u64 = ours
                .iter()
                .zip(&theirs)
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum();
            let error = sum as f64 / ours.len() as f64;
            row.largest_error = row.largest_error.max(error);
            row.n_beyond += usize::from(error > 2.0);
        }
        (Ok(_), None) => row.n_decoded_alone += 1,
        (Err(error), theirs) => {
            row.n_refused_alone += usize::from(theirs.is_some());
            let name = match error {
                DecodeError::Truncated(text) => format!("TRUNCATED {text}"),
                other => other.to_string(),
            };
            *row.refused.entry(name).or_default() += 1;
        }
    }
    Ok(())
}

/// A binary PPM with edges, gradients and noise.
fn image(width: usize, height: usize) -> Vec<u8> {
    let mut rng = encoder::Rng(width as u32);
    let mut out = format!("P6\n{width} {height}\n255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            let disc = (x as f64 - 30.0).hypot(y as f64 - 20.0) < 18.0;
            let base = [x * 255 / width, y * 255 / height, (x + y) * 3 % 256];
            let noise = rng.below(12) as usize;
            out.extend(base.map(|v| if disc { 255 - v.min(255) } else { (v + noise).min(255) } as u8));
        }
    }
    out
}

/// Compares files by libjpeg-turbo's own encoder.
fn compare_encoded(table: &mut BTreeMap<String, Row>) -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("jpeg-parity-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let script = folder.join("scans.txt");
    std::fs::write(&script, "0;\n1;\n2;\n")?;
    let script = script.to_string_lossy().into_owned();
    let samplings = [
        "1x1",
        "2x1",
        "1x2",
        "2x2",
        "4x1",
        "1x4",
        "4x2",
        "1x1,2x1,2x1",
        "1x1,2x2,1x1",
        "2x1,1x2,1x1",
        "2x2,2x1,1x2",
        "1x1,1x2,1x2",
        "3x1",
        "4x1,2x1,1x1",
        "2x2,2x2,2x2",
    ];
    for (width, height) in [(64, 48), (101, 37), (17, 131)] {
        let image = image(width, height);
        for quality in ["25", "75", "95"] {
            for sampling in samplings {
                let base = ["-quality", quality, "-sample", sampling];
                let codings: [(&str, &[&str]); 8] = [
                    ("sequential", &[]),
                    ("optimized", &["-optimize"]),
                    ("restarts", &["-restart", "3B"]),
                    ("restarts by row", &["-restart", "1"]),
                    ("progressive", &["-progressive"]),
                    ("arithmetic", &["-arithmetic"]),
                    ("gray", &["-grayscale"]),
                    ("rgb", &["-rgb"]),
                ];
                for (coding, arguments) in codings {
                    let file = run("cjpeg", &[&base, arguments].concat(), &image)?;
                    let Some(file) = file else { continue };
                    compare(table, format!("cjpeg {coding}"), &file)?;
                    if coding == "sequential" {
                        for (name, arguments) in
                            [("", &[][..]), (" with restarts", &["-restart", "3B"])]
                        {
                            let arguments = [&["-scans", &script], arguments].concat();
                            if let Some(file) = run("jpegtran", &arguments, &file)? {
                                compare(table, format!("jpegtran, a scan each{name}"), &file)?;
                            }
                        }
                    }
                }
            }
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Prints for each generated file its number, and the checksum and mean colors of the quarters of its pixels by
/// libjpeg-turbo.
fn print_golden(n_files: u32) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for n in 0..n_files {
        let spec = specs::case(n).spec;
        let pixels = run("djpeg", &["-pnm"], &spec.encode())?;
        let pixels = pixels
            .as_deref()
            .and_then(read_pnm)
            .ok_or("djpeg refuses a file")?;
        let checksum = crc32fast::hash(&pixels);
        write!(out, "{n} {checksum:08x} ")?;
        for value in specs::quarters(&pixels, spec.width, spec.height) {
            write!(out, "{value:02x}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let n_files = match (first.as_deref(), arguments.next()) {
        (Some("--golden"), _) => return print_golden(160),
        (Some("--file"), Some(path)) => {
            let mut table = BTreeMap::new();
            compare(&mut table, path.clone(), &std::fs::read(path)?)?;
            return print_table(&table);
        }
        (Some("--write"), Some(folder)) => {
            for n in 0..2000 {
                let path = std::path::Path::new(&folder).join(format!("{n:04}.jpg"));
                std::fs::write(path, specs::case(n).spec.encode())?;
            }
            return Ok(());
        }
        (Some(number), _) => number.parse()?,
        (None, _) => 2000,
    };
    let mut table = BTreeMap::new();
    for n in 0..n_files {
        let case = specs::case(n);
        compare(&mut table, case.class, &case.spec.encode())?;
    }
    compare_encoded(&mut table)?;
    print_table(&table)
}

fn print_table(table: &BTreeMap<String, Row>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| class | files | largest mean error | refused | of these decoded by libjpeg-turbo |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    for (class, row) in table {
        let n_refused: usize = row.refused.values().sum();
        writeln!(
            out,
            "| {class} | {} | {:.3} | {n_refused} | {} |",
            row.n_files, row.largest_error, row.n_refused_alone
        )?;
    }
    for (class, row) in table {
        if row.n_beyond + row.n_decoded_alone > 0 {
            writeln!(
                out,
                "{class}: {} beyond 2 levels, {} decoded here only",
                row.n_beyond, row.n_decoded_alone
            )?;
        }
        for (reason, n) in &row.refused {
            writeln!(out, "{class}: {n} refused: {reason}")?;
        }
    }
    Ok(())
}
