//! `generate images`: one PNG for each latent.

use std::path::PathBuf;

use anyhow::Context;
use candle_core::Tensor;
use rayon::prelude::*;
use serde::Serialize;

use crate::args::{ImagesArgs, Noise};
use crate::latents::{read_ws, read_z, z_of_seeds};
use crate::model::Model;
use crate::output_image::{OutputImage, PngTexts};
use crate::synthesis::{pipeline, synthesize};

#[derive(Serialize)]
struct Summary {
    images: usize,
    #[serde(serialize_with = "cli::lossy")]
    outdir: PathBuf,
    network: String,
    weights_sha256: String,
}

pub fn run(args: &ImagesArgs) -> anyhow::Result<()> {
    let model = Model::open(&args.network)?;
    let outdir = &args.outdir;
    std::fs::create_dir_all(outdir)
        .with_context(|| format!("cannot create the folder {}", outdir.display()))?;
    let noise = args.sampling.noise_mode;
    let mut texts = PngTexts::new(&model);
    texts.add("noise_mode", noise.name());
    if args.w.is_none() {
        texts.add("truncation_psi", args.sampling.truncation_psi);
        if let Some(cutoff) = args.sampling.truncation_cutoff {
            texts.add("truncation_cutoff", cutoff);
        }
        if let Some(class) = model.class(args.sampling.class) {
            texts.add("class", class);
        }
    }

    let images = match (&args.w, &args.z, &args.seeds) {
        (Some(path), ..) => {
            let all = read_ws(path, model.config(), &model.device)?;
            let indices: Vec<u32> = (0..all.dim(0)? as u32).collect();
            let texts = texts.with("w", path.display());
            write_all(&model, args, noise, &indices, &Naming::W, &texts, |chunk| {
                Ok(rows(&all, chunk)?)
            })?
        }
        (_, Some(path), _) => {
            let mapping = model.mapping(&args.sampling)?;
            let all = read_z(path, model.config(), &model.device)?;
            let indices: Vec<u32> = (0..all.dim(0)? as u32).collect();
            let texts = texts.with("z", path.display());
            write_all(&model, args, noise, &indices, &Naming::Z, &texts, |chunk| {
                model.ws(&rows(&all, chunk)?, &mapping)
            })?
        }
        (_, _, seeds) => {
            let seeds = seeds.as_ref().map_or(&[][..], |seeds| &seeds.0);
            let mapping = model.mapping(&args.sampling)?;
            let z_dim = model.config().z_dim;
            write_all(&model, args, noise, seeds, &Naming::Seed, &texts, |chunk| {
                model.ws(&z_of_seeds(chunk, z_dim, &model.device)?, &mapping)
            })?
        }
    };
    let summary = Summary {
        images,
        outdir: outdir.clone(),
        network: model.file,
        weights_sha256: model.checksum,
    };
    cli::report(&summary, |summary| {
        let noun = if summary.images == 1 {
            "image"
        } else {
            "images"
        };
        format!("{} {noun} in {}", summary.images, summary.outdir.display())
    });
    Ok(())
}

/// The meaning of the number in an image's file name: a seed, or the index of a latent `w` or `z` in a file.
enum Naming {
    Seed,
    W,
    Z,
}

impl Naming {
    /// The file name for a number. Images of seeds and of `w` are named as in NVIDIA's StyleGAN2-ADA.
    fn file(&self, number: u32) -> String {
        match self {
            Naming::Seed => format!("seed{number:04}.png"),
            Naming::W => format!("proj{number:02}.png"),
            Naming::Z => format!("z{number:04}.png"),
        }
    }

    fn texts(&self, number: u32, texts: &PngTexts) -> PngTexts {
        match self {
            Naming::Seed => texts.with("seed", number),
            Naming::W | Naming::Z => texts.with("index", number),
        }
    }
}

/// The rows of `all` with the indices `numbers`, which must be consecutive.
fn rows(all: &Tensor, numbers: &[u32]) -> candle_core::Result<Tensor> {
    // The numbers of a batch are consecutive.
    let first = numbers.first().map_or(0, |&n| n as usize);
    all.narrow(0, first, numbers.len())
}

/// Generates one image for each of `numbers` (see [`Naming`]), writes each as a PNG and returns the number of images.
/// `ws` returns the latents of a batch of numbers, `[batch, num_ws, w_dim]`.
fn write_all(
    model: &Model,
    args: &ImagesArgs,
    noise: Noise,
    numbers: &[u32],
    naming: &Naming,
    texts: &PngTexts,
    mut ws: impl FnMut(&[u32]) -> anyhow::Result<Tensor>,
) -> anyhow::Result<usize> {
    for &number in numbers {
        args.overwrite
            .check(&args.outdir.join(naming.file(number)))?;
    }
    let bar = cli::Progress::new("images", Some(numbers.len() as u64), "images");
    pipeline(
        numbers,
        model.batch(),
        |chunk| synthesize(model, &ws(chunk)?, noise, chunk),
        |chunk, images: Vec<OutputImage>| {
            let pairs = chunk.par_iter().zip(images);
            pairs.try_for_each(|(&number, image)| {
                let path = args.outdir.join(naming.file(number));
                image.save(&path, &naming.texts(number, texts))?;
                bar.inc(1);
                Ok(())
            })
        },
    )?;
    bar.finish();
    Ok(numbers.len())
}
