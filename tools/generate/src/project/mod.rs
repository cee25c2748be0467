//! `generate project`: finds the latent of an image.
//!
//! [`search`] is the search of StyleGAN2 (arXiv:1912.04958, appendix D) without its optimization of the noise maps;
//! [`distance`] is the distance that it minimizes.

mod distance;
mod pyramid;
mod search;
mod target;
mod video;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use networks::MappingOptions;
use serde::Serialize;

use self::distance::{TargetDistance, perceptual_network};
use self::search::{Projection, Search, WStatistics};
use self::target::{read_target, to_tensor};
use self::video::SearchVideo;
use crate::args::ProjectArgs;
use crate::model::Model;
use crate::npz;
use crate::output_image::{OutputImage, PngTexts};

/// Smallest resolution in pixels of networks whose images can be compared.
const MIN_RESOLUTION: usize = 8;
/// Names of the files in the output folder, except the video.
const OUTPUTS: [&str; 3] = ["target.png", "proj.png", "projected_w.npz"];

/// The result of the command.
#[derive(Serialize)]
struct Summary {
    /// Description of the distance that was minimized.
    loss: &'static str,
    /// Distance in the first step, near the mean of w.
    first_distance: f64,
    distance: f64,
    steps: u32,
    space: String,
    #[serde(serialize_with = "cli::lossy")]
    target: PathBuf,
    #[serde(serialize_with = "cli::lossy")]
    outdir: PathBuf,
    weights_sha256: String,
}

pub fn run(args: &ProjectArgs) -> anyhow::Result<()> {
    files::protect_input(&args.target);
    for weights in &args.perceptual {
        files::protect_input(weights);
    }
    let model = Model::open(&args.network)?;
    check_outputs(args)?;
    let mapping = model.mapping_of(args.class, MappingOptions::default())?;
    let config = model.config();
    let resolution = config.img_resolution;
    ensure!(
        resolution >= MIN_RESOLUTION,
        "images of {resolution} px are too small to compare"
    );
    let target = read_target(&args.target, resolution, config.img_channels)?;
    std::fs::create_dir_all(&args.outdir)
        .with_context(|| format!("cannot create the folder {}", args.outdir.display()))?;
    let mut texts = PngTexts::new(&model);
    texts.add("target", args.target.display());
    target.save(&args.outdir.join("target.png"), &texts)?;

    let network = perceptual_network(&args.perceptual, &model.device)?;
    let distance = TargetDistance::new(&to_tensor(&target, &model.device)?, network)?;
    let search = Search {
        model: &model,
        distance: &distance,
        statistics: WStatistics::of(&model, &mapping, args.seed)?,
        n_steps: args.steps,
        seed: args.seed,
        is_per_layer: args.space == "w+",
    };
    let mut video = match args.video {
        true => Some(SearchVideo::create(args, &target)?),
        false => None,
    };
    let projection = search.run(&mut |step, images| match &mut video {
        Some(video) => video.add_step(step, images),
        None => Ok(()),
    })?;
    if let Some(video) = video {
        video.finish()?;
    }
    write_projection(args, &model, &projection, texts)?;
    report(args, &model, distance.name(), &projection);
    Ok(())
}

/// Fails when an output would replace a file of the user.
fn check_outputs(args: &ProjectArgs) -> anyhow::Result<()> {
    let outputs = OUTPUTS.map(|name| args.outdir.join(name));
    let video = args.video.then(|| video::path(&args.outdir));
    for path in outputs.iter().chain(&video) {
        args.overwrite.check(path)?;
    }
    Ok(())
}

/// Writes the image and the latent that the search has found.
fn write_projection(
    args: &ProjectArgs,
    model: &Model,
    projection: &Projection,
    mut texts: PngTexts,
) -> anyhow::Result<()> {
    texts.add("distance", projection.distance);
    texts.add("space", &args.space);
    texts.add("steps", args.steps);
    texts.add("seed", args.seed);
    let images = OutputImage::from_tensor(&projection.images)?;
    images[0].save(&args.outdir.join("proj.png"), &texts)?;
    let values = projection.ws.flatten_all()?.to_vec1::<f32>()?;
    npz::write(
        &args.outdir.join("projected_w.npz"),
        "w",
        &[1, model.config().num_ws(), model.config().w_dim],
        &values,
    )
}

fn report(args: &ProjectArgs, model: &Model, loss: &'static str, projection: &Projection) {
    let summary = Summary {
        loss,
        first_distance: projection.first_distance,
        distance: f64::from(projection.distance),
        steps: args.steps,
        space: args.space.clone(),
        target: args.target.clone(),
        outdir: args.outdir.clone(),
        weights_sha256: model.checksum.clone(),
    };
    cli::report(&summary, |summary| {
        format!(
            "distance {:.4}, from {:.4}: {}\nproj.png, target.png, projected_w.npz in {}",
            summary.distance,
            summary.first_distance,
            summary.loss,
            summary.outdir.display()
        )
    });
}
