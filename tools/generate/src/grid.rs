//! `generate grid`: one PNG with the images of all seeds side by side.

use std::path::PathBuf;

use anyhow::ensure;
use networks::GeneratorConfig;
use serde::Serialize;

use crate::args::GridArgs;
use crate::latents::z_of_seeds;
use crate::model::Model;
use crate::output_image::{ImageGrid, OutputImage, PngTexts};
use crate::synthesis::{pipeline, synthesize};

/// Largest width and height in pixels that most viewers can open.
const LONGEST: usize = 65_535;

#[derive(Serialize)]
struct Summary {
    images: usize,
    cols: usize,
    rows: usize,
    #[serde(serialize_with = "cli::lossy")]
    out: PathBuf,
    weights_sha256: String,
}

pub fn run(args: &GridArgs) -> anyhow::Result<()> {
    ensure!(
        args.out
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("png")),
        "--out {}: a grid is a .png",
        args.out.display()
    );
    let model = Model::open(&args.network)?;
    args.overwrite.check(&args.out)?;
    let mapping = model.mapping(&args.sampling)?;
    let seeds = &args.seeds.0;
    let grid = layout(args, model.config())?;
    let text: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    let mut texts = PngTexts::new(&model);
    texts.add("seeds", text.join(","));
    texts.add_sampling(&model, &args.sampling);

    let bar = cli::Progress::new("grid", Some(seeds.len() as u64), "images");
    let z_dim = model.config().z_dim;
    grid.save(&args.out, &texts, |put_row| {
        // Images of the current row, which is not complete yet.
        let mut row: Vec<OutputImage> = Vec::new();
        pipeline(
            seeds,
            model.batch(),
            |chunk| {
                let z = z_of_seeds(chunk, z_dim, &model.device)?;
                let ws = model.ws(&z, &mapping)?;
                synthesize(&model, &ws, args.sampling.noise_mode, chunk)
            },
            |chunk, images| {
                row.extend(images);
                while row.len() >= grid.cols {
                    put_row(&row[..grid.cols])?;
                    row.drain(..grid.cols);
                }
                bar.inc(chunk.len() as u64);
                Ok(())
            },
        )?;
        if row.is_empty() {
            Ok(())
        } else {
            put_row(&row)
        }
    })?;
    bar.finish();
    let summary = Summary {
        images: seeds.len(),
        cols: grid.cols,
        rows: grid.rows,
        out: args.out.clone(),
        weights_sha256: model.checksum,
    };
    cli::report(&summary, |summary| {
        format!(
            "{} by {} images in {}",
            summary.cols,
            summary.rows,
            summary.out.display()
        )
    });
    Ok(())
}

/// The layout of the grid, with `--cols` columns or nearly square.
///
/// # Errors
/// When the grid has more pixels on a side than most viewers can open.
fn layout(args: &GridArgs, config: &GeneratorConfig) -> anyhow::Result<ImageGrid> {
    let n_images = args.seeds.0.len();
    let cols = match args.cols {
        Some(cols) => (cols as usize).min(n_images),
        None => (n_images as f64).sqrt().ceil() as usize,
    };
    let rows = n_images.div_ceil(cols);
    let side = config.img_resolution;
    ensure!(
        cols * side <= LONGEST && rows * side <= LONGEST,
        "{cols} by {rows} images of {side} px are {} by {} px, and few programs open more than {LONGEST}: \
         use fewer seeds or another --cols",
        cols * side,
        rows * side
    );
    Ok(ImageGrid {
        cols,
        rows,
        side,
        channels: config.img_channels,
    })
}
