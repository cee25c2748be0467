//! Snapshots that cannot be read, and paths that are not UTF-8.

mod common;

use common::{eval, lines, ok, write_dataset, write_run, write_snapshot};

const MEASURE: [&str; 6] = [
    "--metrics",
    "fid20_full",
    "--features",
    "random-inception-small",
    "--bootstrap",
    "0",
];

#[test]
fn a_run_with_damaged_snapshots_is_measured_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write_dataset(&root.join("data.zip"), 30);
    let run = root.join("run");
    write_run(&run, &root.join("data.zip"), None, &[]);
    let first = run.join("network-snapshot-000000.safetensors");
    let bytes = std::fs::read(&first).unwrap();
    std::fs::write(&first, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(run.join("network-snapshot-000040.pkl"), "no pickle").unwrap();
    std::fs::remove_file(run.join("network-snapshot-000040.safetensors")).unwrap();
    let args = [&["run", "run"][..], &MEASURE].concat();
    let output = eval(root, &args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("2 snapshots cannot be read") && last.contains("1 others were measured"),
        "{told}"
    );
    for name in [
        "network-snapshot-000000.safetensors",
        "network-snapshot-000040.pkl",
    ] {
        assert!(last.contains(name), "{told}");
        assert!(told.contains(&format!("run/{name}' is left out")), "{told}");
    }
    let results = lines(&run.join("metric-fid20_full.jsonl"));
    let measured: Vec<&str> = results
        .iter()
        .map(|line| line["snapshot_pkl"].as_str().unwrap())
        .collect();
    assert_eq!(measured, ["network-snapshot-000080.safetensors"]);
    // When they are restored, only they are measured.
    write_snapshot(&first, 0);
    std::fs::remove_file(run.join("network-snapshot-000040.pkl")).unwrap();
    ok(root, &args);
    let results = lines(&run.join("metric-fid20_full.jsonl"));
    assert_eq!(results.len(), 2);
}

#[cfg(unix)]
#[test]
fn every_path_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let below = |name: &[u8]| root.join(OsStr::from_bytes(name));
    write_dataset(&below(b"data\xe9.zip"), 30);
    write_run(&below(b"run\xe9"), &root.join("data.zip"), None, &[12.5]);
    let eval_raw = |args: &[&[u8]], rest: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_eval"))
            .current_dir(root)
            .env("KAOGAN_CACHE", below(b"cache\xe9"))
            .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
            .args(rest)
            .arg("--json")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            told,
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for (args, rest) in [
        (
            &[
                &b"metrics"[..],
                b"--network",
                b"run\xe9/network-snapshot-000040.safetensors",
                b"--data",
                b"data\xe9.zip",
                b"--out",
                b"results\xe9.jsonl",
            ][..],
            &MEASURE[..],
        ),
        (
            &[
                b"run",
                b"run\xe9",
                b"--data",
                b"data\xe9.zip",
                b"--every",
                b"20",
            ],
            &MEASURE,
        ),
        (
            &[
                b"compare",
                b"run\xe9",
                b"-o",
                b"page\xe9.html",
                b"--plots",
                b"plots\xe9",
            ],
            &[],
        ),
        (
            &[
                b"video",
                b"run\xe9",
                b"-o",
                b"film\xe9.png",
                b"--columns",
                b"1",
                b"--rows",
                b"1",
            ],
            &[],
        ),
    ] {
        let (code, told, _) = eval_raw(args, rest);
        assert_eq!(code, Some(0), "{told}");
    }
    assert_eq!(lines(&below(b"results\xe9.jsonl")).len(), 1);
    assert!(below(b"page\xe9.html").is_file() && below(b"film\xe9.png").is_file());
    let (code, told, _) = eval_raw(
        &[
            b"metrics",
            b"--network",
            b"gone\xe9",
            b"--data",
            b"data\xe9.zip",
        ],
        &MEASURE,
    );
    assert!(
        code == Some(1) && told.contains("gone") && told.contains("neither a file"),
        "{told}"
    );
    let (code, told, _) = eval_raw(
        &[
            b"metrics",
            b"--network",
            b"x",
            b"--data",
            b"y\xe9",
            b"--device",
            b"\xe9",
        ],
        &[],
    );
    assert!(
        code == Some(2) && told.contains("--device '\\xE9'"),
        "{told}"
    );
}
