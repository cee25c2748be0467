use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use detect::DetectorSpec;

use crate::{evaluate, label, train};

#[derive(Parser)]
#[command(version = cli::version(), about = "Trains the face detector that ships inside prep")]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: cli::Common,
}

#[derive(Subcommand)]
enum Command {
    /// Write the faces of a folder of pictures as a teacher sees them from several distances
    LabelPictures(LabelArgs),
    /// Train and write weights
    Train(TrainArgs),
    /// Recall, precision and AP of weights on a folder with a boxes.json
    Evaluate {
        /// Weights in safetensors
        weights: PathBuf,
        /// Folder of pictures with a boxes.json
        dir: PathBuf,
        /// Pictures are shrunk to this
        #[arg(long, default_value_t = 1024)]
        longest_side: u32,
    },
}

#[derive(clap::Args)]
pub struct LabelArgs {
    /// Folder of pictures, searched with its subfolders
    pub dir: PathBuf,
    /// File to write: name to faces and regions to ignore, as boxes.json
    #[arg(long)]
    pub out: PathBuf,
    /// The detector that is asked
    #[arg(long)]
    pub teacher: DetectorSpec,
    /// Pictures whose names contain this are left out
    #[arg(long)]
    pub skip: Vec<String>,
}

#[derive(clap::Args)]
pub struct TrainArgs {
    /// Folder of face crops that are all framed alike, and where the face is in them as shares of their sides:
    /// DIR=LEFT,TOP,RIGHT,BOTTOM
    #[arg(long, required = true, value_parser = framed)]
    pub crops: Vec<(PathBuf, [f32; 4])>,
    /// Folder of whole pictures and its labels, DIR=LABELS.json
    #[arg(long, value_parser = source)]
    pub pictures: Vec<(PathBuf, PathBuf)>,
    /// Folder of pictures without any face
    #[arg(long)]
    pub backgrounds: Vec<PathBuf>,
    /// Folder of small pieces of drawings without any face
    #[arg(long)]
    pub patches: Vec<PathBuf>,
    /// Folder that receives the weights
    #[arg(long)]
    pub out: PathBuf,
    /// Number of steps
    #[arg(long, default_value_t = 8000)]
    pub steps: usize,
    /// Pictures in a step
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Side of the training pictures
    #[arg(long, default_value_t = 256)]
    pub side: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 2e-3)]
    pub rate: f64,
    /// Seed of weights, composition and augmentation
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Raw parameters to start from (last.params.safetensors of another run)
    #[arg(long)]
    pub from: Option<PathBuf>,
    /// Weights are written this often
    #[arg(long, default_value_t = 500)]
    pub save_every: usize,
    /// Folder with a boxes.json that is measured at every save; nothing of it is trained on
    #[arg(long)]
    pub measure: Option<PathBuf>,
    /// Write this many training pictures with their boxes to the folder and stop
    #[arg(long)]
    pub preview: Option<usize>,
}

fn source(text: &str) -> Result<(PathBuf, PathBuf), String> {
    let (dir, labels) = text.rsplit_once('=').ok_or("is not DIR=LABELS.json")?;
    Ok((dir.into(), labels.into()))
}

fn framed(text: &str) -> Result<(PathBuf, [f32; 4]), String> {
    let wrong = "is not DIR=LEFT,TOP,RIGHT,BOTTOM with shares in 0..=1";
    let (dir, shares) = text.rsplit_once('=').ok_or(wrong)?;
    let shares: Vec<f32> = shares
        .split(',')
        .map(|share| share.parse().map_err(|_| wrong))
        .collect::<Result<_, _>>()?;
    match shares[..] {
        [x0, y0, x1, y1]
            if 0.0 <= x0 && x0 < x1 && x1 <= 1.0 && 0.0 <= y0 && y0 < y1 && y1 <= 1.0 =>
        {
            Ok((dir.into(), [x0, y0, x1, y1]))
        }
        _ => Err(wrong.into()),
    }
}

pub fn run() -> Result<()> {
    let args = Args::parse();
    args.common.start()?;
    match args.command {
        Command::LabelPictures(args) => label::pictures(&args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate {
            weights,
            dir,
            longest_side,
        } => evaluate::run(&weights, &dir, longest_side),
    }
}
