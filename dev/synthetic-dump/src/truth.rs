//! The truth about every file: `truth.json`, and parts of it in the formats that detectors and metadata filters read.

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::options::DumpOptions;
use crate::plan::{Broken, Content, Entry};
use crate::scene::SceneKind;
use crate::style::Style;

/// Everything that is known about one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileTruth {
    /// Path of the file inside the dump.
    pub file: String,
    /// The number in the file's name and in `posts.jsonl`.
    pub id: u32,
    /// Kind of the file.
    pub kind: Kind,
    /// Kind of scene; `None` for files that cannot be read and for flat colors.
    pub scene: Option<SceneKind>,
    /// Number of the drawing that the file shows; copies and variants of a drawing have the same number. `None` if it
    /// shows none.
    pub work: Option<usize>,
    /// Path of the original that the file was made from; `None` for other files.
    pub source: Option<String>,
    /// Width and height in pixels; 0 when the file cannot be read.
    pub size: (u32, u32),
    /// Face boxes `[x0, y0, x1, y1]` in pixels, from the hairline under the bangs to the chin.
    pub faces: Vec<[f32; 4]>,
    /// Tags as Danbooru would give them.
    pub tags: Vec<String>,
}

/// Everything that is known about a dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The seed of the dump.
    pub seed: u32,
    /// Number of originals.
    pub n_works: usize,
    /// The drawing style.
    #[serde(default, skip_serializing_if = "Style::is_soft")]
    pub style: Style,
    /// Seed of the one character that all images show; `None` for different characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character: Option<u32>,
    /// One entry for each file, sorted by path.
    pub files: Vec<FileTruth>,
}

impl Truth {
    pub(crate) fn new(options: &DumpOptions, entries: &[Entry]) -> Self {
        let mut files: Vec<FileTruth> = entries
            .iter()
            .map(|entry| file_truth(entry, entries))
            .collect();
        files.sort_by(|a, b| a.file.cmp(&b.file));
        Self {
            seed: options.seed,
            n_works: options.n_works,
            style: options.style,
            character: options.character,
            files,
        }
    }

    /// Lines of JSON with face boxes, for `prep run --detector boxes:FILE`.
    pub fn boxes_jsonl(&self) -> String {
        let lines = self
            .files
            .iter()
            .filter(|file| !file.kind.is_broken())
            .map(|file| {
                let line =
                    serde_json::json!({ "file": file_name(&file.file), "boxes": file.faces });
                format!("{line}\n")
            });
        lines.collect()
    }

    /// JSON with the face boxes of the originals, for `cargo xtask detect-eval`.
    pub fn boxes_json(&self) -> String {
        let works = self.files.iter().filter(|file| file.kind == Kind::Work);
        let boxes: serde_json::Map<String, serde_json::Value> = works
            .map(|file| {
                let (width, height) = file.size;
                let value = serde_json::json!({ "width": width, "height": height, "faces": file.faces, "ignore": [] });
                (file.file.clone(), value)
            })
            .collect();
        format!("{:#}\n", serde_json::Value::Object(boxes))
    }

    /// Posts as Danbooru gives them, one JSON object a line.
    pub fn posts_jsonl(&self) -> String {
        let lines = self.files.iter().map(|file| {
            // Scores and ratings that are plausible and depend on the id alone.
            let mixed = file.id.wrapping_mul(0x9e37_79b1) >> 16;
            let line = serde_json::json!({
                "id": file.id,
                "rating": if mixed % 9 == 0 { "s" } else { "g" },
                "score": mixed % 97,
                "tag_string": file.tags.join(" "),
                "file_ext": file.file.rsplit('.').next().unwrap_or_default(),
            });
            format!("{line}\n")
        });
        lines.collect()
    }
}

pub(crate) fn path(entry: &Entry) -> String {
    format!("pictures/{}.{}", entry.id, entry.extension)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn file_truth(entry: &Entry, entries: &[Entry]) -> FileTruth {
    let (scene, size, faces, tags) = match &entry.content {
        Content::Image(image) => (
            Some(image.scene.kind),
            image.size(),
            image.faces(),
            tags(entry),
        ),
        Content::Flat(size, _) => (
            None,
            *size,
            Vec::new(),
            vec!["simple_background".to_owned()],
        ),
        Content::Broken(
            Broken::Truncated(..) | Broken::Empty | Broken::Text | Broken::Noise(_) | Broken::Bomb,
        ) => (None, (0, 0), Vec::new(), Vec::new()),
    };
    FileTruth {
        file: path(entry),
        id: entry.id,
        kind: entry.kind,
        scene,
        work: entry.work,
        source: entry.source.map(|source| path(&entries[source])),
        size,
        faces,
        tags,
    }
}

fn tags(entry: &Entry) -> Vec<String> {
    let Content::Image(image) = &entry.content else {
        return Vec::new();
    };
    let scene = &image.scene;
    let mut tags: Vec<&str> = Vec::new();
    match scene.people.len() {
        0 => tags.extend(["no_humans", "scenery"]),
        1 => tags.push("solo"),
        _ => tags.push("multiple_girls"),
    }
    for figure in &scene.people {
        tags.push(figure.who.hair.0);
        if figure.look.is_behind {
            tags.push("from_behind");
        } else {
            tags.extend([figure.who.eyes.0, figure.expression.name]);
            if figure.who.has_glasses {
                tags.push("glasses");
            }
        }
    }
    match scene.kind {
        SceneKind::Comic => tags.push("comic"),
        SceneKind::Cover => tags.extend(["cover", scene.background]),
        _ => tags.push(scene.background),
    }
    if scene.has_bubble {
        tags.push("speech_bubble");
    }
    match entry.kind {
        Kind::Gray => tags.extend(["monochrome", "greyscale"]),
        Kind::Sepia => tags.extend(["monochrome", "sepia"]),
        Kind::Tinted => tags.push("monochrome"),
        Kind::Watermark => tags.push("watermark"),
        _ => {}
    }
    tags.sort_unstable();
    tags.dedup();
    tags.into_iter().map(str::to_owned).collect()
}
