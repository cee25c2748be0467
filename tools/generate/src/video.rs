//! `generate latent-walk` and `generate interpolate`: write videos.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use candle_core::Tensor;
use report::{Video, VideoFormat, VideoOptions};
use serde::Serialize;

use crate::args::{InterpolateArgs, Interpolation, LatentWalkArgs, Noise, VideoArgs, Walk};
use crate::latents::{z_of_seed, z_of_seeds};
use crate::model::Model;
use crate::output_image::OutputImage;
use crate::path;
use crate::synthesis::{pipeline, synthesize};

#[derive(Serialize)]
struct Summary {
    frames: usize,
    seconds: f64,
    #[serde(serialize_with = "cli::lossy")]
    out: PathBuf,
    weights_sha256: String,
}

pub fn latent_walk(args: &LatentWalkArgs) -> anyhow::Result<()> {
    let model = Model::open(&args.network)?;
    let mapping = model.mapping(&args.sampling)?;
    let z_dim = model.config().z_dim;
    let n_frames = args.frames as usize;
    let noise = (args.sampling.noise_mode, args.seed);
    render(
        &model,
        &args.video,
        "latent-walk",
        n_frames,
        noise,
        |frames| {
            let z: Vec<f32> = frames
                .iter()
                .flat_map(|&frame| {
                    let time = frame as f64 / n_frames as f64;
                    match args.path {
                        Walk::Circular => path::circular(args.seed, z_dim, time),
                        Walk::NoiseLoop => path::noise_loop(args.seed, z_dim, args.windings, time),
                    }
                })
                .collect();
            let z = Tensor::from_vec(z, (frames.len(), z_dim), &model.device)?;
            model.ws(&z, &mapping)
        },
    )
}

pub fn interpolate(args: &InterpolateArgs) -> anyhow::Result<()> {
    let seeds = &args.seeds.0;
    ensure!(
        seeds.len() > 1,
        "--seeds {}: a video from seed to seed needs at least two (latent-walk needs one)",
        seeds[0]
    );
    let model = Model::open(&args.network)?;
    let mapping = model.mapping(&args.sampling)?;
    let z_dim = model.config().z_dim;
    let frames_per_segment = args.frames as usize;
    let n_segments = if args.once {
        seeds.len() - 1
    } else {
        seeds.len()
    };
    // A video that does not return to the first seed has one more frame for the last seed.
    let n_frames = n_segments * frames_per_segment + usize::from(args.once);
    let noise = (args.sampling.noise_mode, seeds[0]);
    let next = |segment: usize| seeds[(segment + 1) % seeds.len()];
    let mut ends: Option<(usize, Tensor, Tensor)> = None;
    render(
        &model,
        &args.video,
        "interpolate",
        n_frames,
        noise,
        |frames| {
            let mut all = Vec::with_capacity(frames.len());
            for &frame in frames {
                let (segment, time) = path::segment(frame, frames_per_segment);
                let first = seeds[segment % seeds.len()];
                all.push(match args.path {
                    Interpolation::Slerp => {
                        let (a, b) = (z_of_seed(first, z_dim), z_of_seed(next(segment), z_dim));
                        let z = path::slerp(&a, &b, time);
                        model.ws(&Tensor::from_vec(z, (1, z_dim), &model.device)?, &mapping)?
                    }
                    Interpolation::Straight => {
                        let (a, b) = match &ends {
                            Some((held, a, b)) if *held == segment => (a.clone(), b.clone()),
                            _ => {
                                let z = z_of_seeds(&[first, next(segment)], z_dim, &model.device)?;
                                let ws = model.ws(&z, &mapping)?;
                                let (a, b) = (ws.narrow(0, 0, 1)?, ws.narrow(0, 1, 1)?);
                                ends = Some((segment, a.clone(), b.clone()));
                                (a, b)
                            }
                        };
                        ((a * (1.0 - time))? + (b * time)?)?
                    }
                });
            }
            Ok(Tensor::cat(&all, 0)?)
        },
    )
}

/// Generates and writes a video of `n_frames` frames. `ws` returns the latents of a batch of frames, given by their
/// numbers, as `[batch, num_ws, w_dim]`.
fn render(
    model: &Model,
    args: &VideoArgs,
    name: &str,
    n_frames: usize,
    (noise, noise_seed): (Noise, u32),
    mut ws: impl FnMut(&[usize]) -> anyhow::Result<Tensor>,
) -> anyhow::Result<()> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => {
            let format = VideoFormat::best();
            if format != VideoFormat::Mp4 {
                tracing::info!(
                    "ffmpeg is not installed: writing an animated .{}",
                    format.ending()
                );
            }
            Path::new(name).with_extension(format.ending())
        }
    };
    args.overwrite.check(&out)?;
    let side = model.config().img_resolution as u32;
    let options = VideoOptions {
        width: side,
        height: side,
        fps: args.fps,
        n_frames: u32::try_from(n_frames).context("too many frames")?,
    };
    let mut video = Video::create(&out, &options)?;
    let frames: Vec<usize> = (0..n_frames).collect();
    let bar = cli::Progress::new(name.to_owned(), Some(n_frames as u64), "frames");
    pipeline(
        &frames,
        model.batch(),
        |chunk| {
            // All frames have the same noise; otherwise the video flickers.
            let noise_seeds = vec![noise_seed; chunk.len()];
            synthesize(model, &ws(chunk)?, noise, &noise_seeds)
        },
        |chunk, images| {
            let rgb: Vec<Vec<u8>> = images.into_iter().map(OutputImage::into_rgb).collect();
            video.push(&rgb)?;
            bar.inc(chunk.len() as u64);
            Ok(())
        },
    )?;
    video.finish()?;
    bar.finish();
    let summary = Summary {
        frames: n_frames,
        seconds: n_frames as f64 / f64::from(args.fps),
        out,
        weights_sha256: model.checksum.clone(),
    };
    cli::report(&summary, |summary| {
        format!(
            "{} frames, {:.1} s, in {}",
            summary.frames,
            summary.seconds,
            summary.out.display()
        )
    });
    Ok(())
}
