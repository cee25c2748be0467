//! `generate grid`: all seeds in one PNG.

use std::path::PathBuf;

use anyhow::ensure;
use serde::Serialize;

use crate::args::GridArgs;
use crate::latents::z_of_seeds;
use crate::model::Model;
use crate::picture::{Facts, Picture, Sheet};
use crate::synthesis::{pipeline, synthesize};

/// Longest side that viewers open.
const LONGEST: usize = 65_535;

#[derive(Serialize)]
struct Done {
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
    let cols = match args.cols {
        Some(cols) => (cols as usize).min(seeds.len()),
        None => (seeds.len() as f64).sqrt().ceil() as usize,
    };
    let rows = seeds.len().div_ceil(cols);
    let (side, channels) = (model.config().img_resolution, model.config().img_channels);
    ensure!(
        cols * side <= LONGEST && rows * side <= LONGEST,
        "{cols} by {rows} images of {side} px are {} by {} px, and few programs open more than {LONGEST}: \
         use fewer seeds or another --cols",
        cols * side,
        rows * side
    );
    let noise = args.sampling.noise_mode;
    let text: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    let mut facts = Facts::new(&model);
    facts.add("seeds", text.join(","));
    facts.add("truncation_psi", args.sampling.truncation_psi);
    facts.add("noise_mode", noise.name());
    if let Some(class) = model.class(args.sampling.class) {
        facts.add("class", class);
    }

    let bar = cli::Progress::new("grid", Some(seeds.len() as u64), "images");
    let z_dim = model.config().z_dim;
    let sheet = Sheet {
        cols,
        rows,
        side,
        channels,
    };
    sheet.save(&args.out, &facts, |put_row| {
        // Pictures that wait for the rest of their row.
        let mut row: Vec<Picture> = Vec::new();
        pipeline(
            seeds,
            model.batch(),
            |chunk| {
                let z = z_of_seeds(chunk, z_dim, &model.device)?;
                synthesize(&model, &model.ws(&z, &mapping)?, noise, chunk)
            },
            |chunk, pictures| {
                row.extend(pictures);
                while row.len() >= cols {
                    put_row(&row[..cols])?;
                    row.drain(..cols);
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
    let done = Done {
        images: seeds.len(),
        cols,
        rows,
        out: args.out.clone(),
        weights_sha256: model.checksum,
    };
    cli::report(&done, |done| {
        format!(
            "{} by {} images in {}",
            done.cols,
            done.rows,
            done.out.display()
        )
    });
    Ok(())
}
