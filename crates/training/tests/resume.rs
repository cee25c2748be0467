//! A run that is stopped and resumed is the run that never stopped, to the bit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Device;
use dataset::{DatasetOptions, ImageDataset};
use run_folder::{RunFolder, state_files};
use train_settings::{AugmentMode, DatasetDescription, Overrides, resolve};
use training::{
    Error, Evaluation, Event, Hooks, MetricOutcome, Outcome, Preset, Progress, Start, TrainConfig,
    Trainer, TrainingState, run,
};

const SIDE: usize = 16;

fn write_faces(path: &Path, with_labels: bool) {
    test_support::faces::write_faces(path, SIDE, with_labels);
}

fn config(data: &Path, change: impl FnOnce(&mut Overrides)) -> TrainConfig {
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
    let description = DatasetDescription {
        name: "faces".into(),
        path: data.display().to_string(),
        resolution: SIDE,
        num_channels: 3,
        num_images: 24,
        label_dim: if overrides.cond == Some(true) { 3 } else { 0 },
        fingerprint: None,
    };
    let mut config = resolve(Preset::Tiny32, &description, &overrides).unwrap();
    // Small enough for a test, with an augmentation probability that changes within it.
    config.generator.z_dim = 8;
    config.generator.w_dim = 8;
    config.generator.mapping = networks::MappingConfig {
        num_layers: 2,
        ..networks::MappingConfig::new(8)
    };
    config.ada_kimg = 1;
    config
}

fn open(config: &TrainConfig) -> Arc<ImageDataset> {
    let options = DatasetOptions {
        use_labels: config.dataset.use_labels,
        xflip: config.dataset.xflip,
        ..DatasetOptions::default()
    };
    Arc::new(ImageDataset::open(&config.dataset.path, &options).unwrap())
}

fn new_trainer(config: &TrainConfig) -> Trainer {
    let start = Start::fresh(config, &Device::Cpu).unwrap();
    Trainer::new(config, open(config), start, &Device::Cpu).unwrap()
}

/// Every weight, moment and average as bits.
fn bits(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
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

struct Quiet {
    wrote: Vec<PathBuf>,
    warnings: Vec<String>,
    /// Stops after so many steps.
    steps_left: Option<usize>,
    stops_in_evaluation: bool,
    stop: Arc<AtomicBool>,
}

impl Quiet {
    fn new(steps: Option<usize>) -> Self {
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

    /// The value is the kimg, so that the first is the best; a metric called `broken` fails, and a stop in the middle
    /// costs what has not been measured.
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

/// A run of its own folder.
fn run_in(
    path: &Path,
    trainer: &mut Trainer,
    progress: Option<Progress>,
    hooks: &mut Quiet,
) -> training::Result<Outcome> {
    std::fs::create_dir_all(path).unwrap();
    let stop = hooks.stop.clone();
    run(&RunFolder::open(path)?, trainer, progress, hooks, &stop)
}

/// The run that goes on from the newest state of a folder.
fn resumed(path: &Path, config: &TrainConfig) -> (Trainer, Progress) {
    let state = TrainingState::latest(path, &Device::Cpu, |e| panic!("{e}")).unwrap();
    state.resume(config, open(config), &Device::Cpu).unwrap()
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    for cond in [false, true] {
        write_faces(&data, cond);
        let config = config(&data, |o| o.cond = Some(cond));
        let mut whole = new_trainer(&config);
        for _ in 0..34 {
            whole.step().unwrap();
        }

        let run_dir = dir.path().join(format!("run-{cond}"));
        let mut trainer = new_trainer(&config);
        let mut hooks = Quiet::new(Some(19));
        let outcome = run_in(&run_dir, &mut trainer, None, &mut hooks).unwrap();
        assert_eq!(outcome, Outcome::Stopped);
        drop(trainer);

        let state = TrainingState::latest(&run_dir, &Device::Cpu, |e| panic!("{e}")).unwrap();
        assert_eq!(state.config, config);
        // Another number of threads must not matter.
        let other_threads = TrainConfig {
            num_workers: 1,
            ..config.clone()
        };
        let (mut resumed, _) = state
            .resume(&other_threads, open(&config), &Device::Cpu)
            .unwrap();
        assert_eq!(resumed.learner().batch_idx, 19);
        for _ in 0..15 {
            resumed.step().unwrap();
        }
        assert_eq!(whole.p(), resumed.p());
        assert!(whole.p() > 0.0, "the augmentation was on");
        assert_eq!(
            whole.learner().losses.pl_mean.to_bits(),
            resumed.learner().losses.pl_mean.to_bits()
        );
        for ((name, a), (other, b)) in bits(&whole).into_iter().zip(bits(&resumed)) {
            assert_eq!(name, other);
            assert!(a == b, "{name} differs after resuming");
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let one_step = |seed| {
        let mut trainer = new_trainer(&config(&data, |o| o.seed = Some(seed)));
        trainer.step().unwrap();
        bits(&trainer)
    };
    assert!(one_step(1) == one_step(1));
    assert!(one_step(1) != one_step(2));
}

#[test]
fn a_whole_run_leaves_the_official_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let config = config(&data, |o| {
        o.metrics = Some(vec!["fid50k_full".into()]);
        o.kimg = Some(3);
        o.keep = Some(1);
    });
    let run_dir = dir.path().join("run");
    let mut trainer = new_trainer(&config);
    let mut hooks = Quiet::new(None);
    let outcome = run_in(&run_dir, &mut trainer, None, &mut hooks).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert!(hooks.warnings.is_empty(), "{:?}", hooks.warnings);

    let read = |name: &str| std::fs::read_to_string(run_dir.join(name)).unwrap();
    let lines = read("stats.jsonl");
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Tick 0 is one step, then one a kimg.
    assert_eq!(lines.len(), 4);
    for tag in [
        "Loss/scores/fake",
        "Loss/signs/fake",
        "Loss/G/loss",
        "Loss/pl_penalty",
        "Loss/G/reg",
        "Loss/scores/real",
        "Loss/signs/real",
        "Loss/D/loss",
        "Loss/r1_penalty",
        "Loss/D/reg",
        "Progress/tick",
        "Progress/kimg",
        "Progress/augment",
        "Timing/Gmain",
        "Timing/Dreg",
        "Resources/cpu_mem_gb",
    ] {
        assert!(lines[3][tag]["mean"].is_f64(), "{tag}");
    }
    assert_eq!(lines[3]["Progress/tick"]["mean"], 3.0);
    assert_eq!(lines[1]["Loss/scores/real"]["num"], 8 * 125 + 8 * 7);
    let log = read("log.txt");
    assert!(log.starts_with("Loading training set...\n"), "{log}");
    assert!(log.contains("\ntick 3     kimg 3.0      time "), "{log}");
    assert!(log.ends_with("Exiting...\n"));
    let options: serde_json::Value = serde_json::from_str(&read("training_options.json")).unwrap();
    assert_eq!(options["batch_size"], 8);
    let metrics = read("metric-fid50k_full.jsonl");
    let metrics: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Never at tick 0.
    assert_eq!(metrics.len(), 3);
    assert_eq!(metrics[2]["results"]["fid50k_full"], 3.0);
    assert_eq!(
        metrics[2]["snapshot_pkl"],
        "network-snapshot-000003.safetensors"
    );

    for name in [
        "reals.png",
        "fakes_init.png",
        "fakes000000.png",
        "fakes000003.png",
    ] {
        let bytes = std::fs::read(run_dir.join(name)).unwrap();
        let image = dataset::decode(&bytes).unwrap();
        assert_eq!((image.width, image.height), (3 * SIDE, 2 * SIDE), "{name}");
    }
    // The best of the metric (the first) and the newest.
    let mut snapshots: Vec<String> = std::fs::read_dir(&run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("network-snapshot"))
        .collect();
    snapshots.sort();
    assert_eq!(
        snapshots,
        [
            "network-snapshot-000001.safetensors",
            "network-snapshot-000003.safetensors"
        ]
    );
    let snapshot = networks::Snapshot::load(run_dir.join(&snapshots[1]), &Device::Cpu).unwrap();
    assert!(snapshot.g.is_some() && snapshot.d.is_some() && snapshot.g_ema.is_some());
    let states = state_files(&run_dir).unwrap();
    assert_eq!(states.len(), 2, "after tick 0 and at the end");
}

#[test]
fn failing_metrics_do_not_stop_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let names = ["broken", "fid5k_full"].map(str::to_owned);
    let config = config(&data, |o| o.metrics = Some(names.to_vec()));
    let mut trainer = new_trainer(&config);
    let mut hooks = Quiet::new(None);
    run_in(dir.path(), &mut trainer, None, &mut hooks).unwrap();
    assert_eq!(hooks.warnings.len(), 1);
    assert!(hooks.warnings[0].contains("no weights"));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("log.txt").contains("\nWarning: no metric of network-snapshot-000001"));
    assert_eq!(read("metric-fid5k_full.jsonl").lines().count(), 1);
}

#[test]
fn a_damaged_state_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let config = config(&data, |o| o.state_every = Some(1));
    let mut trainer = new_trainer(&config);
    let mut hooks = Quiet::new(Some(5));
    run_in(dir.path(), &mut trainer, None, &mut hooks).unwrap();
    let states = state_files(dir.path()).unwrap();
    assert_eq!(states.len(), 2, "after tick 0 and at the stop");
    let bytes = std::fs::read(&states[1]).unwrap();
    std::fs::write(&states[1], &bytes[..bytes.len() / 2]).unwrap();
    let mut damaged = 0;
    let state = TrainingState::latest(dir.path(), &Device::Cpu, |_| damaged += 1).unwrap();
    assert_eq!((damaged, &state.path), (1, &states[0]));
    std::fs::write(&states[0], b"").unwrap();
    let error = TrainingState::latest(dir.path(), &Device::Cpu, |_| damaged += 1);
    assert!(error.is_err());
    assert_eq!(damaged, 3);
}

/// What a run with metrics leaves: results, best values, snapshots.
fn measured(run_dir: &Path) -> (String, Vec<String>) {
    let metrics = std::fs::read_to_string(run_dir.join("metric-fid5k_full.jsonl")).unwrap();
    let mut snapshots: Vec<String> = std::fs::read_dir(run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("network-snapshot"))
        .collect();
    snapshots.sort();
    (metrics, snapshots)
}

#[test]
fn a_resumed_run_measures_as_the_uninterrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let config = config(&data, |o| {
        o.metrics = Some(vec!["fid5k_full".into()]);
        o.kimg = Some(3);
        o.keep = Some(1);
        o.state_every = Some(1);
    });
    let whole = dir.path().join("whole");
    let mut trainer = new_trainer(&config);
    run_in(&whole, &mut trainer, None, &mut Quiet::new(None)).unwrap();
    let expected = measured(&whole);
    assert_eq!(expected.0.lines().count(), 3);

    // Stopped after the first evaluation, and in the middle of the second.
    let broken = dir.path().join("broken");
    let mut trainer = new_trainer(&config);
    run_in(&broken, &mut trainer, None, &mut Quiet::new(Some(130))).unwrap();
    let (mut trainer, progress) = resumed(&broken, &config);
    assert_eq!(progress.metrics["Metrics/fid5k_full"], 1.0);
    let mut hooks = Quiet::new(None);
    hooks.stops_in_evaluation = true;
    let outcome = run_in(&broken, &mut trainer, Some(progress), &mut hooks).unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    let (mut trainer, progress) = resumed(&broken, &config);
    let missing = "network-snapshot-000002.safetensors";
    assert_eq!(progress.pending_evaluation.as_deref(), Some(missing));
    run_in(&broken, &mut trainer, Some(progress), &mut Quiet::new(None)).unwrap();
    assert_eq!(measured(&broken), expected);
}

#[test]
fn an_older_state_leads_to_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let config = config(&data, |o| {
        o.kimg = Some(2);
        o.state_every = Some(1);
        o.keep_states = Some(4);
    });
    let mut whole = new_trainer(&config);
    run_in(dir.path(), &mut whole, None, &mut Quiet::new(None)).unwrap();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let last = read("network-snapshot-000002.safetensors");
    let n_lines = |name: &str| String::from_utf8(read(name)).unwrap().lines().count();
    let n_ticks = n_lines("stats.jsonl");
    let states = state_files(dir.path()).unwrap();
    assert_eq!(states.len(), 3, "after ticks 0, 1 and 2");

    let state = TrainingState::read(&states[0], &Device::Cpu).unwrap();
    let (mut trainer, progress) = state.resume(&config, open(&config), &Device::Cpu).unwrap();
    run_in(
        dir.path(),
        &mut trainer,
        Some(progress),
        &mut Quiet::new(None),
    )
    .unwrap();
    assert!(bits(&whole) == bits(&trainer));
    assert!(read("network-snapshot-000002.safetensors") == last);
    assert_eq!(n_lines("stats.jsonl"), n_ticks);
    assert_eq!(state_files(dir.path()).unwrap(), states);
}

#[test]
fn an_image_that_cannot_be_read_costs_no_step() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("faces");
    let write = |idx: usize, len: Option<usize>| {
        let image = test_support::faces::formula_image(SIDE, idx);
        let encoded = dataset::encode_png(&image, 0).unwrap();
        let len = len.unwrap_or(encoded.bytes().len());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join(format!("{idx:02}.png")),
            &encoded.bytes()[..len],
        )
        .unwrap();
    };
    (0..24).for_each(|idx| write(idx, None));
    let config = config(&folder, |_| {});
    let mut whole = new_trainer(&config);
    for _ in 0..20 {
        whole.step().unwrap();
    }

    let run_dir = dir.path().join("run");
    let mut trainer = new_trainer(&config);
    let mut hooks = Quiet::new(Some(7));
    run_in(&run_dir, &mut trainer, None, &mut hooks).unwrap();
    write(11, Some(90));
    let (mut trainer, progress) = resumed(&run_dir, &config);
    let error = run_in(
        &run_dir,
        &mut trainer,
        Some(progress),
        &mut Quiet::new(None),
    );
    match error {
        Err(Error::Dataset(error)) => assert!(error.to_string().contains("'11.png'"), "{error}"),
        other => panic!("{other:?}"),
    }
    write(11, None);
    let (mut trainer, _) = resumed(&run_dir, &config);
    assert!((7..20).contains(&trainer.learner().batch_idx));
    while trainer.learner().batch_idx < 20 {
        trainer.step().unwrap();
    }
    assert!(bits(&whole) == bits(&trainer));
}

#[test]
fn a_resumed_tick_is_timed_by_all_of_its_steps() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let config = config(&data, |_| {});
    let mut trainer = new_trainer(&config);
    run_in(dir.path(), &mut trainer, None, &mut Quiet::new(Some(60))).unwrap();
    let (mut trainer, mut progress) = resumed(dir.path(), &config);
    assert!(progress.tick_elapsed_sec > 0.0);
    assert!(progress.tick_elapsed_sec <= progress.elapsed_sec);
    // As if the first session had taken a day.
    progress.tick_elapsed_sec = 86_400.0;
    run_in(
        dir.path(),
        &mut trainer,
        Some(progress),
        &mut Quiet::new(None),
    )
    .unwrap();
    let stats = std::fs::read_to_string(dir.path().join("stats.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(stats.lines().last().unwrap()).unwrap();
    let mean = |name: &str| last[name]["mean"].as_f64().unwrap();
    assert!(mean("Timing/sec_per_tick") > 86_400.0);
    // One tick is one kimg, less the step of tick 0.
    assert!((mean("Timing/sec_per_kimg") / mean("Timing/sec_per_tick") - 1.0).abs() < 0.02);
}

#[test]
fn a_dataset_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("faces.zip");
    write_faces(&data, false);
    let mut other = config(&data, |_| {});
    other.generator.img_resolution = 32;
    other.discriminator.img_resolution = 32;
    let start = Start::fresh(&other, &Device::Cpu).unwrap();
    let error = Trainer::new(&other, open(&other), start, &Device::Cpu);
    let text = error.err().unwrap().to_string();
    assert!(
        text.contains("data") && text.contains("[3, 16, 16]"),
        "{text}"
    );
}
