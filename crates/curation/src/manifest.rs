//! The manifest: one JSON line for each input and each face, with every number and the reason for every decision.

use crate::decide::{Decisions, DropReason, Membership, Subject, detail_of};
use crate::measure::round4;
use crate::record::{FaceRecord, ImageRecord, Reason, Record};
use crate::samples::Sample;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Write};
use std::path::Path;

/// Whether an image or a face was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In the dataset.
    Kept,
    /// Not in the dataset.
    Dropped,
}

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Name of the input, as in [`crate::inputs::Entry::source`].
    pub source: String,
    /// Index of the face, by descending score; `None` for the input as a whole.
    pub face: Option<usize>,
    /// Whether the face is kept; for an input, whether at least one of its faces is.
    pub decision: Status,
    /// Why it was dropped; `None` when it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Description of the reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Name of the sample inside the zip, for a kept face.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Class label in `dataset.json`, for a kept face.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// SHA-256 of the file in hexadecimal, for an input that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Width and height of the image in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// Box of the face, `[x0, y0, x1, y1]` in source pixels.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub rect: Option<[f32; 4]>,
    /// The square that was cropped, `[x, y, side]` in source pixels; it may extend beyond the border of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[i64; 3]>,
    /// The measured numbers by name, among them the number of every filter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// 64-bit perceptual hash of the image or crop, as 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Duplicate group, named by its best member: `source` for an image, `source#face` for a face.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// For variants: the image or face of the group with which this one was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// For dropped copies: the image or face that was kept instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_instead: Option<Compared>,
}

/// Another image or face with which the subject of a manifest line was compared, and the result of the comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Name of the input that the other image or face belongs to.
    pub source: String,
    /// Index of the other face in its input; `None` for a whole image.
    pub face: Option<usize>,
    /// Hamming distance of the perceptual hashes, in bits.
    pub distance: u32,
    /// Whether the two were compared with one of them mirrored left to right.
    pub mirrored: bool,
    /// Mean difference between the two thumbs in the three tiles of 8 x 8 pixels that differ most, in 8-bit levels; at
    /// most 10 for copies.
    pub worst_tile: f32,
}

/// Builds the lines of all inputs in order; the line of each input is followed by the lines of its faces. `are_packed`
/// says whether the zip was written; only then do the lines contain the names of samples.
pub(crate) fn lines(
    sources: &[String],
    records: &[Option<Record>],
    decisions: &Decisions,
    samples: &[Sample],
    are_packed: bool,
) -> Vec<Line> {
    let samples: HashMap<Subject, &Sample> = samples
        .iter()
        .map(|sample| (sample.subject, sample))
        .collect();
    let mut lines = Vec::new();
    for (i, decision) in decisions.inputs.iter().enumerate() {
        let record = records[i].as_ref();
        let mut line = blank(
            &sources[i],
            None,
            decision.drop.as_ref(),
            decision.group.as_ref(),
            sources,
        );
        line.sha256 = record
            .map(|r| r.sha256.clone())
            .filter(|sha| !sha.is_empty());
        let image = record.and_then(Record::image);
        if let Some(image) = image {
            describe_image(&mut line, image);
        }
        lines.push(line);
        for (f, face) in decision.faces.iter().enumerate() {
            let mut line = blank(
                &sources[i],
                Some(f),
                face.drop.as_ref(),
                face.group.as_ref(),
                sources,
            );
            if let Some(face) = image.and_then(|image| image.faces.get(f)) {
                describe_face(&mut line, face);
            }
            if face.is_upscaled {
                line.scores.insert("upscaled".to_owned(), 1.0);
            }
            if let Some(sample) = samples.get(&Subject::face(i, f)) {
                line.sample = are_packed.then(|| sample.name.clone());
                line.label = sample.label;
            }
            lines.push(line);
        }
    }
    lines
}

fn blank(
    source: &str,
    face: Option<usize>,
    drop: Option<&DropReason>,
    group: Option<&Membership>,
    sources: &[String],
) -> Line {
    let comparison = group.and_then(|group| group.comparison.as_ref());
    let compared = comparison.map(|comparison| Compared {
        source: sources[comparison.with.input].clone(),
        face: comparison.with.face,
        distance: comparison.candidate.distance,
        mirrored: comparison.candidate.is_mirrored,
        worst_tile: comparison.verification.worst_tile,
    });
    let is_copy = drop.is_some_and(|(reason, _)| *reason == Reason::Duplicate);
    let (kept_instead, compared) = if is_copy {
        (compared, None)
    } else {
        (None, compared)
    };
    Line {
        source: source.to_owned(),
        face,
        decision: if drop.is_some() {
            Status::Dropped
        } else {
            Status::Kept
        },
        reason: drop.map(|(reason, _)| *reason),
        detail: drop
            .map(|(_, detail)| detail.clone())
            .filter(|detail| !detail.is_empty()),
        sample: None,
        label: None,
        sha256: None,
        size: None,
        rect: None,
        crop: None,
        scores: BTreeMap::new(),
        hash: None,
        group: group.map(|group| {
            let source = &sources[group.best.input];
            let face = group.best.face;
            face.map_or_else(|| source.clone(), |f| format!("{source}#{f}"))
        }),
        compared,
        kept_instead,
    }
}

fn describe_image(line: &mut Line, image: &ImageRecord) {
    line.size = Some([image.width, image.height]);
    line.hash = Some(image.hash.to_hex());
    let (long, short) = (
        image.width.max(image.height),
        image.width.min(image.height).max(1),
    );
    line.scores = BTreeMap::from([
        (
            "aspect".to_owned(),
            round4(f64::from(long) / f64::from(short)),
        ),
        ("blank".to_owned(), image.blank),
        ("text".to_owned(), image.text),
        ("colour".to_owned(), image.chroma),
        (
            "effective_resolution".to_owned(),
            image.effective_resolution,
        ),
    ]);
    if let Some(jpeg) = image.jpeg {
        line.scores
            .insert("jpeg_quality".to_owned(), f64::from(jpeg.quality));
    }
}

fn describe_face(line: &mut Line, face: &FaceRecord) {
    line.rect = Some(face.rect.map(|v| (v * 100.0).round() / 100.0));
    line.scores
        .insert("face".to_owned(), round4(f64::from(face.score)));
    if let Some(crop) = &face.crop {
        let affine = crop.plan.affine;
        line.crop = Some([
            i64::from(affine.x),
            i64::from(affine.y),
            i64::from(affine.side),
        ]);
        line.hash = Some(crop.hash.to_hex());
        line.scores.extend([
            ("blur".to_owned(), crop.blur),
            ("detail".to_owned(), detail_of(crop)),
            ("effective_resolution".to_owned(), crop.effective_resolution),
            (
                "reflected".to_owned(),
                round4(f64::from(crop.plan.reflected)),
            ),
            ("upscale".to_owned(), round4(f64::from(crop.plan.upscale))),
        ]);
    }
}

/// Writes a manifest to a temporary file that then replaces `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, lines: &[Line]) -> io::Result<()> {
    files::write_atomic(path, |file| {
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        for line in lines {
            serde_json::to_writer(&mut out, line)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    })
}

/// Largest length of a line in bytes; real lines have some hundreds.
const MAX_LINE: u64 = 16 << 20;

/// Reads a manifest.
///
/// # Errors
/// When the file cannot be read, or a line of it is not a manifest line; the message names the file and the line.
pub fn read(path: &Path) -> io::Result<Vec<Line>> {
    let named = |text: String| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("manifest '{}': {text}", path.display()),
        )
    };
    let file = files::open_input(path).map_err(|e| named(e.to_string()))?;
    let mut reader = BufReader::new(file);
    let (mut lines, mut text, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        number += 1;
        let in_line = |e: String| named(format!("line {number}: {e}"));
        if !files::read_line(&mut reader, &mut text, MAX_LINE)
            .map_err(|e| in_line(e.to_string()))?
        {
            return Ok(lines);
        }
        if !text.trim_ascii().is_empty() {
            lines.push(serde_json::from_slice(&text).map_err(|e| in_line(e.to_string()))?);
        }
    }
}

/// One difference between two manifests: an input or face whose line changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Name of the input.
    pub source: String,
    /// Index of the face; `None` for the input as a whole.
    pub face: Option<usize>,
    /// Earlier decision: `kept`, the name of a drop reason, or `absent` when the manifest has no such line.
    pub before: String,
    /// Later decision, in the same form.
    pub after: String,
    /// Measured numbers that changed: name, earlier value, later value; `None` where a manifest lacks the number.
    pub scores: Vec<(String, Option<f64>, Option<f64>)>,
    /// Description of the reason in the later manifest.
    pub detail: Option<String>,
}

/// Returns the changes between two manifests, sorted by input and face. A line counts as changed when the decision, its
/// reason, a score, the crop, the SHA-256 or the label differs.
pub fn diff(before: &[Line], after: &[Line]) -> Vec<Change> {
    type Key<'a> = (&'a str, Option<usize>);
    fn index(lines: &[Line]) -> BTreeMap<Key<'_>, &Line> {
        lines
            .iter()
            .map(|line| ((line.source.as_str(), line.face), line))
            .collect()
    }
    let (old, new) = (index(before), index(after));
    let word = |line: Option<&&Line>| match line {
        None => "absent".to_owned(),
        Some(line) => line.reason.map_or_else(|| "kept".to_owned(), Reason::name),
    };
    let mut keys: Vec<Key<'_>> = old.keys().chain(new.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut changes = Vec::new();
    for key in keys {
        let (a, b) = (old.get(&key), new.get(&key));
        let mut scores = Vec::new();
        if let (Some(a), Some(b)) = (a, b) {
            let mut names: Vec<&String> = a.scores.keys().chain(b.scores.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let (x, y) = (a.scores.get(name).copied(), b.scores.get(name).copied());
                if x != y {
                    scores.push((name.clone(), x, y));
                }
            }
        }
        let (was, is) = (word(a), word(b));
        let moved = a
            .zip(b)
            .is_some_and(|(a, b)| a.crop != b.crop || a.sha256 != b.sha256 || a.label != b.label);
        if was != is || !scores.is_empty() || moved {
            changes.push(Change {
                source: key.0.to_owned(),
                face: key.1,
                before: was,
                after: is,
                scores,
                detail: b.and_then(|line| line.detail.clone()),
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: &str, reason: Option<Reason>, blur: f64) -> Line {
        let mut line = blank(
            source,
            Some(0),
            reason.map(|r| (r, String::new())).as_ref(),
            None,
            &[],
        );
        line.scores.insert("blur".into(), blur);
        line
    }

    #[test]
    fn manifests_read_back_and_differ_where_they_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.jsonl");
        let before = vec![
            line("a", None, 0.1),
            line("b", None, 0.2),
            line("c", None, 0.3),
        ];
        write(&path, &before).unwrap();
        assert_eq!(read(&path).unwrap(), before);
        let after = vec![
            line("a", None, 0.1),
            line("b", Some(Reason::Blur), 0.2),
            line("d", None, 0.4),
        ];
        let changes = diff(&before, &after);
        let words: Vec<_> = changes
            .iter()
            .map(|c| (c.source.as_str(), c.before.as_str(), c.after.as_str()))
            .collect();
        assert_eq!(
            words,
            [
                ("b", "kept", "blur"),
                ("c", "kept", "absent"),
                ("d", "absent", "kept")
            ]
        );
        std::fs::write(&path, "{}").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
    }
}
