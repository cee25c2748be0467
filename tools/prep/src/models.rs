//! `prep models`: lists the face detectors with their sources, and checks model files.

use anyhow::{Context, bail};
use detect::DetectorSpec;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

/// A detector that is known to work.
#[derive(Serialize)]
struct Known {
    spec: &'static str,
    what: &'static str,
    from: &'static str,
    sha256: Option<&'static str>,
    is_available: bool,
}

const KNOWN: [Known; 5] = [
    Known {
        spec: "onnx:faceboxes_anime_e90.onnx",
        what: "FaceBoxes, 1 M weights, recall .79 at precision .96 on our 185 illustrations",
        from: "https://github.com/WynMew/AnimeFaceBoxes (Apache-2.0), exported to ONNX opset 13",
        sha256: Some("e011109112fc338ff350b18741a0e58a94ab9bb2725d22ec5023cf6b2f091422"),
        is_available: true,
    },
    Known {
        spec: "onnx:model.onnx",
        what: "YOLOv5, v8 or v11 with one class, face",
        from: "https://huggingface.co/deepghs/anime_face_detection",
        sha256: None,
        is_available: true,
    },
    Known {
        spec: "cascade:lbpcascade_animeface.xml",
        what: "OpenCV LBP cascade, recall .5 to .6",
        from: "https://github.com/nagadomi/lbpcascade_animeface (MIT)",
        sha256: Some("9376d30ac38db6bda2a68b88b3b76bbd7e6aa33af47f7f5c76bc88ca75f1ce30"),
        is_available: true,
    },
    Known {
        spec: "boxes:FILE.jsonl",
        what: "boxes that someone else made",
        from: "you",
        sha256: None,
        is_available: true,
    },
    Known {
        spec: "none",
        what: "images are faces already",
        from: "built in",
        sha256: None,
        is_available: true,
    },
];

/// The result of checking a model file.
#[derive(Serialize)]
struct Checked {
    file: String,
    sha256: String,
    spec: String,
    known_as: Option<&'static str>,
}

pub fn models(check: Option<&Path>) -> anyhow::Result<()> {
    match check {
        Some(path) => check_file(path),
        None => {
            list();
            Ok(())
        }
    }
}

fn list() {
    let embedded = Known {
        spec: "embedded",
        what: "the detector inside this program (the default)",
        from: "built in",
        sha256: None,
        is_available: DetectorSpec::Embedded.load().is_ok(),
    };
    let all: Vec<&Known> = std::iter::once(&embedded).chain(&KNOWN).collect();
    cli::report(&all, |all| {
        let mut text = String::new();
        for known in all {
            let note = if known.is_available {
                ""
            } else {
                " (not in this build)"
            };
            let _ = writeln!(
                text,
                "{}{note}\n    {}\n    from {}",
                known.spec, known.what, known.from
            );
            if let Some(sha256) = known.sha256 {
                let _ = writeln!(text, "    sha256 {sha256}");
            }
        }
        let _ = writeln!(text, "`prep models FILE` checks a file you have.");
        text
    });
}

fn check_file(path: &Path) -> anyhow::Result<()> {
    const MAX_BYTES: u64 = 1 << 30;
    let bytes = files::read_input(path, MAX_BYTES)
        .with_context(|| format!("cannot read '{}'", path.display()))?;
    let sha256 = files::hex(&Sha256::digest(&bytes));
    let kind = match path.extension().and_then(|e| e.to_str()) {
        Some("xml") => DetectorSpec::Cascade(path.to_owned()),
        Some("onnx") => DetectorSpec::Onnx(path.to_owned()),
        Some("jsonl") => DetectorSpec::Boxes(path.to_owned()),
        _ => bail!(
            "'{}' is none of .xml (cascade), .onnx, .jsonl (boxes)",
            path.display()
        ),
    };
    kind.load()?;
    let known = KNOWN
        .iter()
        .find(|known| known.sha256 == Some(sha256.as_str()));
    let by_name = KNOWN.iter().find(|known| {
        path.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|name| known.spec.ends_with(&format!(":{name}")))
    });
    if let (None, Some(named)) = (known, by_name)
        && named.sha256.is_some()
    {
        tracing::warn!(
            "'{}' loads, but is not the file that is known as {}: it was changed or damaged",
            path.display(),
            named.spec
        );
    }
    let checked = Checked {
        file: path.display().to_string(),
        sha256,
        spec: kind.to_string(),
        known_as: known.map(|known| known.what),
    };
    cli::report(&checked, |checked| {
        let known = checked
            .known_as
            .map_or_else(String::new, |what| format!("\nknown    {what}"));
        format!(
            "loads    --detector {}\nsha256   {}{known}",
            checked.spec, checked.sha256
        )
    });
    Ok(())
}
