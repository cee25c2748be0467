//! Whole runs: their files, metrics and seeds.

mod common;

use candle_core::Device;
use common::{Quiet, SIDE, bits, config, new_trainer, open, run_in, write_faces};
use run_folder::state_files;
use training::{Outcome, Start, Trainer};

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
    // Tick 0 is one step long; each later tick is 1 kimg.
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
    // Tick 0 is never evaluated.
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
    // The newest snapshot only: the one with the best metric (the first one) belongs to the warm-up.
    let mut snapshots: Vec<String> = std::fs::read_dir(&run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("network-snapshot"))
        .collect();
    snapshots.sort();
    assert_eq!(snapshots, ["network-snapshot-000003.safetensors"]);
    let snapshot = networks::Snapshot::load(run_dir.join(&snapshots[0]), &Device::Cpu).unwrap();
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
