//! Command-line arguments.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use detect::DetectorSpec;

#[derive(Parser)]
#[command(version = cli::version(), about = "Trains the face detector that ships inside prep")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: cli::Common,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write pseudo-labels of a folder of images, on which detectors vote at several scales
    #[command(alias = "label-pictures")]
    LabelImages(LabelArgs),
    /// Write the false detections of a model on labeled images
    Mistakes {
        /// Weights in safetensors
        weights: PathBuf,
        /// Folder of images
        dir: PathBuf,
        /// Labels of the images, as label-images writes them
        labels: PathBuf,
        /// File to write
        #[arg(long)]
        out: PathBuf,
        /// Longest side of the finest scale, in pixels
        #[arg(long, default_value_t = 1024)]
        longest_side: u32,
        /// Smallest score of a detection
        #[arg(long, default_value_t = 0.25)]
        threshold: f32,
    },
    /// Train and write weights
    Train(TrainArgs),
    /// Write the weighted mean of two models that were trained from the same one
    Average {
        /// Weights in safetensors
        first: PathBuf,
        /// Weights of the other model
        second: PathBuf,
        /// Weight of the second model, 0 to 1
        #[arg(long, default_value_t = 0.5, value_parser = share)]
        share: f64,
        /// File to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Print recall, precision and AP of a model on a folder with a boxes.json
    Evaluate {
        /// Weights in safetensors
        weights: PathBuf,
        /// Folder of images with a boxes.json
        dir: PathBuf,
        /// Images are shrunk to this longest side, in pixels
        #[arg(long, default_value_t = 768)]
        longest_side: u32,
    },
}

/// A box `[left, top, right, bottom]` inside an image or another box, as shares of its width and height.
pub type Shares = [f32; 4];

#[derive(clap::Args)]
pub struct LabelArgs {
    /// Folder of images, searched with its subfolders
    pub dir: PathBuf,
    /// Weights of a trained model that votes too
    #[arg(long, alias = "student")]
    pub model: Option<PathBuf>,
    /// File to write: name to faces and regions to ignore, as boxes.json
    #[arg(long)]
    pub out: PathBuf,
    /// The detector that proposes the boxes, at several scales with one vote each
    #[arg(long)]
    pub teacher: DetectorSpec,
    /// The part of the teacher's boxes that is the face: LEFT,TOP,RIGHT,BOTTOM as shares of the box
    #[arg(long, value_parser = shares, default_value = "0,0,1,1")]
    pub part: Shares,
    /// Another detector, with two votes; may be given several times
    #[arg(long = "pseudo-labeler", alias = "witness")]
    pub pseudo_labelers: Vec<DetectorSpec>,
    /// Leave out images whose names contain this text
    #[arg(long)]
    pub skip: Vec<String>,
}

#[derive(clap::Args)]
pub struct TrainArgs {
    /// Folder of face crops with the same framing, and the position of the face as shares of their sides:
    /// DIR=LEFT,TOP,RIGHT,BOTTOM
    #[arg(long, value_parser = framed)]
    pub crops: Vec<(PathBuf, Shares)>,
    /// Folder of whole images and its labels, DIR=LABELS.json
    #[arg(long, alias = "pictures", value_parser = source)]
    pub images: Vec<(PathBuf, PathBuf)>,
    /// False detections in the whole images, DIR=MISTAKES.json as `mistakes` writes it
    #[arg(long, value_parser = source)]
    pub mistakes: Vec<(PathBuf, PathBuf)>,
    /// Share of training images that are cut from whole images, 0 to 1
    #[arg(long, default_value_t = 0.3)]
    pub windows: f64,
    /// Folder of images without any face
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
    /// Images per step
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Side of the training images in pixels
    #[arg(long, default_value_t = 256)]
    pub side: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 2e-3)]
    pub rate: f64,
    /// Steps of linear warm-up of the learning rate
    #[arg(long, default_value_t = 150)]
    pub warm_up: usize,
    /// Seed of weights, composition and augmentation
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Parameters to start from: last.params.safetensors of another run, or exported weights (detector.safetensors)
    #[arg(long)]
    pub from: Option<PathBuf>,
    /// Write weights every N steps
    #[arg(long, default_value_t = 500)]
    pub save_every: usize,
    /// Folder with a boxes.json that the model is evaluated on at every save; it is not trained on
    #[arg(long)]
    pub measure: Option<PathBuf>,
    /// Write this many training images with their boxes to the folder and stop
    #[arg(long)]
    pub preview: Option<usize>,
}

fn source(text: &str) -> Result<(PathBuf, PathBuf), String> {
    let (dir, labels) = text.rsplit_once('=').ok_or("is not DIR=LABELS.json")?;
    Ok((dir.into(), labels.into()))
}

fn framed(text: &str) -> Result<(PathBuf, Shares), String> {
    let (dir, text) = text
        .rsplit_once('=')
        .ok_or("is not DIR=LEFT,TOP,RIGHT,BOTTOM")?;
    Ok((dir.into(), shares(text)?))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("is not a number from 0 to 1".into()),
    }
}

fn shares(text: &str) -> Result<Shares, String> {
    let wrong = "is not LEFT,TOP,RIGHT,BOTTOM with left < right and top < bottom";
    let shares: Vec<f32> = text
        .split(',')
        .map(|share| share.parse().map_err(|_| wrong))
        .collect::<Result<_, _>>()?;
    match shares[..] {
        [x0, y0, x1, y1] if x0 < x1 && y0 < y1 => Ok([x0, y0, x1, y1]),
        _ => Err(wrong.into()),
    }
}
