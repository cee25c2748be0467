//! The feature networks on a card beside the same on the processor, small. Without a card the tests say so and end.

use candle_core::{DType, Device, Tensor};
use feature_networks::inception::{
    HALF_TOLERANCE, Inception, InceptionOptions, SeededWeights, Tap,
};
use feature_networks::vgg::{Vgg16, VggShape};
use feature_networks::{Features, Placement};
use metrics::{Family, FeatureKind, FeatureNetwork};
use ops::device::DeviceName;

/// How far f32 of a card may be from the processor's, as a share of the largest feature.
const TOLERANCE: f32 = 1e-5;

/// The first card; `None`, said aloud, where there is none.
fn card() -> Option<Device> {
    match DeviceName::Cuda(0).open() {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("skipped, no card: {error}");
            None
        }
    }
}

/// Two pictures by formula, `u8`, `[2, channels, height, width]`.
fn pictures(channels: usize, height: usize, width: usize) -> Tensor {
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
fn inception_in_f32_and_in_f16() {
    let Some(card) = card() else { return };
    let seeded = SeededWeights {
        seed: None,
        normalization: true,
    };
    for (tap, images) in [
        (Tap::F192, pictures(1, 90, 40)),
        (Tap::F2048, pictures(3, 48, 64)),
    ] {
        let network = Inception::seeded(seeded, InceptionOptions { side: 75, tap }).unwrap();
        let want = network.extract(&images).unwrap();
        for (place, tolerance) in [
            (Placement::f32(&card), TOLERANCE),
            (Placement::f16(&card), HALF_TOLERANCE),
        ] {
            let what = format!("{tap:?} {:?}", place.dtype);
            let network = network.clone().on(&place).unwrap();
            let got = network.extract(&images.to_device(&card).unwrap()).unwrap();
            compare(&what, &got.features, &want.features, tolerance);
            assert_eq!(got.logits_unbiased.is_some(), tap == Tap::F2048);
            if let (Some(got), Some(want)) = (got.logits_unbiased, &want.logits_unbiased) {
                compare(&format!("{what}, logits"), &got, want, tolerance);
            }
        }
    }
}

#[test]
fn vgg16_dense_and_perceptual() {
    let Some(card) = card() else { return };
    let cpu = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
    let on_card = Vgg16::seeded(VggShape::SMALL, 0)
        .and_then(|vgg| vgg.on(&Placement::f32(&card)))
        .unwrap();
    let images = pictures(3, 20, 24);
    let (got, want) = (on_card.features(&images), cpu.features(&images));
    compare("dense", &got.unwrap(), &want.unwrap(), TOLERANCE);
    // The second picture is the first, moved by as much as a path length moves it.
    let first = pictures(1, 32, 32).to_dtype(DType::F32).unwrap();
    let first = first.narrow(0, 0, 1).unwrap();
    let pair = Tensor::cat(&[&first, &first.affine(0.999, 0.1).unwrap()], 0).unwrap();
    let want = cpu.lpips(&pair).unwrap();
    let got = on_card.lpips(&pair.to_device(&card).unwrap()).unwrap();
    eprintln!("perceptual: {got:?} {want:?}");
    assert!(got.len() == 1 && (got[0] / want[0] - 1.0).abs() < 1e-2);
}

#[test]
fn what_metrics_open_is_on_the_card() {
    let Some(card) = card() else { return };
    let images = pictures(3, 40, 40);
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
        let (cpu, on_card) = (open(), open().on(&Placement::of(&card)).unwrap());
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
            compare(what, &features(&on_card), &features(&cpu), tolerance);
        }
    }
}
