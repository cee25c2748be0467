//! The report: one self-contained HTML page with kept and dropped images and the reasons.

use crate::config::{CurationConfig, Limit};
use crate::decide::Decisions;
use crate::journal::Journal;
use crate::manifest::{Line, Status};
use crate::record::{ImageRecord, Reason, Record};
use crate::summary::Summary;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use report::{Histogram, Page, Tile};
use std::collections::BTreeMap;
use std::io;

/// Largest number of kept faces that are shown.
const MAX_KEPT: usize = 240;
/// Largest number of images that are shown for each drop reason.
const MAX_DROPPED: usize = 60;
/// Largest number of groups that are shown in each section: groups with copies, and groups of variants only.
const MAX_GROUPS: usize = 60;
/// Largest number of members that are shown of a group.
const MAX_MEMBERS: usize = 8;

/// One line of the manifest, and the measurements of the image that it is about; `None` if there are none.
#[derive(Clone, Copy)]
struct Shown<'a> {
    line: &'a Line,
    image: Option<&'a ImageRecord>,
}

/// Builds the page and returns its HTML.
///
/// # Errors
/// When a thumb cannot be read from the journal.
pub fn build(
    summary: &Summary,
    records: &[Option<Record>],
    decisions: &Decisions,
    lines: &[Line],
    config: &CurationConfig,
    journal: &Journal,
) -> io::Result<String> {
    // Pair each line with its image. `lines` has one line for each input, followed by one line for each of its faces;
    // the inputs are in the order of `decisions`.
    let mut shown = Vec::with_capacity(lines.len());
    let mut rest = lines.iter();
    for (decision, record) in decisions.inputs.iter().zip(records) {
        let image = record.as_ref().and_then(Record::image);
        shown.extend(
            rest.by_ref()
                .take(1 + decision.faces.len())
                .map(|line| Shown { line, image }),
        );
    }
    let name = summary
        .report
        .file_name()
        .map(|n| n.to_string_lossy().replace(".report.html", ""))
        .unwrap_or_default();
    let mut page = Page::new(&format!(
        "{name}: {} faces from {} inputs",
        summary.n_kept, summary.n_inputs
    ));
    page.text(&format!(
        "Detector {}, {} x {} pixels. Point at an image for its numbers; click images to collect an exclusion list \
         for the next run (--exclude).",
        config.detector, config.crop.resolution, config.crop.resolution
    ));
    counts(&mut page, summary);
    histograms(&mut page, &shown, config);

    let tiles = |some: &[Shown<'_>], max: usize| -> io::Result<Vec<Tile>> {
        // Evenly spaced, so that a long list is represented from beginning to end.
        let step = some.len().div_ceil(max.max(1)).max(1);
        some.par_iter()
            .step_by(step)
            .filter_map(|shown| tile(*shown, journal).transpose())
            .collect()
    };
    let kept: Vec<Shown<'_>> = shown
        .iter()
        .filter(|s| s.line.face.is_some() && s.line.decision == Status::Kept)
        .copied()
        .collect();
    page.heading(&format!("Kept: {}", kept.len()));
    page.sheet(&tiles(&kept, MAX_KEPT)?);

    groups(&mut page, &shown, journal)?;

    // By reason. A face dropped together with its image, and an image dropped for its only face, are not shown twice.
    let mut by_reason: BTreeMap<Reason, Vec<Shown<'_>>> = BTreeMap::new();
    for (i, s) in shown.iter().enumerate() {
        let Some(reason) = s.line.reason else {
            continue;
        };
        let follows_its_image = s.line.face.is_some()
            && shown[..i]
                .iter()
                .rev()
                .find(|p| p.line.face.is_none())
                .is_some_and(|p| p.line.reason == Some(reason));
        let is_alone = s.line.face.is_none()
            && s.image.is_some_and(|p| p.faces.len() == 1)
            && is_about_faces(reason);
        if !is_alone && (!follows_its_image || is_about_faces(reason)) {
            by_reason.entry(reason).or_default().push(*s);
        }
    }
    for (reason, some) in &by_reason {
        if matches!(reason, Reason::NoFaceKept) {
            continue;
        }
        page.heading(&format!("Dropped, {}: {}", reason.name(), some.len()));
        page.text(explain(*reason));
        let (seen, unseen): (Vec<Shown<'_>>, Vec<Shown<'_>>) =
            some.iter().partition(|s| s.image.is_some());
        page.sheet(&tiles(&seen, MAX_DROPPED)?);
        if !unseen.is_empty() {
            let rows: Vec<Vec<String>> = unseen
                .iter()
                .take(200)
                .map(|s| {
                    vec![
                        s.line.source.clone(),
                        s.line.detail.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            page.table(&["input", "what happened"], &rows, false);
        }
    }
    Ok(page.finish())
}

fn counts(page: &mut Page, summary: &Summary) {
    let row = |name: &str, n: usize| vec![name.to_owned(), n.to_string()];
    let mut rows = vec![row("with a face kept", summary.n_images_kept)];
    rows.extend(
        summary
            .images_dropped
            .iter()
            .map(|(reason, n)| row(reason, *n)),
    );
    page.heading(&format!("Inputs: {}", summary.n_inputs));
    page.table(&["inputs", "count"], &rows, true);
    let mut rows = vec![row("kept", summary.n_kept)];
    rows.extend(
        summary
            .faces_dropped
            .iter()
            .map(|(reason, n)| row(reason, *n)),
    );
    page.heading(&format!("Faces: {}", summary.n_faces));
    page.table(&["faces", "count"], &rows, true);
    if summary.n_capped > 0 {
        page.text(&format!(
            "{} hashes have so many similar ones that not every pair was compared: some copies may be left.",
            summary.n_capped
        ));
    }
    if !summary.classes.is_empty() {
        let rows: Vec<Vec<String>> = summary
            .classes
            .iter()
            .enumerate()
            .map(|(i, name)| vec![i.to_string(), name.clone()])
            .collect();
        page.heading("Labels");
        page.table(&["class", "name"], &rows, false);
    }
}

fn histograms(page: &mut Page, shown: &[Shown<'_>], config: &CurationConfig) {
    let values = |is_face: bool, name: &str| -> Vec<f64> {
        shown
            .iter()
            .filter(|s| s.line.face.is_some() == is_face)
            .filter_map(|s| s.line.scores.get(name).copied())
            .collect()
    };
    let plot =
        |title: &str, is_face: bool, name: &str, range: (f64, f64), limit: Limit, above: bool| {
            Histogram {
                title: title.to_owned(),
                values: values(is_face, name),
                range,
                limit: limit.0.map(|at| (at, above)),
            }
        };
    let f = &config.filters;
    let off = Limit(None);
    let threshold = Limit(config.detect.threshold.map(f64::from));
    page.heading("Numbers");
    page.text(
        "Height is the square root of the count. Dashed: the limit; red: what lies beyond it.",
    );
    page.histograms(&[
        plot(
            "image: chroma (low: gray or of one tint)",
            false,
            "colour",
            (0.0, 100.0),
            f.chroma,
            false,
        ),
        plot(
            "image: share of one flat tone",
            false,
            "blank",
            (0.0, 1.0),
            f.blank,
            true,
        ),
        plot(
            "image: share covered with text",
            false,
            "text",
            (0.0, 1.0),
            f.text,
            true,
        ),
        plot(
            "image: long side over short side",
            false,
            "aspect",
            (1.0, 6.0),
            f.aspect,
            true,
        ),
        plot(
            "image: JPEG quality",
            false,
            "jpeg_quality",
            (0.0, 100.0),
            off,
            false,
        ),
        plot(
            "image: effective resolution",
            false,
            "effective_resolution",
            (0.0, 1.0),
            off,
            false,
        ),
        plot(
            "face: detector score",
            true,
            "face",
            (0.0, 1.0),
            threshold,
            false,
        ),
        plot(
            "face: enlargement of the crop",
            true,
            "upscale",
            (0.0, 3.0),
            Limit::at(f64::from(config.crop.max_upscale)),
            true,
        ),
        plot(
            "face: detail, source pixels per sample pixel",
            true,
            "detail",
            (0.0, 3.0),
            f.detail,
            false,
        ),
        plot("face: blur", true, "blur", (0.0, 1.0), f.blur, true),
    ]);
}

/// Adds the groups that have copies, then the groups that have only variants. Each group starts with its best member.
fn groups(page: &mut Page, shown: &[Shown<'_>], journal: &Journal) -> io::Result<()> {
    let key = |line: &Line| line.group.clone().map(|group| (line.face.is_some(), group));
    let mut groups: BTreeMap<(bool, String), Vec<Shown<'_>>> = BTreeMap::new();
    for s in shown {
        if let Some(key) = key(s.line) {
            groups.entry(key).or_default().push(*s);
        }
    }
    let own_name = |line: &Line| {
        line.face
            .map_or_else(|| line.source.clone(), |f| format!("{}#{f}", line.source))
    };
    let is_copy = |s: &Shown<'_>| s.line.reason == Some(Reason::Duplicate);
    let (copies, variants): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|(_, members)| members.iter().any(is_copy));
    for (title, note, some) in [
        (
            "Groups with copies",
            "The outlined image was kept. Distance: bits in which the hashes differ; worst tiles: mean difference of the three worst tiles in 8-bit levels (copies have less than 10).",
            copies,
        ),
        (
            "Groups of variants",
            "Similar drawings that differ, in expression or colors for example: kept, unless --max-variants limits them.",
            variants,
        ),
    ] {
        if some.is_empty() {
            continue;
        }
        page.heading(&format!("{title}: {}", some.len()));
        page.text(note);
        for ((_, best), mut members) in some.into_iter().take(MAX_GROUPS) {
            members.sort_by_key(|s| own_name(s.line) != best);
            let tiles: Vec<Tile> = members
                .iter()
                .take(MAX_MEMBERS)
                .filter_map(|s| compared_tile(*s, journal).transpose())
                .collect::<io::Result<_>>()?;
            page.group(&tiles);
        }
    }
    Ok(())
}

/// The tile of a line. If the line was compared with another member of its group, the caption begins with the result.
fn compared_tile(shown: Shown<'_>, journal: &Journal) -> io::Result<Option<Tile>> {
    let Some(mut tile) = tile(shown, journal)? else {
        return Ok(None);
    };
    let line = shown.line;
    if let Some(c) = line.kept_instead.as_ref().or(line.compared.as_ref()) {
        let mirrored = if c.mirrored { ", mirrored" } else { "" };
        tile.caption = format!(
            "distance {}, worst tiles {:.1}{mirrored}\n{}",
            c.distance, c.worst_tile, tile.caption
        );
    }
    Ok(Some(tile))
}

/// The tile of a line; `None` when its image was not decoded.
fn tile(Shown { line, image }: Shown<'_>, journal: &Journal) -> io::Result<Option<Tile>> {
    let Some(measured) = image else {
        return Ok(None);
    };
    let crop = line.face.and_then(|f| measured.faces.get(f)?.crop.as_ref());
    let (thumb, aspect) = match crop {
        Some(crop) => (crop.thumb, 100),
        None => (
            measured.thumb,
            measured.width * 100 / measured.height.max(1),
        ),
    };
    let side = dedup::THUMB_SIDE as u32;
    let image = RgbImage::from_raw(side, side, journal.read(&thumb)?)
        .ok_or_else(|| io::Error::other("a thumb of another size"))?;
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80)
        .encode_image(&image)
        .map_err(io::Error::other)?;
    let file = line.source.rsplit('/').next().unwrap_or(&line.source);
    let mut details = line.face.map_or_else(
        || line.source.clone(),
        |f| format!("{} face {f}", line.source),
    );
    if let Some(detail) = &line.detail {
        details += &format!(
            "\n{}: {detail}",
            line.reason.map(Reason::name).unwrap_or_default()
        );
    }
    for (name, value) in &line.scores {
        details += &format!("\n{name} {value}");
    }
    let hash = line.hash.as_ref().map(|hash| format!("phash:{hash}"));
    Ok(Some(Tile {
        jpeg,
        aspect_percent: aspect,
        caption: file.to_owned(),
        details,
        exclude_key: line
            .sha256
            .as_ref()
            .map(|sha| format!("sha256:{sha}"))
            .or(hash)
            .unwrap_or_default(),
    }))
}

fn is_about_faces(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Small
            | Reason::Border
            | Reason::Upscaled
            | Reason::Blur
            | Reason::MaxFaces
            | Reason::NoFaceKept
    )
}

fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::Unreadable => "The file or archive member could not be read.",
        Reason::ReadError => {
            "The system refused to read it (a failing disk, no permission): the next run tries again."
        }
        Reason::UnsafeName => "The name would lead out of its archive.",
        Reason::NotAnImage => "Not an image, by its content.",
        Reason::Empty => "No bytes.",
        Reason::Truncated => "The file ends before the image does.",
        Reason::DecodeError => "Corrupt, or of a kind that is not supported.",
        Reason::TooLarge => "More pixels than --max-pixels, more memory than --memory, or a bomb.",
        Reason::Crashed => "The program crashed while measuring it, twice.",
        Reason::Excluded => "On the exclusion list.",
        Reason::Metadata => "Rejected by a filter on tags, rating or score.",
        Reason::NoPost => {
            "No post in the metadata, or more than one that it could be (--metadata, --id-pattern)."
        }
        Reason::Grayscale => "Gray, sepia or of a single tint (--chroma).",
        Reason::Blank => "Mostly one flat tone (--blank).",
        Reason::Text => "Mostly covered with text (--text).",
        Reason::Aspect => "Too long or too tall (--aspect).",
        Reason::NoFace => "No face was found with a sufficient score (--face-score).",
        Reason::DetectError => "The detector failed on it.",
        Reason::Small => "The face or the image is too small (--min-face, --max-upscale).",
        Reason::Border => "Too much of the crop would lie outside of the image (--max-reflect).",
        Reason::Upscaled => {
            "It would be enlarged too much (--max-upscale), or was enlarged before (--detail)."
        }
        Reason::Blur => "Out of focus (--blur).",
        Reason::MaxFaces => "More faces than --max-faces.",
        Reason::NoFaceKept => "None of its faces is kept, for different reasons.",
        Reason::Duplicate => "A worse copy of something that was kept.",
        Reason::VariantCap => "More variants than --max-variants.",
    }
}
