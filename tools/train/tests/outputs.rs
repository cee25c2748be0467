//! `augment-preview` replaces its own outputs, but files of the user only with `--force`. Damage to files that training
//! reads is detected.

mod common;

use common::{METRICS, RUN, finished, folder, lines, read, refused, run_dir, train};
use run_folder::state_files;
use training::TrainingState;

#[test]
fn the_augment_preview_replaces_files_of_the_user_by_force_only() {
    let dir = folder();
    let dir = dir.path();
    let preview = "augment-preview --data faces.zip --grid 2x2 --out s.png";
    let path = dir.join("s.png");
    std::fs::write(&path, "of the user").unwrap();
    let text = refused(train(dir, preview), 1);
    assert!(text.contains("s.png") && text.contains("--force"), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), b"of the user");
    finished(train(dir, &format!("{preview} --force")));
    let first = std::fs::read(&path).unwrap();
    finished(train(dir, preview));
    assert!(std::fs::read(&path).unwrap() == first);

    // An image of a dataset in a folder.
    std::fs::create_dir(dir.join("faces")).unwrap();
    let image = dataset::Image {
        width: 16,
        height: 16,
        channels: 3,
        pixels: vec![90; 16 * 16 * 3],
    };
    let png = dataset::encode_png(&image, 1).unwrap();
    std::fs::write(dir.join("faces/a.png"), png.bytes()).unwrap();
    let inside = "augment-preview --data faces --grid 2x2 --out faces/a.png --force";
    let text = refused(train(dir, inside), 1);
    assert!(text.contains("is an input"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_written_loses_no_metric() {
    let dir = folder();
    let dir = dir.path();
    std::fs::write(dir.join("cache"), "").unwrap();
    let output = finished(train(dir, &format!("{RUN} {METRICS} --outdir runs")));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("KAOGAN_CACHE") && text.contains("real-stats"),
        "{text}"
    );
    let run = run_dir(&dir.join("runs"));
    assert_eq!(lines(&run, "metric-fid20_full.jsonl").len(), 2);
}

#[test]
fn flipped_bits_of_snapshots_and_states_are_noticed() {
    let dir = folder();
    let dir = dir.path();
    finished(train(dir, &format!("{RUN} --outdir runs")));
    let run = run_dir(&dir.join("runs"));
    let mut random = rng::RandomState::new(5);
    let mut flip = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let bit = random.randint(0, 8 * bytes.len() as i64) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    // A network to start from.
    let name = "network-snapshot-000002.safetensors";
    let whole = read(&run, name);
    let start = format!(
        "{RUN} --outdir others --init-from {}",
        run.join(name).display()
    );
    for _ in 0..3 {
        std::fs::write(run.join(name), flip(&whole)).unwrap();
        let text = refused(train(dir, &start), 1);
        assert!(text.contains(name), "{text}");
        assert!(
            text.contains("damaged") || text.contains("cut short"),
            "{text}"
        );
    }
    std::fs::write(run.join(name), &whole).unwrap();
    // A damaged state: the run folder resumes from the state before it; naming the damaged file is an error.
    let states = state_files(&run).unwrap();
    let newest = states.last().unwrap();
    let state = std::fs::read(newest).unwrap();
    std::fs::write(newest, flip(&state)).unwrap();
    let text = refused(train(dir, &format!("--resume {}", newest.display())), 1);
    assert!(text.contains("training-state-"), "{text}");
    let resumed = finished(train(dir, &format!("--resume {} --quiet", run.display())));
    let text = String::from_utf8_lossy(&resumed.stderr);
    assert!(text.contains("resuming from the state before"), "{text}");
    assert!(read(&run, name) == whole);
    // The state contains the time, so its bytes differ from those of an uninterrupted run.
    assert!(TrainingState::read(newest, &candle_core::Device::Cpu).is_ok());
}
