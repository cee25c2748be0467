//! The command line.

use curation::config::Limit;
use curation::metadata::{IdPattern, LabelSource, Rating};
use detect::DetectorSpec;
use detect::crop::{CropFilter, CropPreset};
use std::path::PathBuf;

/// Makes a clean dataset zip of faces from a folder of illustrations
#[derive(Debug, clap::Parser)]
#[command(name = "prep", version = cli::version())]
pub struct Args {
    #[command(flatten)]
    pub common: cli::Common,
    #[command(flatten)]
    pub reference: ReferenceFlags,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Find faces, crop, filter, remove near-duplicates, and pack a dataset zip
    Run(Box<RunArgs>),
    /// Summarize a dataset, a manifest or a folder of images: counts, sizes, labels, problems
    Inspect {
        /// A dataset zip or folder, a manifest (.jsonl), or a folder or archive of images
        path: PathBuf,
    },
    /// Check a dataset: CRC and full decode of every entry, and everything that the training loader requires
    Verify {
        /// A dataset zip or folder
        path: PathBuf,
    },
    /// List what changed between two manifests or two dataset zips, and why
    Diff {
        /// The earlier manifest or zip
        before: PathBuf,
        /// The later manifest or zip
        after: PathBuf,
    },
    /// List the face detectors and where to get more
    Models {
        /// Check a model file: checksum, kind, and whether it loads
        #[arg(value_name = "FILE")]
        check: Option<PathBuf>,
    },
    /// Measure one image, for `run`
    #[command(hide = true)]
    MeasureInChild,
}

/// Settings: a preset, then the recipe, then these flags.
#[derive(Debug, Default, clap::Args)]
pub struct RunArgs {
    /// Folders, zips, tars or images, or @list.txt with one path per line
    #[arg(value_name = "INPUT", required_unless_present = "recipe")]
    pub inputs: Vec<PathBuf>,

    /// The zip to write; manifest, report, recipe and journal are written beside it
    #[arg(long, short, value_name = "FILE.zip")]
    pub out: Option<PathBuf>,

    /// A file with settings, for example the recipe that an earlier run wrote beside its zip. Flags override it
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,

    /// Replace a zip that was not written by an earlier run with the same inputs
    #[arg(long)]
    pub force: bool,

    /// Write manifest and report, but no zip: to see what the settings keep and drop
    #[arg(long)]
    pub dry_run: bool,

    /// Face detector: embedded (drawn faces), cascade:FILE.xml, onnx:FILE.onnx, boxes:FILE.jsonl (given boxes), or none
    /// for images that are face crops already [default: embedded]
    #[arg(long, value_name = "SPEC", help_heading = "Faces")]
    pub detector: Option<DetectorSpec>,

    /// Drop faces with a lower detector score, 0 to 1. Raise it when the report shows false faces, lower it when faces
    /// are missing [default: the detector's own, 0.65 for `embedded`]
    #[arg(
        long,
        value_name = "SCORE",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub face_score: Option<f32>,

    /// Drop faces whose shorter side has fewer pixels in the source; `embedded` finds none below 16 [default: 24]
    #[arg(
        long,
        value_name = "PIXELS",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub min_face: Option<f32>,

    /// Keep at most N faces of each image, the best scores first; 0 keeps all [default: 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub max_faces: Option<usize>,

    /// Shrink images to this longest side before the face search. 2048 finds more small faces in large images, in twice
    /// the time [default: the detector's own, 768 for `embedded`]
    #[arg(
        long,
        value_name = "PIXELS",
        allow_negative_numbers = true,
        help_heading = "Faces"
    )]
    pub longest_side: Option<u32>,

    /// Search large images in overlapping tiles as well, for tiny faces; slower than a larger --longest-side
    #[arg(long, help_heading = "Faces")]
    pub tiles: bool,

    /// Framing of the crop: face (brow to chin), head (with the hair), portrait (head and shoulders); sets --expand and
    /// --shift-up [default: head]
    #[arg(long, value_parser = preset, value_name = "NAME", help_heading = "Crop")]
    pub preset: Option<CropPreset>,

    /// Width and height of the samples in pixels; StyleGAN2 trains on powers of two: 64, 128, 256, 512, 1024
    /// [default: 512]
    #[arg(long, short, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(8..=8192), help_heading = "Crop")]
    pub resolution: Option<u32>,

    /// Side of the crop as a multiple of the side of the face; larger shows more around it [default: 1.7, by --preset]
    #[arg(long, value_name = "FACTOR", help_heading = "Crop")]
    pub expand: Option<f32>,

    /// Shift of the crop above the center of the face, as a multiple of the side of the face [default: 0.18, by
    /// --preset]
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        help_heading = "Crop"
    )]
    pub shift_up: Option<f32>,

    /// Drop faces whose crop reaches so far over the border that a larger share of its side would be filled by
    /// reflection; 0 allows none [default: 0.1]
    #[arg(long, value_name = "SHARE", help_heading = "Crop")]
    pub max_reflect: Option<f32>,

    /// Drop faces that would be enlarged more than this to reach the resolution. Raise it when the images are small and
    /// soft samples are acceptable [default: 1.5]
    #[arg(
        long,
        value_name = "FACTOR",
        allow_negative_numbers = true,
        help_heading = "Crop"
    )]
    pub max_upscale: Option<f32>,

    /// Keep crops beyond --max-upscale or below --detail, and flag them as `upscaled` in the manifest
    #[arg(long, help_heading = "Crop")]
    pub upscaled_ok: bool,

    /// Filter of the resize: lanczos (sharp) or box (area average) [default: lanczos]
    #[arg(long, value_parser = filter, value_name = "NAME", help_heading = "Crop")]
    pub filter: Option<CropFilter>,

    /// Drop grayscale, sepia and single-tint images: those with less chroma off their main hue, 0 to about 100. Colored
    /// drawings have 15 and more; `off` keeps monochrome images [default: 8]
    #[arg(
        long,
        alias = "colour",
        alias = "color",
        value_name = "LIMIT|off",
        help_heading = "Quality"
    )]
    pub chroma: Option<Limit>,

    /// Drop images of which a larger share of pixels, 0 to 1, is one flat tone: empty pages [default: 0.985]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub blank: Option<Limit>,

    /// Drop images of which a larger share, 0 to 1, is covered with text: covers, pages of writing [default: 0.4]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub text: Option<Limit>,

    /// Drop images whose longer side is more than LIMIT times the shorter: banners, strips [default: 5]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub aspect: Option<Limit>,

    /// Drop crops that are blurrier, on a scale from 0 (sharp) to 1. Lower it when blurred samples remain
    /// [default: 0.7]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub blur: Option<Limit>,

    /// Drop crops with less detail, measured as source pixels that carry detail per pixel of the sample and side:
    /// images that were enlarged before [default: 0.5]
    #[arg(long, value_name = "LIMIT|off", help_heading = "Quality")]
    pub detail: Option<Limit>,

    /// Remove near-duplicates, keeping the best copy, among: both (images, then faces), images, faces, off
    /// [default: both]
    #[arg(long, value_name = "WHICH", value_parser = dedup(), help_heading = "Duplicates")]
    pub dedup: Option<String>,

    /// Compare images whose 64-bit hashes differ in at most BITS bits; 0 to 16, larger finds more copies and is slower
    /// [default: 8]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=16), help_heading = "Duplicates")]
    pub radius: Option<u32>,

    /// Compare faces whose 64-bit hashes differ in at most BITS bits, 0 to 16 [default: 10]
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=16), help_heading = "Duplicates")]
    pub face_radius: Option<u32>,

    /// Remove mirrored copies too [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Duplicates")]
    pub mirrored: Option<bool>,

    /// Keep at most N variants of a drawing (other expression, other colors) besides the best [default: all]
    #[arg(long, value_name = "N", help_heading = "Duplicates")]
    pub max_variants: Option<u32>,

    /// Posts of the images, for filters on tags, rating and score: JSON lines or an array, also .gz or .zst; or
    /// `sidecar` for NAME.json or NAME.txt beside each image
    #[arg(long, value_name = "FILE|sidecar", help_heading = "Metadata")]
    pub metadata: Option<PathBuf>,

    /// Find the post of a path by this regular expression instead of the built-in rule; one group around the id or MD5,
    /// for example '_(\d+)_p\d+'
    #[arg(long, value_name = "REGEX", help_heading = "Metadata")]
    pub id_pattern: Option<IdPattern>,

    /// Keep only images that have all of these tags. Any filter on posts drops images without a post
    #[arg(
        long,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub include_tag: Vec<String>,

    /// Drop images that have any of these tags
    #[arg(
        long,
        value_name = "TAG",
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub exclude_tag: Vec<String>,

    /// Keep only these ratings: g,s,q,e, or general, sensitive, safe, questionable, explicit
    #[arg(
        long,
        value_name = "RATING",
        value_parser = rating,
        value_delimiter = ',',
        help_heading = "Metadata"
    )]
    pub rating: Vec<String>,

    /// Drop images whose post has a lower score
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Metadata"
    )]
    pub min_score: Option<i64>,

    /// Write class labels to dataset.json, by folder or by the first of these tags: folder, or tag:NAME,NAME
    #[arg(long, value_name = "SOURCE", help_heading = "Metadata")]
    pub labels: Option<LabelSource>,

    /// Drop the images listed in this file, for example by a click in the report: lines of sha256:HEX or phash:HEX,
    /// tab, reason
    #[arg(long, value_name = "FILE.tsv", help_heading = "Metadata")]
    pub exclude: Option<PathBuf>,

    /// Drop images with more pixels, before they are decoded [default: 100000000]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Files")]
    pub max_pixels: Option<u64>,

    /// Memory for decoding on all threads together, for example 500M or 8G; images that need more are dropped. Without
    /// it decoding uses half of the free memory, and large images wait for it
    #[arg(long, value_name = "SIZE", value_parser = cli::parse_bytes, help_heading = "Files")]
    pub memory: Option<u64>,

    /// Background color behind transparent images [default: ffffff]
    #[arg(long, value_parser = matte, value_name = "RRGGBB", help_heading = "Files")]
    pub matte: Option<[u8; 3]>,

    /// PNG compression of the samples, 0 to 9: 0 stores and loads fastest, 9 is smallest [default: 0]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=9), help_heading = "Files")]
    pub png_level: Option<u8>,

    #[command(flatten)]
    pub reference: ReferenceFlags,
}

/// Flags of NVIDIA's `dataset_tool.py`. Parsing any of them fails with a message that gives the spelling of this
/// program.
#[derive(Debug, Default, clap::Args)]
pub struct ReferenceFlags {
    #[arg(long, hide = true, value_name = "PATH", value_parser = refuse_source)]
    source: Option<String>,
    #[arg(long, hide = true, value_name = "PATH", value_parser = refuse_dest)]
    dest: Option<String>,
}

const RUN_USAGE: &str = "is how dataset_tool.py takes it; here: prep run INPUT... --out FILE.zip";

fn refuse_source(_: &str) -> Result<String, String> {
    Err(format!("--source {RUN_USAGE}"))
}

fn refuse_dest(_: &str) -> Result<String, String> {
    Err(format!("--dest {RUN_USAGE}"))
}

/// The choices of `--dedup`; `pictures` is the earlier name of `images`.
fn dedup() -> clap::builder::PossibleValuesParser {
    use clap::builder::PossibleValue;
    [
        PossibleValue::new("both"),
        PossibleValue::new("images").alias("pictures"),
        PossibleValue::new("faces"),
        PossibleValue::new("off"),
    ]
    .into()
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
        .ok_or_else(|| format!("'{text}' is not a color like ffffff"))?
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
    fn spellings_of_the_reference_and_of_earlier_versions_are_known() {
        for line in ["prep --source x --dest y.zip", "prep run --dest y.zip x"] {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            assert!(error.to_string().contains("prep run INPUT"), "{error}");
        }
        let line = "prep run x --out y.zip --colour 5 --dedup pictures";
        let Command::Run(args) = Args::parse_from(line.split(' ')).command else {
            panic!("{line}");
        };
        assert_eq!(args.chroma, Some(Limit::at(5.0)));
        // The parsed value is the alias as it was typed.
        assert_eq!(args.dedup.as_deref(), Some("pictures"));
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
