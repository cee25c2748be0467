//! `generate style-mix`: pose and shape of one seed, styles of another.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use candle_core::Tensor;
use rayon::prelude::*;
use serde::Serialize;

use crate::args::StyleMixArgs;
use crate::latents::z_of_seeds;
use crate::model::Model;
use crate::picture::{Facts, Picture, Sheet};
use crate::synthesis::{pipeline, synthesize};

/// The sheet of all images.
const GRID: &str = "grid.png";

#[derive(Serialize)]
struct Done {
    rows: usize,
    cols: usize,
    #[serde(serialize_with = "cli::lossy")]
    outdir: PathBuf,
    weights_sha256: String,
}

/// An image of the sheet.
#[derive(Clone, Copy)]
enum Tile {
    Original(u32),
    Mixture { row: u32, col: u32 },
}

impl Tile {
    /// Names as the official program has them.
    fn file(self) -> String {
        match self {
            Tile::Original(seed) => format!("{seed}-{seed}.png"),
            Tile::Mixture { row, col } => format!("{row}-{col}.png"),
        }
    }

    fn facts(self, facts: &Facts) -> Facts {
        match self {
            Tile::Original(seed) => facts.with("seed", seed),
            Tile::Mixture { row, col } => facts.with("row_seed", row).with("col_seed", col),
        }
    }

    fn noise_seed(self) -> u32 {
        match self {
            Tile::Original(seed) | Tile::Mixture { row: seed, .. } => seed,
        }
    }
}

pub fn run(args: &StyleMixArgs) -> anyhow::Result<()> {
    let model = Model::open(&args.network)?;
    let mapping = model.mapping(&args.sampling)?;
    let num_ws = model.config().num_ws();
    let styles = &args.styles.0;
    let beyond = styles.iter().find(|&&layer| layer >= num_ws);
    ensure!(
        beyond.is_none(),
        "--styles {}: this network has the layers 0 to {}",
        beyond.copied().unwrap_or_default(),
        num_ws - 1
    );
    let (rows, cols) = (&args.row_seeds.0, &args.col_seeds.0);
    let originals = rows.iter().chain(cols).map(|&seed| Tile::Original(seed));
    let mixtures = rows
        .iter()
        .flat_map(|&row| cols.iter().map(move |&col| Tile::Mixture { row, col }));
    let tiles = originals.chain(mixtures).map(Tile::file);
    for name in tiles.chain([GRID.to_owned()]) {
        args.overwrite.check(&args.outdir.join(name))?;
    }
    std::fs::create_dir_all(&args.outdir)
        .with_context(|| format!("cannot make the folder {}", args.outdir.display()))?;

    // The ws of every seed, once.
    let mut seeds: Vec<u32> = rows.iter().chain(cols).copied().collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut ws_of: HashMap<u32, Tensor> = HashMap::new();
    for chunk in seeds.chunks(1024) {
        let z = z_of_seeds(chunk, model.config().z_dim, &model.device)?;
        let ws = model.ws(&z, &mapping)?;
        for (i, &seed) in chunk.iter().enumerate() {
            ws_of.insert(seed, ws.narrow(0, i, 1)?);
        }
    }
    let ws = |tile: &Tile| -> anyhow::Result<Tensor> {
        let (row, col) = match tile {
            Tile::Original(seed) => return Ok(ws_of[seed].clone()),
            Tile::Mixture { row, col } => (&ws_of[row], &ws_of[col]),
        };
        let layers = (0..num_ws)
            .map(|i| if styles.contains(&i) { col } else { row }.narrow(1, i, 1))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&layers, 1)?)
    };

    let noise = args.sampling.noise_mode;
    let text: Vec<String> = styles.iter().map(ToString::to_string).collect();
    let mut facts = Facts::new(&model);
    facts.add("styles", text.join(","));
    facts.add("truncation_psi", args.sampling.truncation_psi);
    facts.add("noise_mode", noise.name());
    if let Some(class) = model.class(args.sampling.class) {
        facts.add("class", class);
    }
    let (side, channels) = (model.config().img_resolution, model.config().img_channels);
    let path = args.outdir.join(GRID);
    let n_tiles = (rows.len() + 1) * (cols.len() + 1) - 1;
    let bar = cli::Progress::new("style mix", Some(n_tiles as u64), "images");
    let sheet = Sheet {
        cols: cols.len() + 1,
        rows: rows.len() + 1,
        side,
        channels,
    };
    sheet.save(&path, &facts, |put_row| {
        let heads = std::iter::once(None).chain(rows.iter().map(Some));
        for row in heads {
            let mut line: Vec<Picture> = Vec::new();
            let mut tiles: Vec<Tile> = Vec::new();
            match row {
                // The first row shows the columns' own images, behind a black corner.
                None => {
                    line.push(Picture::blank(side, channels));
                    tiles.extend(cols.iter().map(|&col| Tile::Original(col)));
                }
                Some(&row) => {
                    tiles.push(Tile::Original(row));
                    tiles.extend(cols.iter().map(|&col| Tile::Mixture { row, col }));
                }
            }
            pipeline(
                &tiles,
                model.batch(),
                |chunk| {
                    let ws = chunk.iter().map(ws).collect::<anyhow::Result<Vec<_>>>()?;
                    let noise_seeds: Vec<u32> = chunk.iter().map(|t| t.noise_seed()).collect();
                    synthesize(&model, &Tensor::cat(&ws, 0)?, noise, &noise_seeds)
                },
                |chunk, pictures| {
                    let pairs = chunk.par_iter().zip(&pictures);
                    pairs.try_for_each(|(tile, picture)| {
                        picture.save(&args.outdir.join(tile.file()), &tile.facts(&facts))
                    })?;
                    bar.inc(chunk.len() as u64);
                    line.extend(pictures);
                    Ok(())
                },
            )?;
            put_row(&line)?;
        }
        Ok(())
    })?;
    bar.finish();
    let done = Done {
        rows: rows.len(),
        cols: cols.len(),
        outdir: args.outdir.clone(),
        weights_sha256: model.checksum,
    };
    cli::report(&done, |done| {
        format!(
            "{} by {} mixtures in {}",
            done.rows,
            done.cols,
            done.outdir.display()
        )
    });
    Ok(())
}
