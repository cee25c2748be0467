//! `eval leak`: checks whether an augmentation has leaked into a generator.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{Device, Tensor};
use dataset::{DatasetOptions, ImageDataset, Source};
use fakes::FakeImages;
use leak::{CategoryLeak, LeakMeter};
use metrics::ImageSet;
use rng::RandomState;
use run_folder::{RunRecord, names, snapshot_kimg, timestamp};
use serde_json::{Value, json};
use tool_support::find_run;

use crate::args::LeakArgs;
use crate::augmentation::{RunAugmentation, recent_p};
use crate::open::{open_file_on, open_on};
use crate::run_dataset::dataset_of;

/// Below this augmentation probability no leak is reported: augmented images are then too rare to be taken for a part
/// of the real distribution. The ADA paper observes leaks from about 0.8 on (arXiv:2006.06676, figure 4); small
/// networks leak earlier.
const LEAST_P: f64 = 0.1;

pub fn leak(args: &LeakArgs) -> anyhow::Result<()> {
    let run_dir = args.run_dir.as_deref().map(find_run).transpose()?;
    let run = run_dir.as_deref().map(RunRecord::open).transpose()?;
    let dataset = match (&run, &args.data) {
        (Some(run), data) => dataset_of(run, data.as_deref())?,
        (None, Some(data)) => ImageDataset::open(data, &DatasetOptions::default())?,
        (None, None) => bail!("give the folder of a run, or --images and --data"),
    };
    let (what, fakes) = fakes(args, run.as_ref(), &dataset)?;
    let baseline = args.baseline.as_deref();
    let baseline = baseline
        .map(|network| {
            let path = args.checkpoint.find("--baseline", network)?;
            generated(args, &path, &dataset)
        })
        .transpose()?;
    let reals = sample(&dataset.into(), args.reals, args.seed)?;
    tracing::info!(
        "learning what augmented images look like from {} reals",
        reals.dim(0)?
    );
    let meter = LeakMeter::new(&reals, &mut RandomState::new(args.seed))?;
    let measured = meter.measure(&fakes, baseline.as_ref())?;
    // Only a checkpoint of the run itself was trained with the augmentation of the run.
    let own_run = run
        .as_ref()
        .filter(|_| args.images.is_none() && args.network.is_none());
    let trained = own_run.and_then(|run| Trained::of(run, &what));
    let findings: Vec<Finding> = measured
        .iter()
        .map(|leak| Finding::of(leak, trained.as_ref()))
        .collect();
    let categories: Vec<Value> = measured
        .iter()
        .zip(&findings)
        .map(|(leak, finding)| {
            let mut line = json!(leak);
            line["leaks"] = (*finding == Finding::Leaks).into();
            line
        })
        .collect();
    let line = json!({
        "snapshot": what,
        "n_fakes": fakes.dim(0)?,
        "n_reals": reals.dim(0)?,
        "baseline": args.baseline,
        "augmentation": trained.as_ref().map(|trained| trained.augmentation.to_string()),
        "p": trained.as_ref().map(|trained| trained.p),
        "categories": categories,
        "timestamp": timestamp(),
    });
    if let Some(run) = own_run {
        files::append_json_line(&run.path.join(names::LEAKS), &line, &|_| false)?;
    }
    cli::report(&line, |_| {
        describe(&what, &measured, &findings, trained.as_ref())
    });
    Ok(())
}

/// The augmentation that a snapshot was trained with.
struct Trained {
    augmentation: RunAugmentation,
    /// The largest augmentation probability in the last quarter of the training up to the snapshot.
    p: f64,
}

impl Trained {
    fn of(run: &RunRecord, snapshot: &str) -> Option<Self> {
        let kimg = snapshot_kimg(snapshot).map_or(f64::INFINITY, |kimg| kimg as f64 + 1.0);
        let last = run.ticks.last().map_or(0.0, |tick| tick.kimg);
        Some(Self {
            augmentation: RunAugmentation::of(run)?,
            p: recent_p(run, kimg.min(last)),
        })
    }
}

/// The conclusion from the result of one category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Nothing,
    Leaks,
    /// The images look augmented in this way, but the run's pipe does not contain such a transform.
    NotInPipe,
    /// The images look augmented in this way, but the run's augmentation probability was too low for a leak.
    TooRare,
    /// Even augmented real images would not be detected.
    NoPower,
}

impl Finding {
    fn of(leak: &CategoryLeak, trained: Option<&Trained>) -> Self {
        if !leak.shows {
            return match leak.power < 0.2 {
                true => Self::NoPower,
                false => Self::Nothing,
            };
        }
        let Some(trained) = trained else {
            return Self::Leaks;
        };
        let pipe = trained.augmentation.pipe.as_ref();
        match pipe.is_some_and(|pipe| leak.category.is_in(pipe)) {
            false => Self::NotInPipe,
            true if trained.p < LEAST_P => Self::TooRare,
            true => Self::Leaks,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Leaks => "  LEAKS",
            Self::NotInPipe => {
                "  not in this run's pipe: images look so by themselves (undertrained?)"
            }
            Self::TooRare => "  p is too low to leak: images look so by themselves (undertrained?)",
            Self::NoPower => "  cannot be told on these images",
        }
    }
}

fn fakes(
    args: &LeakArgs,
    run: Option<&RunRecord>,
    dataset: &ImageDataset,
) -> anyhow::Result<(String, Tensor)> {
    if let Some(folder) = &args.images {
        let images = ImageSet::try_from(Source::open(folder)?)?;
        return Ok((
            folder.display().to_string(),
            sample(&images, args.fakes, args.seed)?,
        ));
    }
    let path = match (&args.network, run) {
        (Some(path), _) => args.checkpoint.find("--network", path)?,
        (None, Some(run)) => args.checkpoint.find("RUN_DIR", &run.path)?,
        (None, None) => bail!("give the folder of a run, or --images FOLDER, or --network FILE"),
    };
    let name = Path::new(path.file_name().unwrap_or_default())
        .display()
        .to_string();
    Ok((name, generated(args, &path, dataset)?))
}

/// Generates `args.fakes` images with a network, `u8` `[n, channels, resolution, resolution]`.
fn generated(args: &LeakArgs, path: &Path, dataset: &ImageDataset) -> anyhow::Result<Tensor> {
    let opened = match path.is_file() {
        true => open_file_on(path, &Device::Cpu)?,
        false => open_on(path, &Device::Cpu)?,
    };
    let (_, generator) = opened.generator()?;
    let mut fakes = FakeImages::new(generator, Some(dataset), args.seed)?;
    let bar = cli::Progress::new("fakes", Some(args.fakes as u64), "images");
    let mut batches = Vec::new();
    let mut done = 0;
    while done < args.fakes {
        let n = (args.fakes - done).min(16);
        batches.push(fakes.batch(n)?);
        done += n;
        bar.inc(n as u64);
    }
    bar.finish();
    Ok(Tensor::cat(&batches, 0)?)
}

/// `n` random images of a set, or all if it has fewer, as `u8` `[n, channels, height, width]`. Fails when sizes differ.
fn sample(images: &ImageSet, n: usize, seed: u32) -> anyhow::Result<Tensor> {
    let mut rows = RandomState::new(seed).choice(images.len(), n);
    rows.sort_unstable();
    let batches = rows
        .into_iter()
        .map(|idx| images.batch(idx, 1)?.context("an image is gone"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shape = batches[0].shape().clone();
    ensure!(
        batches.iter().all(|batch| *batch.shape() == shape),
        "the images have different sizes: a leak check needs one size"
    );
    Ok(Tensor::cat(&batches, 0)?)
}

fn describe(
    what: &str,
    measured: &[CategoryLeak],
    findings: &[Finding],
    trained: Option<&Trained>,
) -> String {
    let mut text = what.to_owned();
    if let Some(trained) = trained {
        text += &match trained.augmentation.pipe {
            Some(_) => format!(", {}, p {:.3}", trained.augmentation, trained.p),
            None => ", trained without augmentation".to_owned(),
        };
    }
    text += &format!(
        "\n{:<16} {:>7} {:>8} {:>7}\n",
        "category", "share", "sigma", "power"
    );
    for (leak, finding) in measured.iter().zip(findings) {
        text += &format!(
            "{:<16} {:>6.1}% {:>8.1} {:>6.0}%{}\n",
            leak.category.name(),
            leak.share * 100.0,
            leak.significance,
            leak.power * 100.0,
            finding.text()
        );
    }
    if !findings.contains(&Finding::Leaks) {
        text += "no leak found\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use leak::Category;

    use super::*;
    use crate::augmentation::AugmentationMode;

    #[test]
    fn a_leak_is_claimed_only_for_what_the_run_applied() {
        let noisy = CategoryLeak {
            category: Category::Noise,
            share: 0.286,
            significance: 12.0,
            power: 0.9,
            shows: true,
        };
        let trained = |pipe: Option<&str>, p: f64| Trained {
            augmentation: RunAugmentation {
                mode: AugmentationMode::Adaptive(0.6),
                pipe: pipe.map(|pipe| pipe.parse().unwrap()),
            },
            p,
        };
        let found = |trained: Trained| Finding::of(&noisy, Some(&trained));
        assert_eq!(found(trained(None, 0.0)), Finding::NotInPipe);
        assert_eq!(found(trained(Some("blit,geom"), 0.5)), Finding::NotInPipe);
        assert_eq!(found(trained(Some("bgcfn"), 0.004)), Finding::TooRare);
        assert_eq!(found(trained(Some("bgcfn"), 0.5)), Finding::Leaks);
        assert_eq!(Finding::of(&noisy, None), Finding::Leaks);
        let weak = CategoryLeak {
            shows: false,
            power: 0.1,
            ..noisy
        };
        assert_eq!(Finding::of(&weak, None), Finding::NoPower);
    }
}
