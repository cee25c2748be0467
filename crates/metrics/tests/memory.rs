//! Measures the memory that an evaluation keeps while it processes images.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use candle_core::{Device, Tensor};
use dataset::{DatasetOptions, DatasetWriter, Image, ImageDataset, WriterOptions};
use metrics::{EvaluateOptions, Evaluator, FeatureKind, FeatureNetwork, Metric, Step};

/// Number of bytes that are currently allocated.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call is passed to the system's allocator unchanged; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's pointer and layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The increase in allocated bytes from `from` to `to` generated images.
fn growth(metric: &str, from: usize, to: usize) -> isize {
    let folder = tempfile::tempdir().expect("a folder");
    let zip = folder.path().join("reals.zip");
    let mut writer = DatasetWriter::create(&zip, &WriterOptions::default()).expect("a dataset");
    for i in 0..4u8 {
        let image = Image {
            width: 8,
            height: 8,
            channels: 3,
            pixels: (0..192u8).map(|p| p.wrapping_mul(i + 1)).collect(),
        };
        writer.add(i.into(), &image, None).expect("an image");
    }
    writer.finish().expect("a dataset");
    let reals = ImageDataset::open(&zip, &DatasetOptions::default()).expect("a dataset");
    let metrics: Vec<Metric> = vec![metric.parse().expect("a metric")];
    let kind = FeatureKind::RandomInceptionSmall;
    let network = FeatureNetwork::for_metrics(kind, &metrics, None).expect("weights by seed");
    let options = EvaluateOptions {
        batch_size: 32,
        bootstrap: 0,
        ..Default::default()
    };
    let mut evaluator = Evaluator::new(network, reals.into(), options);
    let mut held = Vec::new();
    let mut at = 0u32;
    let mut fakes = |n: usize| {
        at += 1;
        let pixels = (0..n as u32 * 192).map(|p| (p * at) as u8).collect();
        Ok(Some(Tensor::from_vec::<_, u8>(
            pixels,
            (n, 3, 8, 8),
            &Device::Cpu,
        )?))
    };
    evaluator
        .evaluate(&metrics, &mut fakes, &mut |progress| {
            if progress.step == Step::Fakes && (progress.done == from || progress.done == to) {
                held.push(LIVE.load(Ordering::Relaxed));
            }
        })
        .expect("a result");
    assert_eq!(held.len(), 2);
    held[1] - held[0]
}

/// Checks that a FID does not keep feature rows and that a KID does. A row has 768 values: the 128 additional images of
/// the KID take 0.4 MB.
#[test]
fn a_fid_holds_the_same_after_more_images() {
    // A FID collects up to 512 rows before it adds them to its sums. Both numbers of images are larger, so that this
    // memory is allocated in both measurements.
    let fid = growth("fid1088_full", 544, 1056);
    assert!(fid.abs() < 300_000, "a FID holds {fid} bytes more");
    // Check that kept features are counted.
    let kid = growth("kid160_full", 32, 160);
    assert!(kid > 300_000, "a KID holds {kid} bytes more");
}
