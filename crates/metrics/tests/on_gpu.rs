//! Compares small feature networks on a GPU with the same networks on the CPU.

use candle_core::{DType, Device, Tensor};
use feature_networks::inception::{
    HALF_TOLERANCE, Inception, InceptionOptions, SeededWeights, Tap,
};
use feature_networks::vgg::{Vgg16, VggShape};
use feature_networks::{Features, Placement};
use metrics::{Family, FeatureKind, FeatureNetwork};
use ops::device::DeviceName;

/// Largest allowed difference of an f32 feature between GPU and CPU, relative to the largest feature.
const TOLERANCE: f32 = 1e-5;

/// The first GPU.
fn gpu() -> Device {
    DeviceName::Cuda(0).open().unwrap()
}

/// Two deterministic images, `u8`, `[2, channels, height, width]`.
fn test_images(channels: usize, height: usize, width: usize) -> Tensor {
    let n = 2 * channels * height * width;
    let pixels: Vec<u8> = (0..n)
        .map(|i| (i % width * 7 + i / width * 5 + i * i / 1000 % 40) as u8)
        .collect();
    Tensor::from_vec(pixels, (2, channels, height, width), &Device::Cpu).unwrap()
}

fn compare(what: &str, got: &Features, want: &Features, tolerance: f32) {
    assert_eq!((got.len(), got.dim()), (want.len(), want.dim()), "{what}");
    let largest = want.values().iter().fold(0f32, |m, v| m.max(v.abs()));
    let pairs = got.values().iter().zip(want.values());
    let error = pairs.fold(0f32, |worst, (got, want)| {
        let error = (got - want).abs() / largest;
        if error <= worst { worst } else { error }
    });
    eprintln!("{what}: {error:.1e} of the largest");
    assert!(largest > 0.0 && error <= tolerance, "{what}: {error}");
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn inception_in_f32_and_in_f16() {
    let gpu = gpu();
    let seeded = SeededWeights {
        seed: None,
        normalization: true,
    };
    for (tap, images) in [
        (Tap::F192, test_images(1, 90, 40)),
        (Tap::F2048, test_images(3, 48, 64)),
    ] {
        let network = Inception::seeded(seeded, InceptionOptions { side: 75, tap }).unwrap();
        let want = network.extract(&images).unwrap();
        for (placement, tolerance) in [
            (Placement::f32(&gpu), TOLERANCE),
            (Placement::f16(&gpu), HALF_TOLERANCE),
        ] {
            let what = format!("{tap:?} {:?}", placement.dtype);
            let network = network.clone().on(&placement).unwrap();
            let got = network.extract(&images.to_device(&gpu).unwrap()).unwrap();
            compare(&what, &got.features, &want.features, tolerance);
            assert_eq!(got.logits_unbiased.is_some(), tap == Tap::F2048);
            if let (Some(got), Some(want)) = (got.logits_unbiased, &want.logits_unbiased) {
                compare(&format!("{what}, logits"), &got, want, tolerance);
            }
        }
    }
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn vgg16_dense_and_perceptual() {
    let gpu = gpu();
    let cpu = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
    let on_gpu = Vgg16::seeded(VggShape::SMALL, 0)
        .and_then(|vgg| vgg.on(&Placement::f32(&gpu)))
        .unwrap();
    let images = test_images(3, 20, 24);
    let (got, want) = (on_gpu.features(&images), cpu.features(&images));
    compare("dense", &got.unwrap(), &want.unwrap(), TOLERANCE);
    // The second image is the first one, changed by about as much as a path length step changes it.
    let first = test_images(1, 32, 32).to_dtype(DType::F32).unwrap();
    let first = first.narrow(0, 0, 1).unwrap();
    let pair = Tensor::cat(&[&first, &first.affine(0.999, 0.1).unwrap()], 0).unwrap();
    let want = cpu.lpips(&pair).unwrap();
    let got = on_gpu.lpips(&pair.to_device(&gpu).unwrap()).unwrap();
    eprintln!("perceptual: {got:?} {want:?}");
    assert!(got.len() == 1 && (got[0] / want[0] - 1.0).abs() < 1e-2);
}

#[test]
#[ignore = "needs a GPU with CUDA"]
fn networks_of_metrics_are_on_the_gpu() {
    let gpu = gpu();
    let images = test_images(3, 40, 40);
    for (kind, metrics, tolerance) in [
        (
            FeatureKind::RandomInceptionSmall,
            &["fid50k_full", "pr50k3_full"][..],
            HALF_TOLERANCE,
        ),
        (FeatureKind::FaceDetector, &["fid50k_full"][..], TOLERANCE),
    ] {
        let metrics: Vec<_> = metrics.iter().map(|m| m.parse().unwrap()).collect();
        let open = || FeatureNetwork::for_metrics(kind, &metrics, None).unwrap();
        let (cpu, on_gpu) = (open(), open().on(&Placement::of(&gpu)).unwrap());
        for metric in &metrics {
            let features = |network: &FeatureNetwork| {
                let extracted = network.extract(metric.family(), &images);
                extracted.unwrap().0
            };
            let tolerance = match metric.family() {
                Family::Inception => tolerance,
                Family::Vgg => TOLERANCE,
            };
            let what = kind.name_for(metric);
            compare(what, &features(&on_gpu), &features(&cpu), tolerance);
        }
    }
}
