//! What one program leaves, broken or in the wrong place, in the hands of the next: an error that names it, nothing left.

use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;

use e2e::{call, pack_faces};

/// Every file and folder below `dir` but the cache.
fn content(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == dir.join("cache") {
                continue;
            }
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_broken_or_misplaced_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pack_faces(dir, 12);
    let zip = std::fs::read(dir.join("faces.zip")).unwrap();
    std::fs::write(dir.join("half.zip"), &zip[..zip.len() / 2]).unwrap();
    // One bit of a picture, well inside the archive.
    let mut rotten = zip.clone();
    rotten[zip.len() / 3] ^= 0x10;
    std::fs::write(dir.join("rotten.zip"), rotten).unwrap();
    std::fs::create_dir(dir.join("nothing")).unwrap();
    std::fs::write(dir.join("weights.pkl"), b"cos\nsystem\n(S'true'\ntR.").unwrap();

    // Arguments, exit code, what the error must name.
    let cases: [(&str, &str, i32, &[&str]); 17] = [
        ("prep", "run --out x.zip", 2, &["INPUT"]),
        ("prep", "run gone --out x.zip", 1, &["gone"]),
        (
            "prep",
            "run dump/pictures --out x.zip --detector cascade:gone.xml",
            1,
            &["gone.xml"],
        ),
        (
            "prep",
            "run dump/pictures --out x.zip --resolution 0",
            2,
            &["--resolution"],
        ),
        ("prep", "verify half.zip", 1, &["half.zip"]),
        ("prep", "verify rotten.zip", 1, &["rotten.zip", "1 problem"]),
        (
            "train",
            "--data half.zip --outdir r --cfg tiny32",
            1,
            &["half.zip"],
        ),
        (
            "train",
            "--data dump/pictures --outdir r --cfg tiny32",
            1,
            &["squares"],
        ),
        (
            "train",
            "--data faces.manifest.jsonl --outdir r --cfg tiny32",
            1,
            &["faces.manifest.jsonl"],
        ),
        (
            "train",
            "--data faces.zip --outdir r --cfg tiny32 --init-from weights.pkl",
            1,
            &["weights.pkl", "system"],
        ),
        ("train", "--resume nothing", 1, &["nothing"]),
        (
            "eval",
            "run nothing --metrics fid50_full --features face-detector",
            1,
            &["nothing"],
        ),
        ("eval", "compare nothing gone --out c.html", 1, &["nothing"]),
        (
            "eval",
            "metrics --network faces.zip --data faces.zip --metrics fid50_full",
            1,
            &["faces.zip"],
        ),
        (
            "eval",
            "images nothing faces.zip --features face-detector",
            1,
            &["nothing"],
        ),
        (
            "generate",
            "images --network faces.zip --seeds 0 --outdir p",
            1,
            &["faces.zip"],
        ),
        (
            "generate",
            "convert weights.pkl w.safetensors",
            1,
            &["weights.pkl", "system"],
        ),
    ];
    let before = content(dir);
    let mut wrong = Vec::new();
    for (program, arguments, code, named) in cases {
        let output = call(dir, program, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let mut complain =
            |what: String| wrong.push(format!("{what}: {program} {arguments}\n{said}"));
        if output.status.code() != Some(code) {
            complain(format!("{} in place of {code}", output.status));
        }
        if said.contains("panicked") {
            complain("a panic".into());
        }
        for word in named.iter().filter(|&word| !said.contains(word)) {
            complain(format!("'{word}' is not named"));
        }
        for path in content(dir).iter().filter(|path| !before.contains(path)) {
            complain(format!("'{}' is left", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The end of a program that must fail within a minute, and what it said.
#[cfg(unix)]
fn failed(dir: &Path, program: &str, arguments: &str) -> (Option<i32>, String) {
    use std::io::Read;
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    let mut command = call(dir, program, arguments);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{program} {arguments} waits");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (child.wait().unwrap().code(), said)
}

#[cfg(unix)]
#[test]
fn pipes_in_place_of_files_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    pack_faces(dir, 12);
    let made = Command::new("mkfifo").arg(dir.join("pipe")).status();
    assert!(made.unwrap().success());
    std::fs::create_dir(dir.join("run")).unwrap();
    for (program, arguments) in [
        ("prep", "run pipe --out x.zip"),
        ("prep", "run @pipe --out x.zip"),
        ("prep", "run dump/pictures --out x.zip --recipe pipe"),
        ("prep", "run dump/pictures --out x.zip --metadata pipe"),
        ("prep", "run dump/pictures --out x.zip --exclude pipe"),
        (
            "prep",
            "run dump/pictures --out x.zip --detector boxes:pipe",
        ),
        ("prep", "run dump/pictures --out x.zip --detector onnx:pipe"),
        (
            "prep",
            "run dump/pictures --out x.zip --detector cascade:pipe",
        ),
        ("prep", "verify pipe"),
        ("prep", "diff pipe faces.manifest.jsonl"),
        ("train", "--data pipe --outdir r --cfg tiny32"),
        (
            "train",
            "--data faces.zip --outdir r --cfg tiny32 --init-from pipe",
        ),
        ("train", "--config pipe --data faces.zip --outdir r"),
        (
            "eval",
            "images pipe dump/pictures --features random-inception-small",
        ),
        ("eval", "weights --from pipe"),
        (
            "eval",
            "metrics --network pipe --data faces.zip --metrics fid50 --features random-inception-small",
        ),
        ("generate", "describe pipe"),
    ] {
        let (code, said) = failed(dir, program, arguments);
        assert_eq!(code, Some(1), "{program} {arguments}: {said}");
        assert!(
            said.contains("pipe") && said.contains("it is a pipe"),
            "{program} {arguments}: {said}"
        );
    }
    assert!(!dir.join("x.zip").exists() && !dir.join("r").exists());
}
