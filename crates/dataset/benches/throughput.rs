//! Measures images per second of packing, loading, checking and hashing at 512 x 512 pixels.
//!
//! `cargo bench -p dataset -- [IMAGES]`. Each line is the best of three passes over a zip in the page cache.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dataset::{
    CheckOptions, DatasetOptions, DatasetWriter, Filter, Image, ImageDataset, Loader,
    LoaderOptions, WriterOptions, check, encode_png, resize, verify,
};

const SIDE: usize = 512;

fn main() {
    let n: usize = std::env::args()
        .filter_map(|a| a.parse().ok())
        .next()
        .unwrap_or(256);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let images: Vec<Image> = (0..8).map(drawing).collect();
    println!(
        "{n} images of {SIDE} x {SIDE}, {} cores",
        std::thread::available_parallelism().map_or(1, usize::from)
    );

    for level in [0, 1, 6] {
        let encode = best(8, || {
            images
                .iter()
                .for_each(|p| drop(black_box(encode_png(p, level))))
        });
        let path = folder.path().join(format!("level{level}.zip"));
        let encoded: Vec<_> = images
            .iter()
            .map(|p| encode_png(p, level).expect("a PNG"))
            .collect();
        let write = best(n, || {
            let mut writer =
                DatasetWriter::create(&path, &WriterOptions::default()).expect("a zip");
            for idx in 0..n {
                writer
                    .add_encoded(idx, &encoded[idx % 8], None)
                    .expect("a sample");
            }
            writer.finish().expect("a zip");
        });
        line(&format!("level {level}: encode, 1 thread"), encode);
        line(&format!("level {level}: write with sync"), write);
        read(&path, level, n);
    }

    let large: Vec<Image> = images
        .iter()
        .map(|p| resize(p, 1500, 1500, Filter::Lanczos))
        .collect();
    for filter in [Filter::Lanczos, Filter::Box] {
        let rate = best(8, || {
            large
                .iter()
                .for_each(|p| drop(black_box(resize(p, SIDE, SIDE, filter))))
        });
        line(
            &format!("resize 1500 to {SIDE}, {filter:?}, 1 thread"),
            rate,
        );
    }
}

fn read(path: &Path, level: u8, n: usize) {
    let dataset =
        Arc::new(ImageDataset::open(path, &DatasetOptions::default()).expect("a dataset"));
    for n_threads in [1, 2] {
        let options = LoaderOptions {
            batch_size: 8,
            n_threads,
            n_prefetch: 3,
            seed: 0,
        };
        let mut loader = Loader::new(dataset.clone(), &options).expect("a loader");
        let rate = best(n / 8 * 8, || {
            for _ in 0..n / 8 {
                black_box(loader.next_batch().expect("a batch"));
            }
        });
        line(
            &format!("level {level}: load batches of 8, {n_threads} threads"),
            rate,
        );
    }
    let source = dataset.source();
    let options = CheckOptions::default();
    line(
        &format!("level {level}: check headers"),
        best(n, || drop(black_box(check(source, &options, || ())))),
    );
    line(
        &format!("level {level}: verify"),
        best(n, || drop(black_box(verify(source, || ())))),
    );
    line(
        &format!("level {level}: content hash"),
        best(n, || drop(black_box(dataset.content_hash()))),
    );
}

/// A smooth image with some noise, which compresses like a drawn face with grain.
fn drawing(variant: usize) -> Image {
    let mut random = rng::RandomState::new(variant as u32);
    let small = Image {
        width: 24,
        height: 24,
        channels: 3,
        pixels: (0..24 * 24 * 3)
            .map(|_| random.randint(0, 256) as u8)
            .collect(),
    };
    let mut image = resize(&small, SIDE, SIDE, Filter::Lanczos);
    for value in &mut image.pixels {
        *value = value.saturating_add(random.randint(0, 4) as u8);
    }
    image
}

/// Images per second in the fastest of three passes over `n` images.
fn best(n: usize, mut pass: impl FnMut()) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        pass();
        n as f64 / start.elapsed().as_secs_f64()
    };
    (0..3).map(rate).fold(0.0, f64::max)
}

fn line(what: &str, rate: f64) {
    println!("{what:<44} {rate:>9.0} img/s");
}
