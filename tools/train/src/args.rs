//! The command line. Names and meanings of the reference's flags are kept.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use run_folder::Checkpoint;
use serde::Serialize;
use training::AugmentMode;

/// Train StyleGAN2 with adaptive discriminator augmentation (ADA).
///
/// A new run:  train --data faces64.zip --outdir runs --cfg tiny64 --mirror
/// Fine-tune:  train --data faces512.zip --outdir runs --cfg paper512 --init-from ffhq512
/// Go on:      train --resume latest --outdir runs
///
/// Exit codes: 0 finished, 1 error, 2 wrong usage, 3 stopped by --stop-on-collapse,
/// 130 by Ctrl-C, 143 by SIGTERM, 129 by a terminal that hung up. What was stopped is
/// saved and goes on with --resume.
#[derive(Debug, clap::Parser)]
#[command(name = "train", version = cli::version(), verbatim_doc_comment)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub common: cli::Common,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Draw a sheet of what the discriminator will see under an augmentation pipe
    AugmentPreview(PreviewArgs),
}

/// Settings: the preset, then the file of --config, then these flags.
#[derive(Debug, Default, clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunArgs {
    /// Dataset zip or folder (`prep run` makes one)
    #[arg(long, value_name = "PATH", help_heading = "Run")]
    pub data: Option<PathBuf>,
    /// Where run folders are made
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    #[serde(skip)]
    pub outdir: Option<PathBuf>,
    /// Preset: auto, stylegan2, paper256, paper512, paper1024, cifar, tiny32, tiny64 [default: auto]
    #[arg(long, value_name = "PRESET", help_heading = "Run")]
    pub cfg: Option<String>,
    /// A TOML file with settings under the names of these flags
    #[arg(long, value_name = "FILE.toml", help_heading = "Run")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Print the resolved run and the memory it should need, measure one step, and stop
    #[arg(long, short = 'n', help_heading = "Run")]
    #[serde(skip)]
    pub dry_run: bool,
    /// Where to compute: cpu, cuda or cuda:N (a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", help_heading = "Run")]
    pub device: Option<String>,
    /// Number of devices: 1
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub gpus: Option<usize>,

    /// Go on exactly where a run was: `latest` (of --outdir), a run folder, or a training-state file
    #[arg(long, value_name = "RUN", help_heading = "Start")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// With --resume and an older training-state file: throw away the newer states of the run
    #[arg(long, help_heading = "Start", requires = "resume")]
    #[serde(skip)]
    pub discard_newer: bool,
    /// With --resume: go on although pictures of the dataset were replaced (mended) since the run began
    #[arg(long, help_heading = "Start", requires = "resume")]
    #[serde(skip)]
    pub accept_changed_data: bool,
    /// Start from networks: a checkpoint file, a run folder, `latest` (of --outdir), or ffhq256, ffhq512, ffhq1024,
    /// celebahq256, lsundog256
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Start",
        conflicts_with = "resume"
    )]
    pub init_from: Option<String>,
    /// Checkpoint of the run folder of --init-from: best (by FID, else another metric; the newest where none was
    /// measured), newest, or a number of kimg [default: best]
    #[arg(long, value_name = "best|newest|KIMG", help_heading = "Start")]
    pub checkpoint: Option<Checkpoint>,
    /// With --init-from: load what fits, leave the rest random
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Start")]
    pub allow_partial: Option<bool>,
    /// Layers of the discriminator that stay fixed, counted from the image (10 and 13 are usual)
    #[arg(long, value_name = "N", help_heading = "Start")]
    pub freezed: Option<usize>,

    /// Use every image mirrored, too
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Data")]
    pub mirror: Option<bool>,
    /// Use only so many images, chosen by the seed
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub subset: Option<usize>,
    /// Train on the labels of the dataset
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Data")]
    pub cond: Option<bool>,
    /// Threads that decode images [default: 3]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub workers: Option<usize>,

    /// Augmentation: ada, noaug, fixed [default: ada]
    #[arg(long, value_name = "MODE", value_parser = parse_mode, help_heading = "Augmentation")]
    pub aug: Option<AugmentMode>,
    /// Probability for --aug fixed
    #[arg(long, value_name = "P", help_heading = "Augmentation")]
    pub p: Option<f64>,
    /// Share of signs that ada aims at [default: 0.6]
    #[arg(long, value_name = "T", help_heading = "Augmentation")]
    pub target: Option<f64>,
    /// Largest probability of ada, or `none` [default: 0.85]
    #[arg(long, value_name = "P", value_parser = parse_limit, help_heading = "Augmentation")]
    pub ada_max_p: Option<f64>,
    /// Transforms: blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc, or a list of categories
    /// and single transforms with strengths (blit,geom or xflip,xint,scale=0.5) [default: bgc]
    #[arg(long, value_name = "LIST", help_heading = "Augmentation")]
    pub augpipe: Option<String>,

    /// Length of training, in thousands of images
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub kimg: Option<u64>,
    /// Images of one step
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Images at once; a step accumulates the gradients of batch / batch-gpu rounds
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_gpu: Option<usize>,
    /// Weight of the R1 penalty
    #[arg(long, value_name = "G", help_heading = "Training")]
    pub gamma: Option<f64>,
    /// Learning rate of the generator
    #[arg(long, value_name = "LR", help_heading = "Training")]
    pub glr: Option<f64>,
    /// Learning rate of the discriminator
    #[arg(long, value_name = "LR", help_heading = "Training")]
    pub dlr: Option<f64>,
    /// Layers of the mapping network
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub map_layers: Option<usize>,
    /// A block of side r has min(cbase / r, cmax) channels
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub cbase: Option<usize>,
    /// See --cbase
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub cmax: Option<usize>,
    /// Seed of everything random, below 2^32 [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)), help_heading = "Training")]
    pub seed: Option<u64>,
    /// No half precision at all
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Training")]
    pub fp32: Option<bool>,
    /// bf16 in place of f16 at the largest resolutions: the range of f32, less precise; for cards from Ampere on
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Training")]
    pub bf16: Option<bool>,

    /// What to measure at snapshots (fid50k_full, fid5k_full, kid50k_full, ...), or `none` [default: fid50k_full; tiny
    /// presets: none]
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        help_heading = "Files and metrics"
    )]
    pub metrics: Option<Vec<String>>,
    /// Ticks between evaluations; tick 0 is never measured [default: as --snap]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub metrics_every: Option<usize>,
    /// Where features come from: inception (needs weights: `eval weights`), face-detector (inside the binary, knows drawn
    /// faces), random-inception, random-inception-small (weights by seed); only those of inception can be compared with
    /// published numbers [default: inception]
    #[arg(long, value_name = "NAME", help_heading = "Files and metrics")]
    pub features: Option<String>,
    /// A file with the weights of the Inception network, in place of the cache
    #[arg(long, value_name = "FILE", help_heading = "Files and metrics")]
    pub weights: Option<PathBuf>,
    /// Save and stop when the generator has collapsed, instead of only warning
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, help_heading = "Files and metrics")]
    pub stop_on_collapse: Option<bool>,
    /// Thousands of images of a tick [default: 4; tiny presets: 1]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub tick: Option<u64>,
    /// Ticks between network snapshots [default: 50; tiny presets: 10]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub snap: Option<usize>,
    /// Ticks between preview grids [default: as --snap]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub image_snap: Option<usize>,
    /// Ticks between training states: what a killed run loses at most [default: 4]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub state_every: Option<usize>,
    /// Training states to keep; a damaged one falls back to the one before [default: 2]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub keep_states: Option<usize>,
    /// Network snapshots to keep besides those that a metric found best [default: all]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub keep: Option<usize>,
    /// Columns and rows of the preview grids, as 12x8
    #[arg(long, value_name = "CxR", value_parser = parse_grid, help_heading = "Files and metrics")]
    pub grid: Option<[usize; 2]>,
}

/// `augment-preview`
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// Dataset zip or folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Transforms, as for training
    #[arg(long, value_name = "LIST", default_value = "bgc")]
    pub augpipe: String,
    /// Probability of each transform, 0 to 1
    #[arg(long, value_name = "P", value_parser = parse_probability, default_value_t = 0.3)]
    pub p: f64,
    /// The sheet to write
    #[arg(long, short, value_name = "FILE.png", value_parser = clap::builder::PathBufValueParser::new().try_map(check_png))]
    pub out: PathBuf,
    #[command(flatten)]
    pub overwrite: cli::Overwrite,
    /// Columns and rows; the first column shows the images as they are
    #[arg(long, value_name = "CxR", value_parser = parse_grid, default_value = "9x6")]
    pub grid: Grid,
    /// Seed of the draws
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)), default_value_t = 0)]
    pub seed: u64,
}

/// Columns and rows.
pub type Grid = [usize; 2];

fn parse_grid(text: &str) -> Result<Grid, String> {
    let parts = text.split_once('x').and_then(|(columns, rows)| {
        let (columns, rows) = (columns.parse().ok()?, rows.parse().ok()?);
        ((1..=4096).contains(&columns) && (1..=4096 / columns).contains(&rows))
            .then_some([columns, rows])
    });
    parts.ok_or_else(|| "columns and rows are wanted, as 12x8, at most 4096 pictures".to_owned())
}

fn parse_probability(text: &str) -> Result<f64, String> {
    let p = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
    p.ok_or_else(|| "a number from 0 to 1 is wanted".to_owned())
}

fn check_png(path: PathBuf) -> Result<PathBuf, String> {
    let is_png = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let wanted = "the sheet is a PNG: a name that ends in .png is wanted";
    is_png.then_some(path).ok_or_else(|| wanted.to_owned())
}

fn parse_limit(text: &str) -> Result<f64, String> {
    match text {
        "none" => Ok(f64::INFINITY),
        text => text
            .parse()
            .map_err(|_| "a number or 'none' is wanted".to_owned()),
    }
}

fn parse_mode(text: &str) -> Result<AugmentMode, String> {
    let modes = [AugmentMode::Ada, AugmentMode::Noaug, AugmentMode::Fixed];
    let mode = modes.into_iter().find(|mode| mode.name() == text);
    mode.ok_or_else(|| "there are ada, noaug and fixed".to_owned())
}
