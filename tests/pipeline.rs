//! From pictures to the comparison of two runs, with the real programs, killed on the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{call, finished, pack_faces, stdout};

fn run_dir(outdir: &Path) -> PathBuf {
    let (_, run) = run_folder::run_dirs(outdir).unwrap().pop().unwrap();
    run
}

const RUN: &str = "--data faces.zip --cfg tiny32 --cbase 64 --cmax 8 --batch 8 --kimg 2 --snap 1 --state-every 1 \
                   --grid 4x2 --mirror --quiet";

#[test]
fn a_dump_becomes_a_dataset_two_runs_and_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pack_faces(dir, 40);
    finished(call(dir, "prep", "verify faces.zip"));
    let options = dataset::DatasetOptions::default();
    let dataset = dataset::ImageDataset::open(dir.join("faces.zip"), &options).unwrap();
    assert_eq!(dataset.shape(), [3, 32, 32]);
    assert!(dataset.len() >= 20, "{} faces", dataset.len());

    // train: with ADA, killed and resumed; without augmentation.
    let arguments = format!("{RUN} --outdir ada --aug ada --augpipe blit,geom");
    let mut child = call(dir, "train", &arguments).spawn().unwrap();
    let outdir = dir.join("ada");
    let has_state = || {
        let runs = run_folder::run_dirs(&outdir).unwrap_or_default();
        let states = runs.last().map(|(_, run)| run_folder::state_files(run));
        states.is_some_and(|states| states.is_ok_and(|states| !states.is_empty()))
    };
    while !has_state() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended without a state"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    finished(call(dir, "train", "--resume latest --outdir ada --quiet"));
    finished(call(
        dir,
        "train",
        &format!("{RUN} --outdir noaug --aug noaug"),
    ));
    let runs = [run_dir(&outdir), run_dir(&dir.join("noaug"))];
    for run in &runs {
        for name in [
            "training_options.json",
            "log.txt",
            "stats.jsonl",
            "reals.png",
            "fakes_init.png",
            "fakes000002.png",
            "network-snapshot-000002.safetensors",
        ] {
            assert!(run.join(name).is_file(), "{name}");
        }
    }

    // eval: both runs, then side by side.
    for run in &runs {
        let run = run.display();
        finished(call(
            dir,
            "eval",
            &format!("run {run} --metrics fid50_full --features face-detector --quiet"),
        ));
    }
    let metrics = std::fs::read_to_string(runs[0].join("metric-fid50_full.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(last["results"]["fid50_full"].as_f64().unwrap() > 0.0);
    let features = last["provenance"]["features"].as_str().unwrap();
    assert!(features.starts_with("face-detector-"), "{features}");
    assert_eq!(last["snapshot_pkl"], "network-snapshot-000002.safetensors");
    let arguments = format!(
        "compare {} {} --out compare.html --quiet",
        runs[0].display(),
        runs[1].display()
    );
    finished(call(dir, "eval", &arguments));
    let page = std::fs::read_to_string(dir.join("compare.html")).unwrap();
    assert!(page.contains("fid50_full") && page.contains("<svg"));

    // generate: pictures of the result; the same seed gives the same bytes.
    let pictures = |out: &str| {
        let network = runs[0].display();
        finished(call(
            dir,
            "generate",
            &format!("images --network {network} --seeds 3,7 --outdir {out} --quiet"),
        ));
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join(out))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert_eq!(files.len(), 2);
        std::fs::read(&files[0]).unwrap()
    };
    assert!(pictures("a") == pictures("b"));

    // The new run starts from the old one's networks.
    let snapshot = runs[0].join("network-snapshot-000002.safetensors");
    let arguments = format!(
        "{RUN} --outdir more --init-from {} --dry-run --json",
        snapshot.display()
    );
    let output = finished(call(dir, "train", &arguments));
    let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(result["config"]["ada_kimg"], 100);
}
