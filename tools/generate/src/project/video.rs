//! Writes the video of a search: each frame shows the target beside the image of a step. The video of a long search
//! leaves out steps.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use report::{Video, VideoFormat, VideoOptions};

use crate::args::ProjectArgs;
use crate::output_image::OutputImage;

/// Largest number of frames of the video.
const MAX_FRAMES: u32 = 300;

/// The path of the video in the output folder.
pub fn path(outdir: &Path) -> PathBuf {
    outdir
        .join("proj")
        .with_extension(VideoFormat::best().ending())
}

/// A video file that is being written.
pub struct SearchVideo {
    target: OutputImage,
    /// Steps from one frame to the next.
    interval: u32,
    video: Video,
}

impl SearchVideo {
    /// Creates the video file for a search with the target image `target`.
    pub fn create(args: &ProjectArgs, target: &OutputImage) -> anyhow::Result<Self> {
        let interval = args.steps.div_ceil(MAX_FRAMES);
        let options = VideoOptions {
            width: 2 * target.width as u32,
            height: target.height as u32,
            fps: 30,
            n_frames: args.steps.div_ceil(interval),
        };
        Ok(Self {
            target: target.clone(),
            interval,
            video: Video::create(&path(&args.outdir), &options)?,
        })
    }

    /// Adds a frame with the image of a step, `[1, channels, side, side]`, unless the video leaves out this step.
    pub fn add_step(&mut self, step: u32, image: &Tensor) -> anyhow::Result<()> {
        if step.is_multiple_of(self.interval) {
            let image = OutputImage::from_tensor(image)?.remove(0);
            self.video.push(&[side_by_side(&self.target, &image)])?;
        }
        Ok(())
    }

    /// Completes the video file.
    pub fn finish(self) -> anyhow::Result<()> {
        Ok(self.video.finish()?)
    }
}

/// Two images of the same size side by side, as interleaved RGB, rows from top to bottom.
fn side_by_side(left: &OutputImage, right: &OutputImage) -> Vec<u8> {
    let line = left.width * 3;
    let (left, right) = (left.clone().into_rgb(), right.clone().into_rgb());
    let rows = left.chunks_exact(line).zip(right.chunks_exact(line));
    rows.flat_map(|(l, r)| [l, r].concat()).collect()
}
