//! Settings of resumed runs, and refusals that protect the user's data.

mod common;

use common::{METRICS, RUN, finished, folder, lines, read, refused, run_dir, train};
use run_folder::{RunFolder, state_files};

#[test]
fn an_older_state_deletes_nothing_unasked() {
    let dir = folder();
    let dir = dir.path();
    finished(train(dir, &format!("{RUN} --keep-states 3 --outdir runs")));
    let run = run_dir(&dir.join("runs"));
    let states = state_files(&run).unwrap();
    assert_eq!(states.len(), 3);
    let last = "network-snapshot-000002.safetensors";
    let (networks, log) = (read(&run, last), read(&run, "log.txt"));

    let older = states[1].display();
    let text = refused(train(dir, &format!("--resume {older}")), 1);
    assert!(
        text.contains("--discard-newer") && text.contains("newest"),
        "{text}"
    );
    assert_eq!(state_files(&run).unwrap(), states);
    assert_eq!(read(&run, "log.txt"), log);

    finished(train(
        dir,
        &format!("--resume {older} --discard-newer --quiet"),
    ));
    assert!(read(&run, last) == networks);
    assert_eq!(state_files(&run).unwrap(), states);
}

#[test]
fn two_programs_do_not_train_one_run() {
    let dir = folder();
    let dir = dir.path();
    let short = RUN.replace("--kimg 2", "--kimg 1");
    finished(train(dir, &format!("{short} --outdir runs")));
    let run = run_dir(&dir.join("runs"));
    let held = RunFolder::open(&run).unwrap();
    let resume = format!("--resume {} --kimg 2 --quiet", run.display());
    let text = refused(train(dir, &resume), 1);
    assert!(text.contains("another program"), "{text}");
    // A dry run is allowed.
    finished(train(dir, &format!("{resume} --dry-run")));
    drop(held);
    finished(train(dir, &resume));
}

#[test]
fn another_dataset_under_the_same_name_is_refused() {
    let dir = folder();
    let dir = dir.path();
    let short = RUN.replace("--kimg 2", "--kimg 1");
    finished(train(dir, &format!("{short} --outdir runs")));
    let run = run_dir(&dir.join("runs"));
    let resume = format!("--resume {} --kimg 2 --quiet", run.display());
    std::fs::rename(dir.join("faces.zip"), dir.join("moved.zip")).unwrap();
    let text = refused(train(dir, &resume), 1);
    assert!(text.contains("--data"), "{text}");
    // The same names and number of images, but other contents.
    test_support::faces::write_faces(&dir.join("faces.zip"), common::SIDE, true);
    let other = test_support::faces::formula_image(common::SIDE, 99);
    let mut writer =
        dataset::DatasetWriter::create(dir.join("faces.zip"), &dataset::WriterOptions::default())
            .unwrap();
    (0..24).for_each(|idx| _ = writer.add(idx, &other, None).unwrap());
    writer.finish().unwrap();
    let text = refused(train(dir, &resume), 1);
    assert!(
        text.contains("not the dataset") && text.contains("--init-from"),
        "{text}"
    );
    let accepted = format!("{resume} --accept-changed-data");
    finished(train(dir, &format!("{accepted} --dry-run")));
    finished(train(dir, &format!("{resume} --data moved.zip")));
    // One image more changes the order of all images.
    let image = test_support::faces::formula_image(common::SIDE, 7);
    let path = dir.join("faces.zip");
    let options = dataset::WriterOptions::default();
    let mut writer = dataset::DatasetWriter::create(path, &options).unwrap();
    (0..25).for_each(|idx| _ = writer.add(idx, &image, None).unwrap());
    writer.finish().unwrap();
    let accepted = accepted.replace("--kimg 2", "--kimg 3 --data faces.zip");
    let text = refused(train(dir, &accepted), 1);
    assert!(text.contains("25 images instead of 24"), "{text}");
}

#[test]
fn settings_are_remembered_and_only_some_may_change() {
    let dir = folder();
    let dir = dir.path();
    let settings = "data = 'faces.zip'\ncfg = 'tiny32'\nbatch = 8\ncbase = 64\ncmax = 8\nkimg = 1\ntick = 1\n\
                    snap = 1\ngrid = '2x2'\nmetrics = 'fid20_full'\nfeatures = 'random-inception-small'\n\
                    ada-max-p = 'none'\nstop-on-collapse = true\ndevice = 'cpu'\n";
    std::fs::write(dir.join("run.toml"), settings).unwrap();
    finished(train(dir, "--config run.toml --outdir runs --quiet"));
    let run = run_dir(&dir.join("runs"));
    let options: serde_json::Value =
        serde_json::from_slice(&read(&run, "training_options.json")).unwrap();
    assert_eq!(options["features"], "random-inception-small");

    // The settings file that the run began with changes nothing, and a flag beside it changes one setting.
    finished(train(
        dir,
        "--config run.toml --resume latest --outdir runs --kimg 2 --quiet",
    ));
    let config: serde_json::Value =
        serde_json::from_slice(&read(&run, "train_config.json")).unwrap();
    assert_eq!(
        (&config["total_kimg"], &config["ada_max_p"]),
        (&2.into(), &serde_json::Value::Null)
    );
    assert_eq!(config["stop_on_collapse"], true);
    let metrics = lines(&run, "metric-fid20_full.jsonl");
    assert_eq!(metrics.len(), 2);
    let log = String::from_utf8(read(&run, "log.txt")).unwrap();
    let logged: Vec<&str> = log
        .lines()
        .filter(|l| l.starts_with("fid20_full "))
        .collect();
    // Snapshots of the warm-up are never the best ones.
    assert!(
        logged.len() == 2 && !logged[0].contains("best"),
        "{logged:?}"
    );
    for line in run_folder::RunRecord::open(&run).unwrap().metrics {
        assert_eq!(line.features(), "random-inception-small");
    }
    let text = refused(
        train(
            dir,
            "--resume latest --outdir runs --kimg 3 --gamma 7 --batch 16",
        ),
        1,
    );
    assert!(text.contains("batch, gamma cannot change"), "{text}");
    let text = refused(
        train(dir, "--resume latest --outdir runs --kimg 3 --snap 0"),
        1,
    );
    assert!(text.contains("snap"), "{text}");
}

/// A limit on the size of files simulates a full disk: small files fit, networks and training states do not.
#[cfg(unix)]
#[test]
fn a_full_disk_at_the_end_is_an_error_and_costs_no_saved_state() {
    let dir = folder();
    let dir = dir.path();
    finished(train(dir, &format!("{RUN} {METRICS} --outdir whole")));
    let whole = run_dir(&dir.join("whole"));
    let short = format!("{RUN} {METRICS} --outdir runs").replace("--kimg 2", "--kimg 1");
    finished(train(dir, &short));
    let run = run_dir(&dir.join("runs"));
    let states = state_files(&run).unwrap();
    let before: Vec<_> = states
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();

    let resume = "--resume latest --outdir runs --kimg 2 --quiet";
    let program = env!("CARGO_BIN_EXE_train");
    let mut limited = train(dir, "");
    let full = format!("trap '' XFSZ; ulimit -f 60; exec '{program}' {resume}");
    let output = std::process::Command::new("sh")
        .args(["-c", &full])
        .current_dir(dir)
        .envs(
            limited
                .env("KAOGAN_OFFLINE", "1")
                .get_envs()
                .filter_map(|(k, v)| Some((k, v?))),
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("error:") && !text.contains("panicked"),
        "{text}"
    );
    assert_eq!(state_files(&run).unwrap(), states);
    let after: Vec<_> = states
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(before == after);

    finished(train(dir, resume));
    let last = "network-snapshot-000002.safetensors";
    assert!(read(&run, last) == read(&whole, last));
    let numbers = |run| lines(run, "stats.jsonl").len();
    assert_eq!(numbers(&run), numbers(&whole));
}
