//! Measures the speed of the slow parts of an evaluation: `cargo bench -p metrics`. Runs on one thread unless
//! `RAYON_NUM_THREADS` is set.
//!
//! Times are CPU seconds of the process where the system reports them, so that other processes do not affect them.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use feature_networks::Features;
use feature_networks::vgg::{Vgg16, VggShape};
use metrics::{Covariance, Family, FeatureKind, FeatureNetwork, FeatureStats, FidReference};
use rng::RandomState;

fn best_of(n: usize, mut work: impl FnMut()) -> f64 {
    (0..n)
        .map(|_| {
            let start = Instant::now();
            let cpu = cpu_seconds();
            work();
            match (cpu, cpu_seconds()) {
                (Some(before), Some(after)) => after - before,
                _ => start.elapsed().as_secs_f64(),
            }
        })
        .fold(f64::INFINITY, f64::min)
}

/// User plus system time of this process in seconds, from `/proc` (in steps of 10 ms); `None` on other systems.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn main() {
    // Inception.
    let mut random = RandomState::new(0);
    let pixels: Vec<u8> = (0..16 * 3 * 256 * 256)
        .map(|_| random.index(256) as u8)
        .collect();
    let images = Tensor::from_vec(pixels, (16, 3, 256, 256), &Device::Cpu).expect("images");
    for kind in [
        FeatureKind::RandomInception,
        FeatureKind::RandomInceptionSmall,
    ] {
        let network = FeatureNetwork::open(kind, None).expect("seeded weights");
        let seconds = best_of(4, || {
            network
                .extract(Family::Inception, &images)
                .expect("features");
        });
        println!("{:<24} {:>8.2} images/s", kind.name(), 16.0 / seconds);
    }

    // VGG16.
    let vgg = Vgg16::seeded(VggShape::default(), 0).expect("seeded weights");
    let seconds = best_of(2, || {
        vgg.features(&images).expect("features");
    });
    println!("{:<24} {:>8.2} images/s", "VGG16, dense", 16.0 / seconds);
    let pairs = images.narrow(0, 0, 4).and_then(|x| x.to_dtype(DType::F32));
    let pairs = pairs.expect("images");
    let seconds = best_of(2, || {
        vgg.lpips(&pairs).expect("distances");
    });
    println!("{:<24} {:>8.2} pairs/s", "LPIPS, 256 px", 2.0 / seconds);

    // FID of 2048 features.
    let values = random
        .randn(3000 * 2048)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    let features = Features::from_rows(2048, values).expect("rows");
    let mut stats = FeatureStats::new(2048);
    let seconds = best_of(1, || stats.append(&features).expect("same width"));
    println!("covariance, 3000 x 2048  {seconds:>8.2} s");
    let gaussian = stats.gaussian(Covariance::Population).expect("enough rows");
    let mut reference = None;
    let seconds = best_of(1, || reference = Some(FidReference::new(gaussian.clone())));
    println!("FID 2048, real side      {seconds:>8.2} s (once)");
    let reference = reference.expect("made above").expect("finite");
    let seconds = best_of(2, || {
        reference.fid(&gaussian).expect("finite");
    });
    println!("FID 2048, each further   {seconds:>8.2} s");
}
