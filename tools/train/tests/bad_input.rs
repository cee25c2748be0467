//! Bad input is refused before any work, with a message that says what to do.

mod common;

use common::{RUN, finished, folder, refused, run_dir, train};

#[test]
fn bad_input_is_named_with_a_way_out() {
    let dir = folder();
    let dir = dir.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    write("broken.zip", b"PK nothing");
    write("state.safetensors", b"short");
    write("page.zip", b"<!DOCTYPE html><html>");
    write("empty.zip", b"");
    write("gpus.toml", b"data = 'faces.zip'\ngpus = 2\n");
    write("slip.toml", b"data = 'faces.zip'\nkimgs = 2\n");
    let new = "--data faces.zip --outdir r";
    let cases: [(&str, i32, &[&str]); 48] = [
        ("--outdir r", 1, &["--data", "prep"]),
        ("--data faces.zip", 1, &["--outdir"]),
        ("--data none.zip --outdir r", 1, &["none.zip"]),
        (
            "--data broken.zip --outdir r",
            1,
            &["broken.zip", "damaged zip"],
        ),
        ("--data page.zip --outdir r", 1, &["page.zip", "a web page"]),
        (
            "--data empty.zip --outdir r",
            1,
            &["empty.zip", "an empty file"],
        ),
        ("{} --cfg tiny", 1, &["tiny32"]),
        ("{} --augpipe blot", 1, &["blot"]),
        ("{} --aug some", 2, &["noaug"]),
        ("{} --cond", 1, &["cond"]),
        ("{} --batch 6 --batch-gpu 4", 1, &["batch-gpu"]),
        (
            "{} --device gpu",
            1,
            &["--device gpu", "cpu, cuda and cuda:N"],
        ),
        ("{} --device cuda:99", 1, &["--device cuda:99"]),
        ("{} --gpus 2", 1, &["gpus", "one device"]),
        ("{} --config gpus.toml", 1, &["gpus", "one device"]),
        ("{} --config slip.toml", 1, &["slip.toml", "kimgs"]),
        ("{} --config none.toml", 1, &["--config", "none.toml"]),
        // Typing errors.
        ("{} --batch 4000000000", 1, &["batch", "16384"]),
        ("{} --threads 1000000", 2, &["--threads", "1024"]),
        ("{} --map-layers 100000", 1, &["map-layers", "64"]),
        ("{} --cmax 100000000", 1, &["cmax"]),
        // There are 1 + 3 * 2 layers at 16 px.
        ("{} --freezed 8", 1, &["freezed", "7"]),
        ("{} --seed 99999999999999999999999", 2, &["--seed"]),
        ("{} --seed 4294967296", 2, &["--seed", "4294967295"]),
        ("{} --snap 0", 1, &["snap"]),
        ("{} --keep-states 0", 1, &["keep-states"]),
        ("{} --allow-partial", 1, &["--init-from"]),
        // A path of the wrong kind.
        (
            "--data faces.zip --outdir faces.zip",
            1,
            &["--outdir", "a file"],
        ),
        ("--resume latest --outdir r", 1, &["--resume"]),
        ("--resume latest", 1, &["--outdir"]),
        ("--resume none", 1, &["'none'", "run folder"]),
        ("--resume state.safetensors", 1, &["state.safetensors"]),
        ("--resume faces.zip", 1, &["a dataset", "--data"]),
        ("--resume .", 1, &["no training state", "--init-from"]),
        ("{} --init-from .", 1, &["network-snapshot"]),
        ("{} --init-from none.pkl", 1, &["none.pkl", "ffhq512"]),
        (
            "{} --init-from ffhq512 --checkpoint newest",
            1,
            &["--checkpoint", "ffhq512"],
        ),
        ("{} --checkpoint newest", 1, &["--init-from"]),
        ("{} --checkpoint last", 2, &["best", "newest"]),
        ("{} --nobench=true", 2, &["cuDNN"]),
        ("{} --allow-tf32", 2, &["TensorFloat-32"]),
        // Metrics.
        ("{} --metrics fid", 1, &["--metrics fid", "fid50k_full"]),
        ("{} --metrics fid20_full", 1, &["weights", "eval weights"]),
        // The default metrics of a preset are checked, too.
        (
            "{} --cfg auto",
            1,
            &["fid50k_full", "eval weights", "--metrics none", "tiny64"],
        ),
        (
            "{} --metrics is50 --features random-inception-small",
            1,
            &["--metrics", "is50"],
        ),
        (
            "{} --metrics fid20_full --features some",
            1,
            &["random-inception"],
        ),
        // Augmentation preview.
        (
            "augment-preview --data faces.zip --p 1.5 --out s.png",
            2,
            &["0 to 1"],
        ),
        ("augment-preview --data faces.zip --out s.jpg", 2, &[".png"]),
    ];
    for (arguments, code, words) in cases {
        let arguments = arguments.replace("{}", new);
        let text = refused(train(dir, &arguments), code);
        for word in words {
            assert!(text.contains(word), "{arguments}: {text}");
        }
    }
    assert!(!dir.join("r").exists(), "nothing was begun");
}

#[test]
fn labels_of_entries_with_backslashes_are_used_and_system_files_left_out() {
    let dir = folder();
    let dir = dir.path();
    let png = |variant| {
        let image = test_support::faces::formula_image(16, variant);
        dataset::encode_png(&image, 0).unwrap().bytes().to_vec()
    };
    let (one, two) = (png(1), png(2));
    let labels = br#"{"labels": [["cat/1.png", 0], ["dog\\2.png", 1]]}"#;
    let members: [(&[u8], &[u8]); 5] = [
        (b"cat\\1.png", &one),
        (b"dog\\2.png", &two),
        (b"__MACOSX/._1.png", b"\0\x05\x16\x07\0\x02\0\0"),
        (b"Thumbs.db", b"\xd0\xcf\x11\xe0"),
        (b"dataset.json", labels),
    ];
    std::fs::write(dir.join("faces.zip"), test_support::zips::raw_zip(&members)).unwrap();
    let arguments = format!("{RUN} --outdir r --cond --dry-run --json");
    let output = finished(train(dir, &arguments));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["config"]["dataset"]["use_labels"], true, "{result}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("2 file(s) of the operating system"), "{text}");
}

#[test]
fn states_and_networks_are_distinguished() {
    let dir = folder();
    let dir = dir.path();
    finished(train(
        dir,
        &format!("{RUN} --kimg 1 --outdir runs").replace("--kimg 2 ", ""),
    ));
    let run = run_dir(&dir.join("runs"));
    let state = run_folder::state_files(&run).unwrap().pop().unwrap();
    let state = state.display();
    let text = refused(
        train(dir, &format!("{RUN} --outdir new --init-from {state}")),
        1,
    );
    assert!(
        text.contains("--resume") && text.contains("run's folder"),
        "{text}"
    );
    assert!(!dir.join("new").exists());

    // A run folder stands for one of its checkpoints, and `--resume` with networks means `--init-from`.
    let run = run.display();
    for start in [
        format!("--init-from {run}"),
        "--init-from runs/latest --checkpoint 1".to_owned(),
        format!("--resume {run}/network-snapshot-000001.safetensors"),
    ] {
        let arguments = format!("{RUN} --outdir new {start} --dry-run --json");
        let output = finished(train(dir, &arguments));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let from = result["config"]["init_from"].as_str().unwrap();
        assert!(
            from.ends_with("network-snapshot-000001.safetensors"),
            "{from}"
        );
        assert!(std::path::Path::new(from).is_absolute());
        assert!(
            std::path::Path::new(result["config"]["dataset"]["path"].as_str().unwrap())
                .is_absolute()
        );
    }

    // Networks that do not fit the run are refused with advice that works.
    let from = format!("{} --outdir new --init-from {run} --dry-run", RUN);
    let depth = format!("{from} --map-layers 3");
    let text = refused(train(dir, &depth), 1);
    assert!(
        text.contains("cannot be used here: mapping.num_layers 2 instead of 3"),
        "{text}"
    );
    assert!(!text.contains("mapping.fc2"), "{text}");
    let flags = text.split("use `").nth(1).unwrap().split('`').next();
    let obeyed = depth.replace("--map-layers 3", flags.unwrap());
    finished(train(dir, &obeyed));
    let verbose = refused(train(dir, &depth.replace("--quiet", "-v")), 1);
    assert!(verbose.contains("mapping.fc2.weight"), "{verbose}");

    let auto = from.replace("--cfg tiny32", "--cfg auto");
    let text = refused(train(dir, &auto), 1);
    assert!(
        text.contains("cannot be used here: z_dim 128 instead of 512 (and "),
        "{text}"
    );
    let presets = text.split("use the preset `").nth(1).unwrap();
    let obeyed = presets.split('`').next().unwrap();
    finished(train(dir, &from.replace("--cfg tiny32", obeyed)));
    // When no preset has this depth, the only advice is to load a part of the tensors.
    let text = refused(train(dir, &format!("{auto} --map-layers 3")), 1);
    assert!(!text.contains("use "), "{text}");
    assert!(text.contains("--allow-partial"), "{text}");
}
