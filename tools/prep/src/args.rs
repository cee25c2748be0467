//! The command line.

use curation::config::Limit;
use curation::metadata::{IdPattern, LabelSource, Rating};
use detect::DetectorSpec;
use detect::crop::{CropFilter, CropPreset};
use std::path::PathBuf;

/// From a folder of illustrations to a clean dataset zip of faces.
#[derive(Debug, clap::Parser)]
#[command(name = "prep", version = cli::version())]
pub struct Args {
    #[command(flatten)]
    pub common: cli::Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Find faces, crop, filter, remove near-duplicates, and pack a dataset zip
    Run(Box<RunArgs>),
    /// Say what a dataset, a manifest or a dump holds: counts, sizes, labels, health
    Inspect {
        /// A dataset zip or folder, a manifest (.jsonl), or a folder or archive of pictures
        path: PathBuf,
    },
    /// Check a dataset: CRC and decode of every entry, and what the training loader asks for
    Verify {
        /// A dataset zip or folder
        path: PathBuf,
    },
    /// Tell what changed between two manifests or two dataset zips, and why
    Diff {
        /// The earlier one
        before: PathBuf,
        /// The later one
        after: PathBuf,
    },
    /// List the detectors and where to get more
    Models {
        /// Check a model file: checksum, kind, whether it loads
        #[arg(value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Measure one image, for `run`
    #[command(hide = true)]
    MeasureApart,
}

/// Settings: a preset, then the recipe, then these flags.
#[derive(Debug, Default, clap::Args)]
pub struct RunArgs {
    /// Folders, zips, tars, pictures, or @list.txt with one path a line
    #[arg(value_name = "INPUT", required_unless_present = "recipe")]
    pub inputs: Vec<PathBuf>,

    /// The zip to write; manifest, report, recipe and journal are written beside it
    #[arg(long, short, value_name = "FILE.zip")]
    pub out: Option<PathBuf>,

    /// A file with settings (a resolved recipe of an earlier run is one)
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,

    /// Replace a zip that no earlier run of these inputs made
    #[arg(long)]
    pub force: bool,

    /// Write manifest and report, but no zip
    #[arg(long)]
    pub dry_run: bool,

    /// What finds the faces: embedded, cascade:FILE.xml, onnx:FILE.onnx, boxes:FILE.jsonl, none [default: embedded]
    #[arg(long, value_name = "SPEC", help_heading = "Faces")]
    pub detector: Option<DetectorSpec>,

    /// Least score of a face [default: the detector's own, 0.65 of `embedded`]
    #[arg(
        long,
        value_name = "SCORE",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub face_score: Option<f32>,

    /// Least size of a face in pixels of the source; `embedded` finds none below 16 [default: 24]
    #[arg(
        long,
        value_name = "PIXELS",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub min_face: Option<f32>,

    /// Most faces of one picture, best first; 0 for all [default: 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub max_faces: Option<usize>,

    /// Pictures are shrunk to this before the search; 2048 finds more small faces in large pictures, in twice the
    /// time [default: the detector's own, 768 of `embedded`]
    #[arg(
        long,
        value_name = "PIXELS",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub longest_side: Option<u32>,

    /// Search large pictures at finer scales too, in tiles: slower than a larger --longest-side
    #[arg(long, help_heading = "Faces")]
    pub tiles: bool,

    /// Framing: face, head, portrait [default: head]
    #[arg(long, value_parser = preset, value_name = "NAME", help_heading = "Crop")]
    pub preset: Option<CropPreset>,

    /// Side of the samples in pixels [default: 512]
    #[arg(long, short, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(8..=8192), help_heading = "Crop")]
    pub resolution: Option<u32>,

    /// Side of the square over the longer side of the face
    #[arg(long, value_name = "FACTOR", help_heading = "Crop")]
    pub expand: Option<f32>,

    /// How far the square lies above the face, in sides of the face
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Crop"
    )]
    pub shift_up: Option<f32>,

    /// Largest share of the square that is filled by reflection at a border [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Crop")]
    pub max_reflect: Option<f32>,

    /// Largest enlargement of a crop [default: 1.5]
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        help_heading = "Crop"
    )]
    pub max_upscale: Option<f32>,

    /// Keep crops that are enlarged more, and flag them in the manifest
    #[arg(long, help_heading = "Crop")]
    pub upscaled_ok: bool,

    /// Resize with lanczos or box [default: lanczos]
    #[arg(long, value_parser = filter, value_name = "NAME", help_heading = "Crop")]
    pub filter: Option<CropFilter>,

    /// Least colour beyond one tint; drops gray, sepia and tinted pictures [default: 8]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub colour: Option<Limit>,

    /// Largest share of a picture that is one flat tone [default: 0.985]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub blank: Option<Limit>,

    /// Largest share of a picture that is covered with writing [default: 0.4]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub text: Option<Limit>,

    /// Largest ratio of the sides of a picture [default: 5]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub aspect: Option<Limit>,

    /// Largest blur of a crop, 0 sharp to 1 [default: 0.7]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub blur: Option<Limit>,

    /// Least real detail of a crop: pixels that carry detail over pixels of the sample, per side [default: 0.5]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub detail: Option<Limit>,

    /// Remove near-duplicates among: both, pictures, faces, off [default: both]
    #[arg(long, value_name = "WHICH", value_parser = ["both", "pictures", "faces", "off"], help_heading = "Duplicates")]
    pub dedup: Option<String>,

    /// Hamming radius of the search on pictures [default: 8]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=16), help_heading = "Duplicates")]
    pub radius: Option<u32>,

    /// Hamming radius of the search on faces [default: 10]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=16), help_heading = "Duplicates")]
    pub face_radius: Option<u32>,

    /// Whether mirrored copies count as copies [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Duplicates")]
    pub mirrored: Option<bool>,

    /// Variants of one drawing (expression, colours) kept besides the best [default: all]
    #[arg(long, value_name = "N", help_heading = "Duplicates")]
    pub max_variants: Option<u32>,

    /// Posts of the dump: JSON lines or an array, also .gz or .zst; or `sidecar` for NAME.json or NAME.txt beside each
    /// picture
    #[arg(long, value_name = "FILE|sidecar", help_heading = "Metadata")]
    pub metadata: Option<PathBuf>,

    /// How paths name their post, in place of the built-in rule: a regular expression with one group around the id or
    /// MD5, like '_(\d+)_p\d+'
    #[arg(long, value_name = "REGEX", help_heading = "Metadata")]
    pub id_pattern: Option<IdPattern>,

    /// Tags that a picture must have, all of them. Pictures without a post are dropped by any filter on posts
    #[arg(
        long,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub include_tag: Vec<String>,

    /// Tags that a picture must not have
    #[arg(
        long,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub exclude_tag: Vec<String>,

    /// Ratings that are accepted: g,s,q,e, or general, sensitive, safe, questionable, explicit
    #[arg(
        long,
        value_name = "RATING",
        value_parser = rating,
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub rating: Vec<String>,

    /// Least score of a post
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Metadata"
    )]
    pub min_score: Option<i64>,

    /// Labels for dataset.json: folder, or tag:NAME,NAME
    #[arg(long, value_name = "SOURCE", help_heading = "Metadata")]
    pub labels: Option<LabelSource>,

    /// Contents that are never kept: lines of sha256:HEX or phash:HEX, tab, reason
    #[arg(long, value_name = "FILE.tsv", help_heading = "Metadata")]
    pub exclude: Option<PathBuf>,

    /// Pictures with more pixels are refused before they are decoded [default: 100000000]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Files")]
    pub max_pixels: Option<u64>,

    /// Memory of decoding, all threads together: 500M, 8G. Images that need more are dropped; without it they wait for
    /// half of the free memory
    #[arg(long, value_name = "SIZE", value_parser = cli::parse_bytes, help_heading = "Files")]
    pub memory: Option<u64>,

    /// The colour behind transparent pictures, RRGGBB [default: ffffff]
    #[arg(long, value_parser = matte, value_name = "RRGGBB", help_heading = "Files")]
    pub matte: Option<[u8; 3]>,

    /// PNG level of the samples: 0 loads fastest, 9 is smallest [default: 0]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=9), help_heading = "Files")]
    pub png_level: Option<u8>,
}

fn rating(text: &str) -> Result<String, String> {
    Rating::parse(text).map(|_| text.to_owned()).ok_or_else(|| {
        format!("'{text}' is none of g, s, q, e, general, sensitive, safe, questionable, explicit")
    })
}

fn preset(text: &str) -> Result<CropPreset, String> {
    named(
        text,
        &[
            ("face", CropPreset::Face),
            ("head", CropPreset::Head),
            ("portrait", CropPreset::Portrait),
        ],
    )
}

fn filter(text: &str) -> Result<CropFilter, String> {
    named(
        text,
        &[("lanczos", CropFilter::Lanczos), ("box", CropFilter::Box)],
    )
}

fn named<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("'{text}' is none of {}", names.join(", "))
        })
}

fn matte(text: &str) -> Result<[u8; 3], String> {
    let hex = text.strip_prefix('#').unwrap_or(text);
    let value = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 6);
    let [_, r, g, b] = value
        .ok_or_else(|| format!("'{text}' is no colour like ffffff"))?
        .to_be_bytes();
    Ok([r, g, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn usage_errors_leave_with_2() {
        for line in [
            "prep",
            "prep run --out y.zip",
            "prep run x --detector yolo",
            "prep run x --blur much",
            "prep run x --matte white",
            "prep run x --resolution 0",
            "prep run x --labels tag:",
            "prep run x --rating x",
            "prep run x --id-pattern (",
            "prep run x --id-pattern [0-9]+",
        ] {
            assert_eq!(
                Args::try_parse_from(line.split(' '))
                    .unwrap_err()
                    .exit_code(),
                2,
                "{line}"
            );
        }
        assert!(
            Args::try_parse_from("prep run x --out y.zip --blur off --mirrored false".split(' '))
                .is_ok()
        );
    }
}
