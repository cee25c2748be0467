//! A run that is stopped and resumed gives the same bits as a run that was never stopped.

mod common;

use std::path::Path;

use candle_core::Device;
use common::{Quiet, SIDE, bits, config, new_trainer, open, run_in, write_faces};
use run_folder::state_files;
use training::{Error, Outcome, Progress, TrainConfig, Trainer, TrainingState};

/// Resumes the newest training state of a folder.
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
        // The number of decoder threads must not affect the result.
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

/// The metric results of a run, and the names of its snapshots.
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

    // Stop after the first evaluation, then in the middle of the second.
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
    // Pretend that the first session took a day.
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
    // A tick is 1 kimg long, apart from the one step of tick 0.
    assert!((mean("Timing/sec_per_kimg") / mean("Timing/sec_per_tick") - 1.0).abs() < 0.02);
}
