//! `cargo xtask detect-eval DIR DETECTOR...`: recall, precision, average precision (AP) and speed of face detectors on
//! a folder of images with a `boxes.json`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use decode::{DecodeOptions, Format};
use detect::cascade::{Cascade, CascadeOptions};
use detect::{DetectOptions, Detector, DetectorSpec, Face, NamedImage};
use detector_evaluation::{Scores, Truth, evaluate, evaluate_sizes, load_truth};
use image::RgbImage;

use crate::benchmarks;
use crate::small_faces::{put_on_canvas, shrink_faces};

const USAGE: &str = "usage: detect-eval DIR DETECTOR... [--longest-side N] [--threshold T] [--tiles] \
[--face-side N] [--canvas N] [--sizes] [--scale-factor F] [--neighbors N] [--errors] [--write]\n\
DETECTOR is cascade:FILE.xml, onnx:FILE.onnx, boxes:FILE.jsonl, none or embedded; --scale-factor and --neighbors are \
for cascades; --face-side shrinks each image until the median of its faces has N pixels, --canvas puts them on a \
gray square of N pixels; --sizes tells small and large faces apart; --errors lists the images with missed or false \
faces; --write puts the table into BENCHMARKS.md";

/// The parsed command line.
#[derive(Default)]
struct Arguments {
    dir: String,
    detectors: Vec<DetectorSpec>,
    options: DetectOptions,
    cascade: CascadeOptions,
    face_side: Option<f32>,
    canvas: Option<u32>,
    by_size: bool,
    list_errors: bool,
    write: bool,
}

/// Runs every detector over every image on one thread and prints a table.
pub fn run(args: &[String]) -> Result<()> {
    let arguments = parse(args)?;
    let dir = Path::new(&arguments.dir);
    let truth = load_truth(&dir.join("boxes.json"))?;
    let n_unlisted = count_unlisted(dir, &truth)?;
    let (mut images, left_out) = read_images(dir, truth)?;
    for (name, reason) in &left_out {
        eprintln!("{name} is left out: {reason}");
    }
    if n_unlisted > 0 {
        eprintln!("{n_unlisted} images of the folder are not in boxes.json and are left out");
    }
    if let Some(side) = arguments.face_side {
        shrink_faces(&mut images, side);
    }
    if let Some(side) = arguments.canvas {
        for (_, truth, image) in &mut images {
            put_on_canvas(truth, image, side);
        }
    }
    let n_faces: usize = images.iter().map(|(_, truth, _)| truth.faces.len()).sum();
    let mut table = format!(
        "{} images{}, {n_faces} faces, IoU 0.5{}; img/s of one core\n\n\
         | detector | threshold | recall | precision | AP | img/s |\n|---|---|---|---|---|---|\n",
        images.len(),
        match left_out.len() {
            0 => String::new(),
            n => format!(" ({n} more left out, as they cannot be decoded)"),
        },
        match arguments.options.longest_side {
            Some(side) => format!(", longest side {side}"),
            None => String::new(),
        }
    );
    cli::outln!("{}", table.trim_end());
    for spec in &arguments.detectors {
        let detector: Box<dyn Detector> = match spec {
            DetectorSpec::Cascade(path) => {
                Box::new(Cascade::load(path)?.with_options(arguments.cascade))
            }
            other => other.load()?,
        };
        let threshold = arguments
            .options
            .threshold
            .unwrap_or(detector.default_threshold());
        // The precision-recall curve also needs detections below the threshold.
        let options = DetectOptions {
            threshold: Some(threshold.min(0.05)),
            min_face: 0.0,
            ..arguments.options.clone()
        };
        let (started, cpu) = (Instant::now(), cpu_secs());
        let mut found: Vec<Vec<Face>> = Vec::new();
        for (name, _, image) in &images {
            found.push(detector.detect(&NamedImage { image, name }, &options)?);
        }
        let wall = started.elapsed().as_secs_f64();
        let secs = cpu
            .zip(cpu_secs())
            .map_or(wall, |(before, after)| after - before);
        let pairs = || {
            images
                .iter()
                .map(|(_, truth, _)| truth)
                .zip(found.iter().map(Vec::as_slice))
        };
        let scores = evaluate(pairs(), threshold);
        let row = format!(
            "| `{}` | {threshold:.2} | {:.3} | {:.3} | {:.3} | {:.1} |",
            short(spec),
            scores.recall(),
            scores.precision(),
            scores.average_precision,
            images.len() as f64 / secs.max(1e-9),
        );
        cli::outln!("{row}");
        table.push_str(&row);
        table.push('\n');
        if arguments.by_size {
            for sides in SIZES.windows(2) {
                let scores = evaluate_sizes(pairs(), threshold, sides[0]..sides[1]);
                cli::outln!("{}", size_row(sides, &scores));
            }
        }
        if arguments.list_errors {
            for ((name, _, _), pair) in images.iter().zip(pairs()) {
                let Scores {
                    n_truth,
                    n_correct,
                    n_wrong,
                    ..
                } = evaluate([pair], threshold);
                if n_correct < n_truth || n_wrong > 0 {
                    eprintln!(
                        "{name}: {} of {n_truth} missed, {n_wrong} false",
                        n_truth - n_correct
                    );
                }
            }
        }
    }
    if arguments.write {
        benchmarks::write("BENCHMARKS.md", "detectors", &table)?;
    }
    Ok(())
}

/// The images that `boxes.json` lists, and the names of the files that cannot be decoded, each with the reason.
#[allow(clippy::type_complexity, reason = "two lists, taken apart at once")]
fn read_images(
    dir: &Path,
    truth: BTreeMap<String, Truth>,
) -> Result<(Vec<(String, Truth, RgbImage)>, Vec<(String, String)>)> {
    let (mut images, mut left_out) = (Vec::new(), Vec::new());
    for (name, truth) in truth {
        let path = dir.join(&name);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let image = match decode::decode(&bytes, &DecodeOptions::default()) {
            Ok(decoded) => decoded.image,
            Err(error) => {
                left_out.push((name, error.to_string()));
                continue;
            }
        };
        if image.dimensions() != (truth.width, truth.height) {
            bail!(
                "{} is {:?}, boxes.json says {} x {}",
                path.display(),
                image.dimensions(),
                truth.width,
                truth.height
            );
        }
        images.push((name, truth, image));
    }
    if images.is_empty() {
        bail!("none of the images that boxes.json lists can be decoded");
    }
    Ok((images, left_out))
}

/// The number of images in the folder that `boxes.json` does not list; images are recognized by their content.
fn count_unlisted(dir: &Path, truth: &BTreeMap<String, Truth>) -> Result<usize> {
    let mut n_unlisted = 0;
    for item in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = item?.path();
        let is_listed = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| truth.contains_key(name));
        if is_listed || !path.is_file() {
            continue;
        }
        let mut start = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(64).read_to_end(&mut start))
            .with_context(|| format!("cannot read {}", path.display()))?;
        n_unlisted += usize::from(Format::sniff(&start).is_some());
    }
    Ok(n_unlisted)
}

/// The limits between the size classes of `--sizes`: the side of a face, in pixels.
const SIZES: [f32; 6] = [0.0, 16.0, 24.0, 32.0, 48.0, f32::INFINITY];

fn size_row(sides: &[f32], scores: &Scores) -> String {
    format!(
        "| faces of {} to {} px: {} | | {:.3} | {:.3} | {:.3} | |",
        sides[0],
        sides[1],
        scores.n_truth,
        scores.recall(),
        scores.precision(),
        scores.average_precision
    )
}

/// The detector as text, with the file name but not the folders of its path.
fn short(spec: &DetectorSpec) -> String {
    let text = spec.to_string();
    match (text.split_once(':'), text.rsplit_once('/')) {
        (Some((kind, _)), Some((_, file))) => format!("{kind}:{file}"),
        _ => text,
    }
}

fn parse(args: &[String]) -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let mut args = args.iter();
    let mut positional = Vec::new();
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .with_context(|| format!("{arg} needs a value\n{USAGE}"))
        };
        let number = |text: &String| {
            text.parse::<f64>()
                .with_context(|| format!("{arg} {text}: not a number"))
        };
        match arg.as_str() {
            "--tiles" => arguments.options.tiles = true,
            "--face-side" => arguments.face_side = Some(number(value()?)?.max(1.0) as f32),
            "--canvas" => arguments.canvas = Some(number(value()?)?.max(1.0) as u32),
            "--sizes" => arguments.by_size = true,
            "--errors" => arguments.list_errors = true,
            "--write" => arguments.write = true,
            "--longest-side" => {
                arguments.options.longest_side = Some(number(value()?)?.max(1.0) as u32)
            }
            "--threshold" => arguments.options.threshold = Some(number(value()?)? as f32),
            "--scale-factor" => arguments.cascade.scale_factor = number(value()?)?,
            "--neighbors" => arguments.cascade.min_neighbors = number(value()?)? as u32,
            flag if flag.starts_with('-') => bail!("unknown flag {flag}\n{USAGE}"),
            _ => positional.push(arg),
        }
    }
    let Some((dir, detectors)) = positional.split_first() else {
        bail!("{USAGE}")
    };
    if detectors.is_empty() {
        bail!("{USAGE}");
    }
    arguments.dir = dir.to_string();
    arguments.detectors = detectors
        .iter()
        .map(|spec| Ok(spec.parse()?))
        .collect::<Result<_>>()?;
    Ok(arguments)
}

/// The CPU seconds of all threads of this process so far; `None` where the system does not report them.
fn cpu_secs() -> Option<f64> {
    // Fields 14 and 15 of the file, in 1/100 s. They are counted from the parenthesis that closes field 2.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Arguments> {
        parse(&args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read_and_mistakes_named() {
        let arguments = parsed(&[
            "images",
            "none",
            "cascade:a.xml",
            "--longest-side",
            "800",
            "--tiles",
        ])
        .unwrap();
        assert_eq!(
            (arguments.dir.as_str(), arguments.detectors.len()),
            ("images", 2)
        );
        assert_eq!(
            (arguments.options.longest_side, arguments.options.tiles),
            (Some(800), true)
        );
        for wrong in [
            &[][..],
            &["images"],
            &["images", "none", "--tile"],
            &["images", "none", "--threshold"],
        ] {
            assert!(
                parsed(wrong).err().unwrap().to_string().contains("usage"),
                "{wrong:?}"
            );
        }
        assert!(parsed(&["images", "tensorflow"]).is_err());
    }

    #[test]
    fn a_folder_is_evaluated() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::new(40, 40)
            .save(folder.path().join("a.png"))
            .unwrap();
        let boxes =
            r#"{"a.png": {"width": 40, "height": 40, "faces": [[0, 0, 40, 40]], "ignore": []}}"#;
        std::fs::write(folder.path().join("boxes.json"), boxes).unwrap();
        let dir = folder.path().display().to_string();
        run(&[dir.clone(), "none".into()]).unwrap();
        std::fs::write(
            folder.path().join("boxes.json"),
            boxes.replace("40,", "41,"),
        )
        .unwrap();
        assert!(
            run(&[dir, "none".into()])
                .unwrap_err()
                .to_string()
                .contains("a.png")
        );
    }

    #[test]
    fn images_are_read_by_content_and_the_others_counted() {
        let folder = tempfile::tempdir().unwrap();
        let png = folder.path().join("a.png");
        RgbImage::new(40, 40).save(&png).unwrap();
        let bytes = std::fs::read(&png).unwrap();
        let names = ["a.jpg", "without-ending", "cut.png", "unlisted.bin"];
        for name in names {
            let length = if name == "cut.png" {
                bytes.len() / 2
            } else {
                bytes.len()
            };
            std::fs::write(folder.path().join(name), &bytes[..length]).unwrap();
        }
        std::fs::remove_file(&png).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        let truth: BTreeMap<String, Truth> = names[..3]
            .iter()
            .map(|name| {
                let truth = Truth {
                    width: 40,
                    height: 40,
                    ..Truth::default()
                };
                ((*name).to_owned(), truth)
            })
            .collect();
        assert_eq!(count_unlisted(folder.path(), &truth).unwrap(), 1);
        let (images, left_out) = read_images(folder.path(), truth).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].0, "cut.png");
        assert!(left_out[0].1.contains("ends before"), "{}", left_out[0].1);
    }
}
