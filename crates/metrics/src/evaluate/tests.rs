use super::*;
use crate::FeatureKind;
use candle_core::Device;
use dataset::{DatasetOptions, DatasetWriter, Image, ImageDataset, WriterOptions, encode_png};

fn picture(seed: usize, blue: u8) -> Vec<u8> {
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
            pixels: picture(seed, (seed * 3) as u8),
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
                let rgb = picture(1000 + seed, blue);
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
    let run = |mirror: bool, names: &[&str]| {
        let options = DatasetOptions {
            xflip: mirror,
            ..Default::default()
        };
        let reals = ImageDataset::open(&zip, &options).unwrap();
        let network = FeatureNetwork::open(FeatureKind::RandomInceptionSmall, None).unwrap();
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
    assert_eq!(line["flavour"]["comparable_with_published"], false);
    assert_eq!(line["flavour"]["n_reals"], 40);
    assert_eq!(line["metric"], "fid50_full");
    // Mirrored training changes nothing for `_full`, and the reals come from the cache.
    let (again, n_reals) = run(true, &names);
    assert_eq!(n_reals, 0);
    assert_eq!(again[1].results, results[1].results);
    // But it does for the others.
    let (mirrored, _) = run(true, &["fid50"]);
    let (plain, _) = run(false, &["fid50"]);
    assert_eq!(mirrored[0].flavour["n_reals"], 50);
    assert_eq!(plain[0].flavour["n_reals"], 40);
    assert_ne!(mirrored[0].results, plain[0].results);
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
        let result =
            evaluator.evaluate(&[name.parse().unwrap()], &mut fakes(0, 50), &mut |_| {
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
