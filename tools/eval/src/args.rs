//! The command line.

use std::path::PathBuf;

use metrics::{Covariance, FeatureKind, Metric};
use tool_support::CheckpointArgs;

/// Measures snapshots and runs.
#[derive(Debug, clap::Parser)]
#[command(name = "eval", version = cli::version())]
pub struct Args {
    #[command(flatten)]
    pub common: cli::Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Measure one network: FID, KID, precision and recall, ... against a dataset
    Metrics(MetricsArgs),
    /// Compare two sets of images, in folders or zips
    Images(ImagesArgs),
    /// Measure every snapshot of a training run that has no result yet
    Run(RunArgs),
    /// Compare runs on one HTML page: quality, curves, images over time, settings, a verdict
    Compare(CompareArgs),
    /// Make a video of the same latents at each snapshot of a run, or of several runs side by side
    Video(VideoArgs),
    /// Check whether augmentations have leaked into generated images, by category
    Leak(LeakArgs),
    /// Install the weights of the feature networks in the cache: Inception (FID, KID, ...), VGG16 (pr, ppl)
    #[command(alias = "inception")]
    Weights(WeightsArgs),
}

/// Options of the commands that compute metrics.
#[derive(Clone, Debug, clap::Args)]
pub struct MeasureArgs {
    /// Feature network: inception (defines the metrics; needs weights), face-detector (built in, trained on drawn
    /// faces), random-inception or random-inception-small (random weights); only results with inception can be compared
    /// with published ones [default: inception; `run`: as in the run]
    #[arg(long, value_name = "NAME", value_parser = parse_features, help_heading = "Measuring")]
    pub features: Option<FeatureKind>,

    /// A file with the weights of the Inception network, in place of the cache
    #[arg(long, value_name = "FILE", help_heading = "Measuring")]
    pub weights: Option<PathBuf>,

    /// Images that the feature network processes at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Measuring")]
    pub batch: u16,

    /// Seed of latents, noise and subsets
    #[arg(
        long,
        default_value_t = 0,
        value_name = "N",
        help_heading = "Measuring"
    )]
    pub seed: u32,

    /// Bootstrap rounds for the error bar of a FID of at most 10k generated images; 0 for none
    #[arg(
        long,
        default_value_t = 10,
        value_name = "N",
        help_heading = "Measuring"
    )]
    pub bootstrap: usize,

    /// Device: cpu, cuda or cuda:N (cuda needs a build with the feature cuda)
    #[arg(
        long,
        default_value = "cpu",
        value_name = "DEVICE",
        help_heading = "Measuring"
    )]
    pub device: String,

    /// Compute the Inception network in f32 on a GPU, instead of half precision
    #[arg(long, help_heading = "Measuring")]
    pub fp32: bool,
}

#[derive(Debug, clap::Args)]
pub struct MetricsArgs {
    /// A checkpoint (safetensors, official .pkl, rosinality .pt), a run folder, `latest` (the newest run in `runs`;
    /// DIR/latest for another folder), an address, or the name of a published network
    #[arg(long, short, value_name = "FILE")]
    pub network: PathBuf,

    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    /// The dataset: a zip or a folder
    #[arg(long, value_name = "ZIP")]
    pub data: PathBuf,

    /// Metrics, with any number of images (fid5k_full)
    #[arg(
        long,
        default_value = "fid50k_full",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub metrics: Vec<Metric>,

    /// Add mirrored copies of the real images, for metrics without `_full`
    #[arg(long)]
    pub mirror: bool,

    /// Divisor of covariances: n (as StyleGAN2-ADA) or n-1 (as pytorch-fid)
    #[arg(long, default_value = "n", value_name = "N", value_parser = parse_covariance)]
    pub covariance: Covariance,

    /// Append the results to a file, as JSON lines
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, clap::Args)]
pub struct ImagesArgs {
    /// The real images: a folder or a zip; sizes may differ
    pub reals: PathBuf,
    /// The images to compare with them: a folder or a zip
    pub fakes: PathBuf,

    /// Metrics: fid, kid, pr3 (precision, recall), dc5 (density, coverage), mem (copies of training images), is
    #[arg(
        long,
        default_value = "fid",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub metrics: Vec<String>,

    /// Divisor of covariances: n-1 (as pytorch-fid and torch-fidelity) or n (as StyleGAN2-ADA)
    #[arg(long, default_value = "n-1", value_name = "N", value_parser = parse_covariance)]
    pub covariance: Covariance,

    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The folder of the run, or `latest` (the newest run in `runs`; DIR/latest for another folder)
    pub run_dir: PathBuf,

    /// The dataset, when it has moved since the run
    #[arg(long, value_name = "ZIP")]
    pub data: Option<PathBuf>,

    /// Metrics [default: those of the run, else fid50k_full]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub metrics: Option<Vec<Metric>>,

    /// Only snapshots at multiples of this many ticks, and the last one
    #[arg(long, value_name = "TICKS", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: Option<u64>,

    /// Wait for new snapshots until the run has ended
    #[arg(long)]
    pub watch: bool,

    /// Divisor of covariances: n (as StyleGAN2-ADA) or n-1 (as pytorch-fid)
    #[arg(long, default_value = "n", value_name = "N", value_parser = parse_covariance)]
    pub covariance: Covariance,

    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Folders of runs, of this program or of NVIDIA's
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,

    /// The HTML page to write; it needs no other files
    #[arg(long, short, default_value = "compare.html", value_name = "FILE.html")]
    pub out: PathBuf,

    /// Logarithmic axes for metrics, in place of axes from 0
    #[arg(long)]
    pub log: bool,

    /// Folder for each plot as PNG and CSV [default: FILE-plots beside the page]
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct VideoArgs {
    /// Folders of runs
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,

    /// The video: .mp4 (needs ffmpeg), .webp, .gif or .png [default: progress.mp4 with ffmpeg, else progress.webp]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Snapshots per second
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    pub fps: u32,

    /// Images in a row
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub columns: u8,

    /// Rows of images
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub rows: u8,

    /// Seed of the latents
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u32,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct LeakArgs {
    /// The folder of a run: one of its checkpoints is checked, and the result is appended to leaks.jsonl in it
    pub run_dir: Option<PathBuf>,

    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    /// The dataset, when there is no run or it has moved
    #[arg(long, value_name = "ZIP")]
    pub data: Option<PathBuf>,

    /// A network to check, in place of a checkpoint of the run
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,

    /// A folder or zip of generated images, in place of a network
    #[arg(long, value_name = "DIR", conflicts_with = "network")]
    pub images: Option<PathBuf>,

    /// A network or run trained for about as long without the augmentation: what it shows, too, is not a leak
    #[arg(long, value_name = "RUN|FILE")]
    pub baseline: Option<PathBuf>,

    /// Number of generated images
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub fakes: usize,

    /// Number of real images to learn from
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub reals: usize,

    /// Seed of latents and of the choice of images
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u32,
}

#[derive(Debug, clap::Args)]
pub struct WeightsArgs {
    /// A published file with the weights of a network. Inception:
    /// pt_inception-2015-12-05-6726825d.pth or NVIDIA's inception-2015-12-05.pt. VGG16: NVIDIA's vgg16.pt, or
    /// torchvision's vgg16-397923af.pth and the vgg.pth of LPIPS (give --from twice). Or safetensors of these
    #[arg(long, value_name = "FILE", conflicts_with = "download")]
    pub from: Vec<PathBuf>,

    /// Download the weights and check their checksum (inception 91 MB, vgg16 550 MB)
    #[arg(long, value_enum, value_name = "NETWORK", num_args = 0..=1, default_missing_value = "inception")]
    pub download: Option<FeatureWeights>,
}

/// Networks whose weights are published in one file.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum FeatureWeights {
    /// The network of FID
    Inception,
    /// The network of precision and recall and of path lengths (NVIDIA's file, non-commercial licence)
    Vgg16,
}

fn parse_features(name: &str) -> Result<FeatureKind, String> {
    name.parse()
}

fn parse_covariance(name: &str) -> Result<Covariance, String> {
    match name {
        "n" => Ok(Covariance::Population),
        "n-1" => Ok(Covariance::Sample),
        _ => Err(format!("'{name}' is neither n nor n-1")),
    }
}
