//! Decodes all images of a folder repeatedly on one thread and prints the time of each pass.
//!
//! `cargo run --release -p decode --example decode_speed -- FOLDER [TURNS]`

use decode::{DecodeOptions, decode};
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: decode_speed FOLDER [TURNS]")?;
    let n_turns: usize = arguments.next().map_or(Ok(5), |turns| turns.parse())?;
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        files.push(std::fs::read(path)?);
    }
    let mut out = std::io::stdout().lock();
    for _ in 0..n_turns {
        let start = Instant::now();
        let (mut n_images, mut n_pixels, mut checksum) = (0, 0, 0u64);
        for file in &files {
            let Ok(decoded) = decode(file, &DecodeOptions::default()) else {
                continue;
            };
            n_images += 1;
            n_pixels += decoded.image.len() / 3;
            for chunk in decoded.image.chunks(997) {
                checksum =
                    checksum.rotate_left(5) ^ chunk.iter().map(|&v| u64::from(v)).sum::<u64>();
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        writeln!(
            out,
            "{n_images} images, {:.1} megapixels, {:.1} ms, checksum {checksum:016x}",
            n_pixels as f64 / 1e6,
            1e3 * seconds
        )?;
    }
    Ok(())
}
