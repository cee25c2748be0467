//! Runs of tiny networks for tests.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use dataset::{DatasetOptions, ImageDataset};
use run_folder::RunFolder;
use train_settings::{AugmentMode, DatasetDescription, Overrides, resolve};
use training::{
    Evaluation, Event, Hooks, MetricOutcome, Outcome, Preset, Progress, Start, TrainConfig,
    Trainer, run,
};

/// Width and height of the images.
pub const SIDE: usize = 16;

/// Writes a dataset of 24 images; `with_labels` gives each a label of 3 elements.
pub fn write_faces(path: &Path, with_labels: bool) {
    test_support::faces::write_faces(path, SIDE, with_labels);
}

/// The configuration of a run with adaptive augmentation; `change` can override other settings.
pub fn config(data: &Path, change: impl FnOnce(&mut Overrides)) -> TrainConfig {
    let mut overrides = Overrides {
        batch: Some(8),
        batch_gpu: Some(4),
        cbase: Some(128),
        cmax: Some(16),
        mirror: Some(true),
        aug: Some(AugmentMode::Ada),
        augpipe: Some("bgcfnc".into()),
        grid: Some([3, 2]),
        kimg: Some(1),
        tick: Some(1),
        snap: Some(1),
        metrics: Some(Vec::new()),
        ..Overrides::default()
    };
    change(&mut overrides);
    let mut config = tiny_config(data, &overrides);
    // The augmentation probability changes within a test.
    config.ada_kimg = 1;
    config
}

/// The configuration of a run of tiny networks on the images of [`write_faces`].
pub fn tiny_config(data: &Path, overrides: &Overrides) -> TrainConfig {
    let description = DatasetDescription {
        name: "faces".into(),
        path: data.display().to_string(),
        resolution: SIDE,
        num_channels: 3,
        num_images: 24,
        label_dim: if overrides.cond == Some(true) { 3 } else { 0 },
        fingerprint: None,
    };
    let mut config = resolve(Preset::Tiny32, &description, overrides).unwrap();
    config.generator.z_dim = 8;
    config.generator.w_dim = 8;
    config.generator.mapping = networks::MappingConfig {
        num_layers: 2,
        ..networks::MappingConfig::new(8)
    };
    config
}

/// Opens the dataset of a run.
pub fn open(config: &TrainConfig) -> Arc<ImageDataset> {
    let options = DatasetOptions {
        use_labels: config.dataset.use_labels,
        xflip: config.dataset.xflip,
        ..DatasetOptions::default()
    };
    Arc::new(ImageDataset::open(&config.dataset.path, &options).unwrap())
}

/// A new run on the CPU.
pub fn new_trainer(config: &TrainConfig) -> Trainer {
    let start = Start::fresh(config, &Device::Cpu).unwrap();
    Trainer::new(config, open(config), start, &Device::Cpu).unwrap()
}

/// The bits of all saved tensors of a run, by name.
pub fn bits(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let learner = trainer.learner();
    let networks = [
        learner.networks.g.parameters(),
        learner.networks.d.parameters(),
        learner.g_ema.parameters(),
    ];
    let weights = networks.into_iter().flat_map(|p| p.tensors());
    let moments = learner
        .g_adam
        .tensors()
        .chain(learner.d_adam.tensors())
        .map(|(name, tensor)| (name, tensor.clone()));
    weights
        .chain(moments)
        .map(|(name, tensor)| {
            let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (name, values.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

/// Hooks that record events, and can stop the run.
pub struct Quiet {
    pub wrote: Vec<PathBuf>,
    pub warnings: Vec<String>,
    /// Stops the run after this many steps.
    pub steps_left: Option<usize>,
    /// Stops the run in the next evaluation.
    pub stops_in_evaluation: bool,
    pub stop: Arc<AtomicBool>,
}

impl Quiet {
    pub fn new(steps: Option<usize>) -> Self {
        Self {
            wrote: Vec::new(),
            warnings: Vec::new(),
            steps_left: steps,
            stops_in_evaluation: false,
            stop: Arc::default(),
        }
    }
}

impl Hooks for Quiet {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Wrote(path) => self.wrote.push(path.to_owned()),
            Event::Warning(text) => self.warnings.push(text.to_owned()),
            Event::Step { .. } => {
                if let Some(left) = &mut self.steps_left {
                    *left -= 1;
                    if *left == 0 {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                }
            }
            _ => {}
        }
    }

    /// The value of each metric is the snapshot's kimg, so that the first snapshot is the best. A metric called
    /// `broken` fails. With `stops_in_evaluation` the run is asked to stop and no metric is computed.
    fn evaluate(&mut self, evaluation: &Evaluation<'_>) -> Vec<Result<MetricOutcome, String>> {
        let value = evaluation.kimg as f64;
        let name = evaluation.snapshot.file_name().unwrap().to_str().unwrap();
        if self.stops_in_evaluation {
            self.stop.store(true, Ordering::Relaxed);
            return vec![Err("asked to stop".into())];
        }
        let outcome = |metric: &String| match metric.as_str() {
            "broken" => Err("broken: no weights".into()),
            _ => Ok(MetricOutcome {
                metric: metric.clone(),
                results: [(metric.clone(), value.into())].into_iter().collect(),
                line: serde_json::json!({"results": {metric: value}, "snapshot_pkl": name}),
            }),
        };
        evaluation.metrics.iter().map(outcome).collect()
    }
}

/// Trains a run in a folder.
pub fn run_in(
    path: &Path,
    trainer: &mut Trainer,
    progress: Option<Progress>,
    hooks: &mut Quiet,
) -> training::Result<Outcome> {
    std::fs::create_dir_all(path).unwrap();
    let stop = hooks.stop.clone();
    run(&RunFolder::open(path)?, trainer, progress, hooks, &stop)
}
