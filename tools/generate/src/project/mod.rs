//! `generate project`: the latent of a picture.
//!
//! The search of StyleGAN2 (arXiv:1912.04958, appendix D): Adam on w from its mean, with noise on w that fades, and a
//! learning rate that rises and falls. The distance is that of a perceptual network where its weights are given, else of
//! pixels and edges over a pyramid; the noise inputs stay as they are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use decode::DecodeOptions;
use downloads::DownloadOptions;
use feature_networks::vgg::{
    FILE_NAME, LPIPS_URL, StageFeatures, TORCHSCRIPT_URL, Vgg16, average_down, without_alpha,
};
use feature_networks::{Placement, cache_folder};
use image::{DynamicImage, imageops::FilterType};
use networks::{MappingOptions, NormalSource, SynthesisOptions};
use ops::{Dual, Value};
use report::{Film, FilmFormat, FilmOptions};
use rng::RandomState;
use serde::Serialize;

use crate::args::ProjectArgs;
use crate::latents::z_of_seeds;
use crate::model::Model;
use crate::npz;
use crate::picture::{Facts, Picture};
use crate::pyramid::Pyramid;

/// Latents that the mean and the spread of w come from.
const W_SAMPLES: u32 = 10_000;
/// Largest learning rate.
const LEARNING_RATE: f64 = 0.1;
/// Share of the steps in which it rises from 0.
const RAMP_UP: f64 = 0.05;
/// Share of the steps in which it falls to 0.
const RAMP_DOWN: f64 = 0.25;
/// Noise on w at the start, in spreads of w.
const NOISE: f64 = 0.05;
/// Share of the steps in which it fades.
const NOISE_RAMP: f64 = 0.75;
/// Weight of pixels and edges beside a perceptual network, which is nearly blind to colours.
const PIXELS: f64 = 0.1;
/// What is written into the folder, besides a film.
const OUTPUTS: [&str; 3] = ["target.png", "proj.png", "projected_w.npz"];
/// Frames of the film at most.
const FILM_FRAMES: u32 = 300;

#[derive(Serialize)]
struct Done {
    /// What was minimized.
    loss: &'static str,
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
    let film_out = args.film.then(|| film_path(args));
    let outputs = OUTPUTS.map(|name| args.outdir.join(name));
    for path in outputs.iter().chain(&film_out) {
        args.overwrite.check(path)?;
    }
    let mapping = model.mapping_of(args.class, MappingOptions::default())?;
    let config = model.config();
    let (side, num_ws, w_dim) = (config.img_resolution, config.num_ws(), config.w_dim);
    ensure!(side >= 8, "images of {side} px are too small to compare");
    let target = read_target(&args.target, side, config.img_channels)?;
    std::fs::create_dir_all(&args.outdir)
        .with_context(|| format!("cannot make the folder {}", args.outdir.display()))?;
    let mut facts = Facts::new(&model);
    facts.add("target", args.target.display());
    target.save(&args.outdir.join("target.png"), &facts)?;
    let goal = Goal::new(
        &to_tensor(&target, &model.device)?,
        perceptual_network(&args.perceptual, &model.device)?,
    )?;

    // Mean and spread of w.
    let (mut sum, mut all) = (
        Tensor::zeros((1, w_dim), DType::F64, &model.device)?,
        Vec::new(),
    );
    let seeds: Vec<u32> = (0..W_SAMPLES).map(|i| args.seed.wrapping_add(i)).collect();
    for seeds in seeds.chunks(1000) {
        let ws = model.ws(&z_of_seeds(seeds, config.z_dim, &model.device)?, &mapping)?;
        let w = ws.narrow(1, 0, 1)?.squeeze(1)?.to_dtype(DType::F64)?;
        sum = (sum + w.sum_keepdim(0)?)?;
        all.push(w);
    }
    let mean = (sum / f64::from(W_SAMPLES))?;
    let deviation = Tensor::cat(&all, 0)?
        .broadcast_sub(&mean)?
        .sqr()?
        .sum_all()?;
    let spread = (deviation.to_scalar::<f64>()? / f64::from(W_SAMPLES)).sqrt();

    let layers = if args.space == "w+" { num_ws } else { 1 };
    let start = mean.to_dtype(DType::F32)?.reshape((1, 1, w_dim))?;
    let w = Var::from_tensor(&start.repeat((1, layers, 1))?)?;
    let ws_of = |w: &Value| -> candle_core::Result<Value> {
        match layers {
            1 => Value::cat(&vec![w; num_ws], 1),
            _ => Ok(w.clone()),
        }
    };

    let every = args.steps.div_ceil(FILM_FRAMES);
    let mut film = args.film.then(|| film(args, side, every)).transpose()?;
    // Adam (arXiv:1412.6980) with its usual settings.
    let adam = ParamsAdamW {
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let mut adam = AdamW::new(vec![w.clone()], adam)?;
    let mut random = RandomState::new(args.seed);
    let bar = cli::Progress::new("projecting", Some(u64::from(args.steps)), "steps");
    let mut first = None;
    for step in 0..args.steps {
        let time = f64::from(step) / f64::from(args.steps);
        let fade = (1.0 - time / NOISE_RAMP).max(0.0).powi(2);
        let mut noise = vec![0f32; layers * w_dim];
        random.fill_normal(&mut noise);
        let noise = Tensor::from_vec(noise, (1, layers, w_dim), &model.device)?;
        let noise = Value::from((noise * (spread * NOISE * fade))?);
        let noisy = Value::from(w.as_tensor()).add(&noise)?;
        let ws = Dual::from(ws_of(&noisy)?);
        let synthesis = &model.generator.synthesis;
        let made = synthesis.forward_dual(&ws, SynthesisOptions::default())?;
        // The distance is on candle's graph: its gradient in the image goes on into the generator.
        let images = Var::from_tensor(made.primal.tensor())?;
        let loss = goal.distance(&images)?;
        let distance = f64::from(loss.to_scalar::<f32>()?);
        ensure!(
            distance.is_finite(),
            "the distance is no number in step {step}: are the weights of {} damaged?",
            model.file
        );
        first.get_or_insert(distance);
        let mut grads = loss.backward()?;
        let of_images = grads.get(&images).context("the distance is constant")?;
        let of_latents = made.primal.backward_from(of_images)?;
        let of_w = of_latents
            .get(&w)
            .context("the image does not depend on w")?;
        grads.insert(&w, of_w.detach());
        adam.set_learning_rate(learning_rate(time));
        adam.step(&grads)?;
        if let Some(film) = &mut film
            && step % every == 0
        {
            let now = Picture::from_images(&images.detach())?.remove(0);
            film.push(&[beside(&target, &now)])?;
        }
        bar.set_message(format!("distance {distance:.4}"));
        bar.inc(1);
    }
    bar.finish();
    if let Some(film) = film {
        film.finish()?;
    }

    // The result, without noise on w.
    let ws = ws_of(&w.as_detached_tensor().into())?.into_tensor();
    let images = model
        .generator
        .synthesis
        .forward(&ws, SynthesisOptions::default())?;
    let distance = goal.distance(&images)?.to_scalar::<f32>()?;
    facts.add("distance", distance);
    facts.add("space", &args.space);
    facts.add("steps", args.steps);
    facts.add("seed", args.seed);
    Picture::from_images(&images)?[0].save(&args.outdir.join("proj.png"), &facts)?;
    let values = ws.flatten_all()?.to_vec1::<f32>()?;
    npz::write(
        &args.outdir.join("projected_w.npz"),
        "w",
        &[1, num_ws, w_dim],
        &values,
    )?;
    let done = Done {
        loss: goal.name(),
        first_distance: first.unwrap_or_default(),
        distance: f64::from(distance),
        steps: args.steps,
        space: args.space.clone(),
        target: args.target.clone(),
        outdir: args.outdir.clone(),
        weights_sha256: model.checksum,
    };
    cli::report(&done, |done| {
        format!(
            "distance {:.4}, from {:.4}: {}\nproj.png, target.png, projected_w.npz in {}",
            done.distance,
            done.first_distance,
            done.loss,
            done.outdir.display()
        )
    });
    Ok(())
}

/// VGG16 with LPIPS from files of the user, or from the cache of `eval weights`; none when neither is there.
fn perceptual_network(files: &[PathBuf], device: &Device) -> anyhow::Result<Option<Vgg16>> {
    let network = if files.is_empty() {
        let download = DownloadOptions::from_env().ok();
        let path = download.map(|download| cache_folder(&download.cache).join(FILE_NAME));
        match path.filter(|path| path.is_file()) {
            Some(path) => Vgg16::open(&path)?,
            None => return Ok(None),
        }
    } else {
        Vgg16::from_files(files).context("--perceptual")?
    };
    Ok(Some(network.on(&Placement::f32(device))?))
}

/// The image to approach.
struct Goal {
    pyramid: Pyramid,
    perceptual: Option<(Vgg16, StageFeatures)>,
}

impl Goal {
    fn new(target: &Tensor, network: Option<Vgg16>) -> anyhow::Result<Self> {
        let perceptual = match network {
            Some(network) if network.has_lpips() => {
                let features = network.stage_features(&network_input(target)?)?;
                Some((network, features))
            }
            Some(_) => bail!(
                "the weights of VGG16 lack those of LPIPS: add them to the cache with `eval weights --from vgg.pth` \
                 ({LPIPS_URL}), or give both files, each with --perceptual; NVIDIA's vgg16.pt has all ({TORCHSCRIPT_URL})"
            ),
            None => None,
        };
        Ok(Self {
            pyramid: Pyramid::new(target)?,
            perceptual,
        })
    }

    /// A scalar.
    fn distance(&self, images: &Tensor) -> anyhow::Result<Tensor> {
        let pixels = Pyramid::new(images)?.distance(&self.pyramid)?;
        let Some((network, goal)) = &self.perceptual else {
            return Ok(pixels);
        };
        let features = network.stage_features(&network_input(images)?)?;
        let lpips = network.distance(&features, goal)?.sum_all()?;
        Ok((lpips + (pixels * PIXELS)?)?)
    }

    fn name(&self) -> &'static str {
        match self.perceptual {
            Some(_) => "LPIPS by VGG16, and a little of pixels and edges",
            None => "pixels and edges over a pyramid of sizes, no perceptual network",
        }
    }
}

/// Images from -1 to 1 as VGG16 takes them.
fn network_input(images: &Tensor) -> candle_core::Result<Tensor> {
    average_down(&without_alpha(images)?, images.dim(3)?)?.affine(127.5, 127.5)
}

/// Rises over the first steps, falls as a cosine over the last.
fn learning_rate(time: f64) -> f64 {
    let down = ((1.0 - time) / RAMP_DOWN).min(1.0);
    let down = 0.5 - 0.5 * (down * std::f64::consts::PI).cos();
    LEARNING_RATE * down * (time / RAMP_UP).min(1.0)
}

/// Bytes of a target, as `prep` takes pictures.
const MAX_TARGET_BYTES: u64 = 1 << 30;

/// The central square of a picture at the network's size.
fn read_target(path: &Path, side: usize, channels: usize) -> anyhow::Result<Picture> {
    let read = || -> anyhow::Result<DynamicImage> {
        let (bytes, options) = (
            files::read_input(path, MAX_TARGET_BYTES)?,
            DecodeOptions::default(),
        );
        Ok(match channels {
            2 | 4 => decode::decode_with_alpha(&bytes, &options)?,
            // Transparent parts are white, as `prep` has them.
            _ => DynamicImage::ImageRgb8(decode::decode(&bytes, &options)?.image),
        })
    };
    let image = read().with_context(|| format!("cannot read the picture {}", path.display()))?;
    let short = image.width().min(image.height());
    let (x, y) = ((image.width() - short) / 2, (image.height() - short) / 2);
    let image = image.crop_imm(x, y, short, short);
    let image = image.resize_exact(side as u32, side as u32, FilterType::Lanczos3);
    let pixels = match channels {
        1 => image.into_luma8().into_raw(),
        2 => image.into_luma_alpha8().into_raw(),
        4 => image.into_rgba8().into_raw(),
        _ => image.into_rgb8().into_raw(),
    };
    Ok(Picture {
        width: side,
        height: side,
        channels,
        pixels,
    })
}

/// `[1, channels, side, side]`, -1 to 1.
fn to_tensor(picture: &Picture, device: &Device) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = picture
        .pixels
        .iter()
        .map(|&v| f32::from(v) / 127.5 - 1.0)
        .collect();
    let shape = (1, picture.height, picture.width, picture.channels);
    Tensor::from_vec(values, shape, device)?
        .permute((0, 3, 1, 2))?
        .contiguous()
}

fn film(args: &ProjectArgs, side: usize, every: u32) -> anyhow::Result<Film> {
    let options = FilmOptions {
        width: 2 * side as u32,
        height: side as u32,
        fps: 30,
        n_frames: args.steps.div_ceil(every),
    };
    Ok(Film::create(&film_path(args), &options)?)
}

fn film_path(args: &ProjectArgs) -> PathBuf {
    let path = args.outdir.join("proj");
    path.with_extension(FilmFormat::best().ending())
}

/// Two pictures side by side, RGB.
fn beside(left: &Picture, right: &Picture) -> Vec<u8> {
    let line = left.width * 3;
    let (left, right) = (left.clone().into_rgb(), right.clone().into_rgb());
    let rows = left.chunks_exact(line).zip(right.chunks_exact(line));
    rows.flat_map(|(l, r)| [l, r].concat()).collect()
}

#[cfg(test)]
mod tests {
    use feature_networks::vgg::VggShape;

    use super::*;

    #[test]
    fn the_learning_rate_rises_and_falls() {
        assert_eq!(learning_rate(0.0), 0.0);
        assert!((learning_rate(0.025) - 0.05).abs() < 1e-12);
        assert!((learning_rate(0.5) - 0.1).abs() < 1e-12);
        assert!((learning_rate(0.875) - 0.05).abs() < 1e-12);
        assert!(learning_rate(0.999) < 1e-5);
    }

    #[test]
    fn both_distances_are_named_and_zero_at_the_goal() {
        let target = to_tensor(&Picture::blank(16, 1), &Device::Cpu).unwrap();
        let other = (&target + 0.5).unwrap();
        let vgg = || Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        for network in [None, Some(vgg())] {
            let is_perceptual = network.is_some();
            let goal = Goal::new(&target, network).unwrap();
            assert_eq!(goal.name().contains("LPIPS"), is_perceptual);
            let at = |x: &Tensor| goal.distance(x).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(at(&target), 0.0);
            assert!(at(&other) > 0.01, "{}", at(&other));
        }
    }

    #[test]
    fn files_that_are_no_vgg16_are_refused_by_name() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/network.safetensors"
        );
        let error = perceptual_network(&[path.into()], &Device::Cpu)
            .err()
            .unwrap();
        let text = format!("{error:#}");
        assert!(
            text.contains("--perceptual") && text.contains("network.safetensors"),
            "{text}"
        );
    }

    #[test]
    fn targets_are_squares_without_transparency() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wide.png");
        let mut wide = image::RgbaImage::from_pixel(40, 20, image::Rgba([200, 0, 0, 255]));
        for x in 10..30 {
            for y in 0..20 {
                wide.put_pixel(x, y, image::Rgba([0, 0, 255, if y < 10 { 255 } else { 0 }]));
            }
        }
        wide.save(&path).unwrap();
        let picture = read_target(&path, 10, 3).unwrap();
        assert_eq!(picture.pixels.len(), 300);
        assert_eq!(picture.pixels[..3], [0, 0, 255]);
        assert_eq!(picture.pixels[297..], [255, 255, 255]);
        let error = read_target(&dir.path().join("no.png"), 10, 3).unwrap_err();
        assert!(error.to_string().contains("no.png"));
    }
}
