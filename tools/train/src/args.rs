//! The command line. Flags that NVIDIA's StyleGAN2-ADA has, too, have the same names and meanings.

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, TypedValueParser};
use run_folder::Checkpoint;
use serde::Serialize;
use train_settings::{Overrides, parse_grid};

/// Train StyleGAN2 with adaptive discriminator augmentation (ADA).
///
/// A new run:  train --data faces64.zip --outdir runs --cfg tiny64 --mirror
/// From faces: train --data faces64.zip --outdir runs --cfg tiny64 --init-from drawn64
/// Fine-tune:  train --data faces512.zip --outdir runs --cfg paper512 --init-from ffhq512
/// Resume:     train --resume latest --outdir runs
///
/// Exit codes: 0 finished, 1 error, 2 wrong usage, 3 stopped by --stop-on-collapse,
/// 130 by Ctrl-C, 143 by SIGTERM, 129 by a terminal that hung up. A run that was stopped
/// is saved; --resume continues it.
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
    /// Write a PNG with augmented training images, as the discriminator will see them
    AugmentPreview(PreviewArgs),
}

/// The settings of a run: preset, overridden by the file of --config, overridden by these flags.
#[derive(Debug, Default, clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunArgs {
    /// Dataset zip or folder (`prep run` makes one)
    #[arg(long, value_name = "PATH", help_heading = "Run")]
    pub data: Option<PathBuf>,
    /// Folder in which run folders are created
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
    /// Print the settings of the run and its predicted memory, measure one step, and stop
    #[arg(long, short = 'n', help_heading = "Run")]
    #[serde(skip)]
    pub dry_run: bool,
    /// Device: cpu, cuda or cuda:N (cuda needs a build with the feature cuda)
    #[arg(long, value_name = "DEVICE", help_heading = "Run")]
    pub device: Option<String>,

    /// Continue a run exactly: `latest` (of --outdir), a run folder, or a training-state file
    #[arg(long, value_name = "RUN", help_heading = "Start")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// With --resume and an older training-state file: delete the newer states of the run
    #[arg(long, help_heading = "Start", requires = "resume")]
    #[serde(skip)]
    pub discard_newer: bool,
    /// With --resume: continue although images of the dataset were replaced since the run began
    #[arg(long, help_heading = "Start", requires = "resume")]
    #[serde(skip)]
    pub accept_changed_data: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub overrides: Overrides,
    /// Checkpoint of the run folder of --init-from: best (by FID, else another metric; the newest where there is
    /// none), newest, or a number of kimg [default: best]
    #[arg(long, value_name = "best|newest|KIMG", help_heading = "Start")]
    pub checkpoint: Option<Checkpoint>,
    /// With --init-from: load the tensors that fit, keep random weights for the others
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Start")]
    pub allow_partial: Option<bool>,

    #[command(flatten)]
    #[serde(skip)]
    pub without_effect: WithoutEffect,
}

/// Flags of NVIDIA's StyleGAN2-ADA whose features do not exist here. They are refused with a reason.
#[derive(Debug, Default, clap::Args)]
pub struct WithoutEffect {
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", value_parser = refuse_nhwc)]
    nhwc: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", value_parser = refuse_tf32)]
    allow_tf32: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", value_parser = refuse_nobench)]
    nobench: Option<bool>,
}

const NO_NHWC: &str = "there is no channels-last layout here; leave the setting out";
const NO_TF32: &str = "TensorFloat-32 is never used here: f32 is f32; leave the setting out";
const NO_NOBENCH: &str = "there is no cuDNN autotuner to turn off; leave the setting out";

/// Settings of NVIDIA's StyleGAN2-ADA that would have no effect here, each with the reason why it is refused.
pub const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("nhwc", NO_NHWC),
    ("allow-tf32", NO_TF32),
    ("nobench", NO_NOBENCH),
];

fn refuse_nhwc(_: &str) -> Result<bool, &'static str> {
    Err(NO_NHWC)
}

fn refuse_tf32(_: &str) -> Result<bool, &'static str> {
    Err(NO_TF32)
}

fn refuse_nobench(_: &str) -> Result<bool, &'static str> {
    Err(NO_NOBENCH)
}

/// The arguments of `augment-preview`.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// Dataset zip or folder
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Transforms, as for --augpipe of training
    #[arg(long, value_name = "LIST", default_value = "bgc")]
    pub augpipe: String,
    /// Probability of each transform, 0 to 1
    #[arg(long, value_name = "P", value_parser = parse_probability, default_value_t = 0.3)]
    pub p: f64,
    /// The PNG to write
    #[arg(long, short, value_name = "FILE.png", value_parser = clap::builder::PathBufValueParser::new().try_map(check_png))]
    pub out: PathBuf,
    #[command(flatten)]
    pub overwrite: cli::Overwrite,
    /// Columns and rows; the first column shows the images without augmentation
    #[arg(long, value_name = "CxR", value_parser = parse_grid, default_value = "9x6")]
    pub grid: Grid,
    /// Seed of the augmentations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)), default_value_t = 0)]
    pub seed: u64,
}

/// Columns and rows of a grid of images.
pub type Grid = [usize; 2];

fn parse_probability(text: &str) -> Result<f64, String> {
    let p = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
    p.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn check_png(path: PathBuf) -> Result<PathBuf, String> {
    let is_png = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let expected = "expected a name that ends in .png";
    is_png.then_some(path).ok_or_else(|| expected.to_owned())
}
