//! Tests of the evaluator on small images and random features.

use super::*;
use std::path::Path;

use feature_networks::Placement;

use crate::{FeatureKind, PathOptions};
use candle_core::Device;
use dataset::{DatasetOptions, DatasetWriter, Image, ImageDataset, WriterOptions, encode_png};

fn test_image(seed: usize, blue: u8) -> Vec<u8> {
    let side = 16;
    (0..side * side)
        .flat_map(|i| {
            let (x, y) = (i % side, i / side);
            let v = ((x * (seed % 5 + 1) + y * (seed % 3 + 2) + seed) * 9 % 256) as u8;
            [v, 255 - v, blue]
        })
        .collect()
}

fn write(path: &Path, n: usize) {
    let mut writer = DatasetWriter::create(path, &WriterOptions::default()).unwrap();
    for seed in 0..n {
        let image = Image {
            width: 16,
            height: 16,
            channels: 3,
            pixels: test_image(seed, (seed * 3) as u8),
        };
        writer
            .add_encoded(seed, &encode_png(&image, 0).unwrap(), None)
            .unwrap();
    }
    writer.finish().unwrap();
}

fn fakes(
    blue: u8,
    limit: usize,
) -> impl FnMut(usize) -> Result<Option<Tensor>, Box<dyn std::error::Error + Send + Sync>> {
    let mut at = 0;
    move |n| {
        let n = n.min(limit - at);
        if n == 0 {
            return Ok(None);
        }
        let values: Vec<u8> = (at..at + n)
            .flat_map(|seed| {
                let rgb = test_image(1000 + seed, blue);
                (0..3)
                    .flat_map(move |c| {
                        rgb.clone()
                            .into_iter()
                            .skip(c)
                            .step_by(3)
                            .collect::<Vec<_>>()
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        at += n;
        Ok(Some(Tensor::from_vec(
            values,
            (n, 3, 16, 16),
            &Device::Cpu,
        )?))
    }
}

#[test]
fn one_pass_feeds_all_metrics_and_the_cache_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("reals.zip");
    write(&zip, 40);
    let run_on = |place: &Placement, mirror: bool, names: &[&str]| {
        let options = DatasetOptions {
            xflip: mirror,
            ..Default::default()
        };
        let reals = ImageDataset::open(&zip, &options).unwrap();
        let network = FeatureNetwork::open(FeatureKind::RandomInceptionSmall, None)
            .and_then(|network| network.on(place))
            .unwrap();
        let options = EvaluateOptions {
            cache: Some(folder.path().to_path_buf()),
            bootstrap: 3,
            ..Default::default()
        };
        let mut evaluator = Evaluator::new(network, reals.into(), options);
        let metrics: Vec<Metric> = names.iter().map(|n| n.parse().unwrap()).collect();
        let mut n_reals = 0;
        let results = evaluator
            .evaluate(&metrics, &mut fakes(40, 50), &mut |p| {
                n_reals += usize::from(p.step == Step::Reals);
            })
            .unwrap();
        (results, n_reals)
    };
    let run = |mirror: bool, names: &[&str]| run_on(&Placement::default(), mirror, names);
    let names = [
        "fid24_full",
        "fid50_full",
        "kid50_full",
        "pr50_3_full",
        "mem50_full",
        "dc50_5_full",
    ];
    let (results, n_reals) = run(false, &names);
    assert!(n_reals > 0);
    for (result, name) in results.iter().zip(names) {
        assert_eq!(result.metric.to_string(), name);
        assert!(result.value().is_finite(), "{name}");
    }
    assert!(results[1].std["fid50_full"].as_f64().unwrap() > 0.0);
    let line = results[1].to_json(Some("network-snapshot-000000.safetensors"), 1.5);
    assert_eq!(line["provenance"]["comparable_with_published"], false);
    assert_eq!(line["provenance"]["n_reals"], 40);
    assert_eq!(line["metric"], "fid50_full");
    // Mirroring in training does not affect `_full` metrics; the real statistics come from the cache.
    let (again, n_reals) = run(true, &names);
    assert_eq!(n_reals, 0);
    assert_eq!(again[1].results, results[1].results);
    // Statistics computed in f16 are cached separately, and the provenance names the precision.
    assert_eq!(again[1].provenance["precision"], "f32");
    let half = Placement::f16(&Device::Cpu);
    let (first, n_reals) = run_on(&half, false, &["fid50_full", "pr50_3_full"]);
    assert!(n_reals > 0);
    assert_eq!(first[0].provenance["precision"], "f16");
    assert_eq!(first[1].provenance["precision"], "f32");
    let (second, n_reals) = run_on(&half, false, &["fid50_full"]);
    assert_eq!((n_reals, &second[0].results), (0, &first[0].results));
    let (half, single) = (first[0].value(), results[1].value());
    assert!(
        half != single && (half / single - 1.0).abs() < 1e-3,
        "{half} {single}"
    );
    // Mirroring does affect metrics without `_full`.
    let (mirrored, _) = run(true, &["fid50"]);
    let (plain, _) = run(false, &["fid50"]);
    assert_eq!(mirrored[0].provenance["n_reals"], 50);
    assert_eq!(plain[0].provenance["n_reals"], 40);
    assert_ne!(mirrored[0].results, plain[0].results);
}

/// A source of the images that a function returns, and of pairs of images for path lengths. The second image of a pair
/// is brighter than the first one, by an amount that depends on the index of the path.
struct FakeImages<F>(F);

impl<F: FnMut(usize) -> Result<Option<Tensor>, SourceError>> FakeSource for FakeImages<F> {
    fn images(&mut self, n: usize) -> Result<Option<Tensor>, SourceError> {
        (self.0)(n)
    }

    fn has_paths(&self) -> bool {
        true
    }

    fn path_pairs(
        &mut self,
        _: PathOptions,
        step: f64,
        start: usize,
        n: usize,
    ) -> Result<Tensor, SourceError> {
        let image = |i: usize, move_by: f64| -> Vec<f32> {
            let pixels = test_image(i % 7, 90);
            let speed = move_by * (1 + i % 3) as f64;
            (0..3 * 16 * 16)
                .map(|p| {
                    (f64::from(pixels[p]) / 200.0 - 0.6 + speed * f64::from(p as u32 % 5)) as f32
                })
                .collect()
        };
        let range = || start..start + n;
        let values: Vec<f32> = range()
            .flat_map(|i| image(i, 0.0))
            .chain(range().flat_map(|i| image(i, step * 100.0)))
            .collect();
        Ok(Tensor::from_vec(values, (2 * n, 3, 16, 16), &Device::Cpu)?)
    }
}

fn evaluator_of(zip: &Path, batch_size: usize) -> Evaluator {
    let reals = ImageDataset::open(zip, &DatasetOptions::default()).unwrap();
    let options = EvaluateOptions {
        batch_size,
        bootstrap: 0,
        ..Default::default()
    };
    let kind = FeatureKind::RandomInceptionSmall;
    let network = FeatureNetwork::for_metrics(kind, &[], None).unwrap();
    Evaluator::new(network, reals.into(), options)
}

fn parse(names: &[&str]) -> Vec<Metric> {
    names.iter().map(|n| n.parse().unwrap()).collect()
}

#[test]
fn a_result_is_handed_over_before_later_images_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("reals.zip");
    write(&zip, 20);
    let mut evaluator = evaluator_of(&zip, 16);
    let mut seen = Vec::new();
    // There are 30 images. The metric that needs 40 fails, after the results of the others were passed on.
    let error = evaluator
        .evaluate_each(
            &parse(&["fid40_full", "kid30_full", "pr20_3_full"]),
            &mut FakeImages(fakes(0, 30)),
            &mut |_| (),
            &mut |result| {
                seen.push(result.metric.to_string());
                Ok(())
            },
        )
        .unwrap_err();
    assert_eq!(seen, ["pr20_3_full", "kid30_full"]);
    assert!(error.to_string().contains("40 images"), "{error}");
    // An error returned by `on_result` ends the evaluation.
    let error = evaluator
        .evaluate_each(
            &parse(&["fid10_full", "fid20_full"]),
            &mut FakeImages(fakes(0, 10)),
            &mut |_| (),
            &mut |_| Err("the disk is full".into()),
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
}

#[test]
fn a_number_does_not_depend_on_the_other_metrics_nor_on_batches() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("reals.zip");
    write(&zip, 20);
    let measure = |batch_size: usize, names: &[&str]| -> Vec<MetricResult> {
        let mut results = Vec::new();
        evaluator_of(&zip, batch_size)
            .evaluate_each(
                &parse(names),
                &mut FakeImages(fakes(60, 50)),
                &mut |_| (),
                &mut |result| {
                    results.push(result);
                    Ok(())
                },
            )
            .unwrap();
        results
    };
    let all = measure(
        16,
        &["ppl2_30wend", "fid37_full", "pr25_3_full", "kid12_full"],
    );
    assert_eq!(all.len(), 4);
    for result in &all {
        let name = result.metric.to_string();
        assert_eq!(measure(16, &[&name])[0].results, result.results, "{name}");
        assert_eq!(measure(5, &[&name])[0].results, result.results, "{name}");
    }
    let of = |name: &str| {
        let found = all.iter().find(|r| r.metric.to_string() == name);
        found.unwrap().provenance.clone()
    };
    assert_eq!(of("pr25_3_full")["features"], "random-vgg16-small");
    assert_eq!(of("ppl2_30wend")["features"], "random-vgg16-small");
    assert_eq!(of("ppl2_30wend")["comparable_with_published"], false);
    assert_eq!(of("fid37_full")["features"], "random-inception-small");
}

#[test]
fn what_cannot_be_measured_is_said_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("reals.zip");
    write(&zip, 4);
    let reals = ImageDataset::open(&zip, &DatasetOptions::default()).unwrap();
    let network = FeatureNetwork::open(FeatureKind::RandomInceptionSmall, None).unwrap();
    let mut evaluator = Evaluator::new(network, reals.into(), EvaluateOptions::default());
    for name in ["is50", "ppl2_wend"] {
        let result = evaluator.evaluate(&[name.parse().unwrap()], &mut fakes(0, 50), &mut |_| {
            panic!("work was done")
        });
        assert!(result.is_err());
    }
    let error = evaluator
        .evaluate(
            &["fid60_full".parse().unwrap()],
            &mut fakes(0, 50),
            &mut |_| (),
        )
        .unwrap_err();
    assert!(error.to_string().contains("60 images"), "{error}");
    let missing = FeatureNetwork::open(FeatureKind::Inception, Some(folder.path()))
        .err()
        .unwrap();
    assert!(
        missing.to_string().contains("eval weights --from"),
        "{missing}"
    );
}
