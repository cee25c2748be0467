//! `generate style-mix`: images with pose and shape of one seed and the styles of another (arXiv:1812.04948, section
//! 3.1).

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use candle_core::Tensor;
use rayon::prelude::*;
use serde::Serialize;

use crate::args::StyleMixArgs;
use crate::latents::z_of_seeds;
use crate::model::{Mapping, Model};
use crate::output_image::{ImageGrid, OutputImage, PngTexts};
use crate::synthesis::{pipeline, synthesize};

/// File name of the grid with all images.
const GRID: &str = "grid.png";

/// The result of the command, for its report.
#[derive(Serialize)]
struct Summary {
    rows: usize,
    cols: usize,
    #[serde(serialize_with = "cli::lossy")]
    outdir: PathBuf,
    weights_sha256: String,
}

/// An image in the grid.
#[derive(Clone, Copy)]
enum Tile {
    /// The image of one seed.
    Original(u32),
    /// The image of a row seed, with the styles of a column seed in the layers of `--styles`.
    Mixture { row: u32, col: u32 },
}

impl Tile {
    /// The file name, as in NVIDIA's StyleGAN2-ADA.
    fn file(self) -> String {
        match self {
            Tile::Original(seed) => format!("{seed}-{seed}.png"),
            Tile::Mixture { row, col } => format!("{row}-{col}.png"),
        }
    }

    fn texts(self, texts: &PngTexts) -> PngTexts {
        match self {
            Tile::Original(seed) => texts.with("seed", seed),
            Tile::Mixture { row, col } => texts.with("row_seed", row).with("col_seed", col),
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
    check_layers(args, &model)?;
    check_outputs(args)?;
    std::fs::create_dir_all(&args.outdir)
        .with_context(|| format!("cannot create the folder {}", args.outdir.display()))?;
    let mixer = Mixer {
        args,
        model: &model,
        ws_of: ws_of_seeds(args, &model, &mapping)?,
        texts: texts(args, &model),
    };
    mixer.write_all()?;
    let summary = Summary {
        rows: args.row_seeds.0.len(),
        cols: args.col_seeds.0.len(),
        outdir: args.outdir.clone(),
        weights_sha256: model.checksum,
    };
    cli::report(&summary, |summary| {
        format!(
            "{} by {} mixtures in {}",
            summary.rows,
            summary.cols,
            summary.outdir.display()
        )
    });
    Ok(())
}

/// Fails when `--styles` names a layer that the network does not have.
fn check_layers(args: &StyleMixArgs, model: &Model) -> anyhow::Result<()> {
    let num_ws = model.config().num_ws();
    let beyond = args.styles.0.iter().find(|&&layer| layer >= num_ws);
    ensure!(
        beyond.is_none(),
        "--styles {}: this network has the layers 0 to {}",
        beyond.copied().unwrap_or_default(),
        num_ws - 1
    );
    Ok(())
}

/// Fails when an output would replace a file of the user.
fn check_outputs(args: &StyleMixArgs) -> anyhow::Result<()> {
    let (rows, cols) = (&args.row_seeds.0, &args.col_seeds.0);
    let originals = rows.iter().chain(cols).map(|&seed| Tile::Original(seed));
    let mixtures = rows
        .iter()
        .flat_map(|&row| cols.iter().map(move |&col| Tile::Mixture { row, col }));
    let tiles = originals.chain(mixtures).map(Tile::file);
    for name in tiles.chain([GRID.to_owned()]) {
        args.overwrite.check(&args.outdir.join(name))?;
    }
    Ok(())
}

/// The `ws` of each row and column seed, `[1, num_ws, w_dim]`.
fn ws_of_seeds(
    args: &StyleMixArgs,
    model: &Model,
    mapping: &Mapping,
) -> anyhow::Result<HashMap<u32, Tensor>> {
    let mut seeds = [&args.row_seeds.0[..], &args.col_seeds.0].concat();
    seeds.sort_unstable();
    seeds.dedup();
    let mut ws_of = HashMap::new();
    for chunk in seeds.chunks(1024) {
        let z = z_of_seeds(chunk, model.config().z_dim, &model.device)?;
        let ws = model.ws(&z, mapping)?;
        for (i, &seed) in chunk.iter().enumerate() {
            ws_of.insert(seed, ws.narrow(0, i, 1)?);
        }
    }
    Ok(ws_of)
}

/// The texts that all PNG files of the command contain.
fn texts(args: &StyleMixArgs, model: &Model) -> PngTexts {
    let styles: Vec<String> = args.styles.0.iter().map(ToString::to_string).collect();
    let mut texts = PngTexts::new(model);
    texts.add("styles", styles.join(","));
    texts.add_sampling(model, &args.sampling);
    texts
}

/// Generates and writes the images and their grid.
struct Mixer<'a> {
    args: &'a StyleMixArgs,
    model: &'a Model,
    /// The latents of each seed, `[1, num_ws, w_dim]`.
    ws_of: HashMap<u32, Tensor>,
    texts: PngTexts,
}

impl Mixer<'_> {
    /// Writes all images and their grid. The first row of the grid is a black square and the images of the column
    /// seeds; each further row is the image of a row seed and its mixtures.
    fn write_all(&self) -> anyhow::Result<()> {
        let config = self.model.config();
        let (side, channels) = (config.img_resolution, config.img_channels);
        let (rows, cols) = (&self.args.row_seeds.0, &self.args.col_seeds.0);
        let grid = ImageGrid {
            cols: cols.len() + 1,
            rows: rows.len() + 1,
            side,
            channels,
        };
        let n_tiles = grid.cols * grid.rows - 1;
        let bar = cli::Progress::new("style mix", Some(n_tiles as u64), "images");
        let path = self.args.outdir.join(GRID);
        grid.save(&path, &self.texts, |put_row| {
            let tiles: Vec<Tile> = cols.iter().map(|&col| Tile::Original(col)).collect();
            let mut images = vec![OutputImage::blank(side, channels)];
            images.extend(self.write_tiles(&tiles, &bar)?);
            put_row(&images)?;
            for &row in rows {
                let mixtures = cols.iter().map(|&col| Tile::Mixture { row, col });
                let tiles: Vec<Tile> = std::iter::once(Tile::Original(row))
                    .chain(mixtures)
                    .collect();
                put_row(&self.write_tiles(&tiles, &bar)?)?;
            }
            Ok(())
        })?;
        bar.finish();
        Ok(())
    }

    /// Generates the images of `tiles`, writes each to its file and returns them in the same order.
    fn write_tiles(&self, tiles: &[Tile], bar: &cli::Progress) -> anyhow::Result<Vec<OutputImage>> {
        let mut all = Vec::with_capacity(tiles.len());
        pipeline(
            tiles,
            self.model.batch(),
            |chunk| {
                let ws = chunk.iter().map(|tile| self.ws(*tile));
                let ws = ws.collect::<anyhow::Result<Vec<_>>>()?;
                let noise_seeds: Vec<u32> = chunk.iter().map(|tile| tile.noise_seed()).collect();
                let noise = self.args.sampling.noise_mode;
                synthesize(self.model, &Tensor::cat(&ws, 0)?, noise, &noise_seeds)
            },
            |chunk, images| {
                let pairs = chunk.par_iter().zip(&images);
                pairs.try_for_each(|(tile, image)| {
                    let path = self.args.outdir.join(tile.file());
                    image.save(&path, &tile.texts(&self.texts))
                })?;
                bar.inc(chunk.len() as u64);
                all.extend(images);
                Ok(())
            },
        )?;
        Ok(all)
    }

    /// The `ws` of an image: `[1, num_ws, w_dim]`.
    fn ws(&self, tile: Tile) -> anyhow::Result<Tensor> {
        let (row, col) = match tile {
            Tile::Original(seed) => return Ok(self.ws_of[&seed].clone()),
            Tile::Mixture { row, col } => (&self.ws_of[&row], &self.ws_of[&col]),
        };
        let styles = &self.args.styles.0;
        let layers = (0..self.model.config().num_ws())
            .map(|i| if styles.contains(&i) { col } else { row }.narrow(1, i, 1))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&layers, 1)?)
    }
}
