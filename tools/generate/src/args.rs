//! The command line.

use std::path::PathBuf;

use tool_support::CheckpointArgs;

use crate::seeds::{Layers, Seeds};

/// Images and videos from trained networks.
#[derive(Debug, clap::Parser)]
#[command(name = "generate", version = cli::version())]
pub struct Args {
    #[command(flatten)]
    pub common: cli::Common,
    #[command(flatten)]
    pub reference: ReferenceFlags,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of `generate.py` of NVIDIA's StyleGAN2-ADA, which has no subcommands. Each is refused with a message that
/// shows the spelling of this program.
#[derive(Debug, Default, clap::Args)]
pub struct ReferenceFlags {
    #[arg(long, hide = true, value_name = "FILE", value_parser = refuse_reference)]
    network: Option<String>,
    #[arg(long, hide = true, value_name = "RANGE", value_parser = refuse_reference)]
    seeds: Option<String>,
    #[arg(long, hide = true, value_name = "PSI", value_parser = refuse_reference)]
    trunc: Option<String>,
    #[arg(long, hide = true, value_name = "DIR", value_parser = refuse_reference)]
    outdir: Option<String>,
}

fn refuse_reference(_: &str) -> Result<String, String> {
    Err("generate.py takes it without a command; here: generate images --network FILE --seeds 0-99 --outdir DIR".to_owned())
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// One PNG for each seed
    Images(ImagesArgs),
    /// One PNG with all seeds side by side
    Grid(GridArgs),
    /// Images of every row seed with the styles of every column seed
    StyleMix(StyleMixArgs),
    /// A video of a closed path through latent space
    LatentWalk(LatentWalkArgs),
    /// A video that passes through the images of seeds
    Interpolate(InterpolateArgs),
    /// Find the latent of an image (projection)
    Project(ProjectArgs),
    /// Write a checkpoint in another format: .safetensors, .pkl (NVIDIA), .pt (rosinality), .onnx (the generator)
    Convert(ConvertArgs),
    /// Print the content of a checkpoint: networks, settings, numbers of parameters, checksums
    Describe(DescribeArgs),
}

/// The network and the device.
#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    /// Checkpoint (.safetensors, .pkl, .pt), address, run folder, `latest` (the newest run in `runs`; DIR/latest for
    /// another folder), drawn64 (drawn faces at 64 px, ships with this program), or one of ffhq256, ffhq512,
    /// ffhq1024, celebahq256, lsundog256
    #[arg(long, short, value_name = "FILE|URL|NAME")]
    pub network: PathBuf,

    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    /// Generator of the file: G_ema (moving average) or G (the one in training) [default: G_ema, else G]
    #[arg(long, value_name = "KEY", value_parser = ["G_ema", "G"])]
    pub generator: Option<String>,

    /// Device: cpu, cuda or cuda:N (cuda needs a build with the feature cuda)
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,

    /// Images in one forward pass [default: by resolution]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: Option<u32>,
}

/// Settings of sampling.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Truncation psi: below 1, images are closer to the average, with less variety and fewer failures
    #[arg(
        long,
        alias = "trunc",
        default_value_t = 1.0,
        value_name = "PSI",
        allow_negative_numbers = true
    )]
    pub truncation_psi: f64,

    /// Number of layers that are truncated, from the first [default: all]
    #[arg(long, value_name = "N")]
    pub truncation_cutoff: Option<usize>,

    /// Class label, for networks that were trained with labels
    #[arg(long, value_name = "INDEX")]
    pub class: Option<usize>,

    /// Noise maps: stored with the weights, random for each seed, or none
    #[arg(long, default_value = "const", value_name = "MODE")]
    pub noise_mode: Noise,
}

/// Noise maps of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Noise {
    /// Stored with the weights
    Const,
    /// Random for each seed
    Random,
    /// No noise
    None,
}

impl Noise {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Noise::Const => "const",
            Noise::Random => "random",
            Noise::None => "none",
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("latents").required(true).args(["seeds", "w", "z"]))]
pub struct ImagesArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Seeds: 85, 0-99, 1,5,7-9
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<Seeds>,

    /// File with latents w (.npz, .npy, .safetensors), as `project` writes it; without truncation
    #[arg(long, alias = "projected-w", value_name = "FILE", conflicts_with_all = ["class", "truncation_psi", "truncation_cutoff"])]
    pub w: Option<PathBuf>,

    /// File with latents z (.npz, .npy, .safetensors)
    #[arg(long, value_name = "FILE")]
    pub z: Option<PathBuf>,

    /// Folder for the images
    #[arg(long, short, value_name = "FOLDER")]
    pub outdir: PathBuf,

    #[command(flatten)]
    pub sampling: SamplingArgs,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct GridArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Seeds: 85, 0-99, 1,5,7-9
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Seeds,

    /// Images in a row [default: the grid is nearly square]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub cols: Option<u32>,

    /// The PNG to write
    #[arg(long, short, default_value = "grid.png", value_name = "FILE.png")]
    pub out: PathBuf,

    #[command(flatten)]
    pub sampling: SamplingArgs,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct StyleMixArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Seeds for pose and shape (the layers that are not in --styles)
    #[arg(long, alias = "rows", value_name = "SEEDS")]
    pub row_seeds: Seeds,

    /// Seeds for the styles
    #[arg(long, alias = "cols", value_name = "SEEDS")]
    pub col_seeds: Seeds,

    /// Layers with the styles of the column seeds: 0-6, 4,5
    #[arg(
        long = "styles",
        alias = "col-styles",
        default_value = "0-6",
        value_name = "LAYERS"
    )]
    pub styles: Layers,

    /// Folder for the images and grid.png
    #[arg(long, short, value_name = "FOLDER")]
    pub outdir: PathBuf,

    #[command(flatten)]
    pub sampling: SamplingArgs,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

/// Options of a video.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Video")]
pub struct VideoArgs {
    /// Frames per second
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=240))]
    pub fps: u32,

    /// .mp4 (needs ffmpeg), .webp, .gif or .png [default: the name of the command, .mp4 with ffmpeg, else .webp]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct LatentWalkArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Seed of the walk
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    pub seed: u32,

    /// circular: a circle through the image of the seed; noise-loop: a smooth random loop
    #[arg(long, default_value = "circular", value_name = "PATH")]
    pub path: Walk,

    /// Frames of the video
    #[arg(long, default_value_t = 240, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub frames: u32,

    /// Fourier terms of a noise loop: more of them make more turns
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub windings: u32,

    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub video: VideoArgs,
}

/// A closed path through z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Walk {
    /// A circle through the image of the seed
    Circular,
    /// A smooth random loop
    NoiseLoop,
}

#[derive(Debug, clap::Args)]
pub struct InterpolateArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Seeds in the order of the video: 85,265,297
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Seeds,

    /// straight: lines in w; slerp: arcs in z
    #[arg(long, default_value = "straight", value_name = "PATH")]
    pub path: Interpolation,

    /// Frames from one seed to the next
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frames: u32,

    /// End at the last seed instead of returning to the first
    #[arg(long)]
    pub once: bool,

    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub video: VideoArgs,
}

/// A path from seed to seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Interpolation {
    /// Lines in w
    Straight,
    /// Arcs in z
    Slerp,
}

#[derive(Debug, clap::Args)]
pub struct ProjectArgs {
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Target image; its central square is resized to the size of the network
    #[arg(long, short, value_name = "IMAGE")]
    pub target: PathBuf,

    /// Steps of the search
    #[arg(long, alias = "num-steps", default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,

    /// Seed of the search
    #[arg(long, default_value_t = 303, value_name = "SEED")]
    pub seed: u32,

    /// w: one w for all layers; w+: one for each layer (closer to the target, harder to edit)
    #[arg(long, default_value = "w", value_name = "SPACE", value_parser = ["w", "w+"])]
    pub space: String,

    /// Weights of VGG16 with LPIPS for the perceptual distance; default: those of `eval weights`, else pixels and edges
    ///
    /// NVIDIA's vgg16.pt has both; torchvision's vgg16-397923af.pth and the vgg.pth of LPIPS are given by two
    /// --perceptual.
    #[arg(long, value_name = "FILE")]
    pub perceptual: Vec<PathBuf>,

    /// Class label, for networks that were trained with labels
    #[arg(long, value_name = "INDEX")]
    pub class: Option<usize>,

    /// Also write a video of the search beside the results
    #[arg(long, alias = "film")]
    pub video: bool,

    /// Folder for target.png, proj.png and projected_w.npz
    #[arg(long, short, value_name = "FOLDER")]
    pub outdir: PathBuf,

    #[command(flatten)]
    pub overwrite: cli::Overwrite,
}

#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// Checkpoint, run folder, `latest`, address or preset
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    /// Output: .safetensors, .pkl (NVIDIA), .pt (rosinality), or .onnx for the generator only
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// Store the weights in f16, half the size; for .safetensors
    #[arg(long)]
    pub f16: bool,

    /// Replace OUT if it exists
    #[arg(long, alias = "overwrite")]
    pub force: bool,
}

#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// Checkpoint, run folder, `latest`, address or preset
    #[arg(value_name = "FILE|URL|NAME")]
    pub input: PathBuf,

    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

    /// List every tensor
    #[arg(long)]
    pub tensors: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn flags_of_the_reference_without_a_command_name_the_command() {
        for line in [
            "--network a.pkl --seeds 0-3",
            "--seeds=0-3",
            "--trunc 0.7 --outdir o",
        ] {
            let words = std::iter::once("generate").chain(line.split(' '));
            let error = Args::try_parse_from(words).unwrap_err().to_string();
            assert!(
                error.contains("generate images --network"),
                "{line}: {error}"
            );
        }
        let line = "generate images --network a.pkl --seeds 0-3 --outdir o";
        assert!(Args::try_parse_from(line.split(' ')).is_ok());
    }
}
