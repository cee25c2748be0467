//! The training loop.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use rng::RandomState;

use crate::args::TrainArgs;
use crate::compose::sample;
use crate::evaluate::measure;
use crate::loss::loss;
use crate::material::{Material, Sample};
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::sources::Source;
use crate::targets::targets;

/// Last learning rate, as a share of the highest.
const LAST_RATE: f64 = 0.01;
const DECAY: f64 = 0.01;
/// Longest sides in pixels to which whole images, crops, and backgrounds with patches are shrunk when they are loaded.
const PICTURE_SIDE: u32 = 1024;
const CROP_SIDE: u32 = 256;
const BACKGROUND_SIDE: u32 = 480;
const REPORT_EVERY: usize = 50;

/// Trains the network and writes to `args.out`: `detector.safetensors` (exported weights of the moving average),
/// `mean.params.safetensors` (its parameters) and `last.params.safetensors` (the latest parameters).
pub fn run(args: &TrainArgs) -> Result<()> {
    if args.side == 0 || !args.side.is_multiple_of(32) {
        bail!("--side {}: a multiple of 32 is needed", args.side);
    }
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create {}", args.out.display()))?;
    let material = load(args)?;
    let mut random = RandomState::new(args.seed);
    if let Some(count) = args.preview {
        return preview(&material, args, count, &mut random);
    }
    let network = Network::new(&mut random)?;
    if let Some(path) = &args.from {
        network.load(path)?;
    }
    let mut optimizer = Optimizer::new(&network)?;
    let started = Instant::now();
    let (mut score, mut boxes) = (0.0, 0.0);
    let mut composing = 0.0;
    for step in 0..args.steps {
        let composed = Instant::now();
        let samples: Vec<Sample> = (0..args.batch)
            .map(|_| sample(&material, args.side, &mut random))
            .collect();
        let wanted: Vec<_> = samples
            .iter()
            .map(|s| targets(&s.faces, &s.ignore, args.side))
            .collect();
        composing += composed.elapsed().as_secs_f64();
        let levels = network.forward(&batch(&samples, args.side)?)?;
        let cost = loss(&levels, &wanted)?;
        let gradients = cost.total.backward()?;
        optimizer.step(&network, &gradients, rate(step, args), DECAY)?;
        score += cost.score / REPORT_EVERY as f32;
        boxes += cost.boxes / REPORT_EVERY as f32;
        let done = step + 1;
        if done % REPORT_EVERY == 0 {
            let secs = started.elapsed().as_secs_f64();
            cli::outln!(
                "step {done} score {score:.4} box {boxes:.4} {secs:.0} s ({composing:.0} s composing)"
            );
            (score, boxes) = (0.0, 0.0);
        }
        if done % args.save_every == 0 || done == args.steps {
            save(&network, &optimizer, args)?;
        }
    }
    Ok(())
}

fn load(args: &TrainArgs) -> Result<Material> {
    let mut material = Material {
        windows: args.windows,
        ..Material::default()
    };
    for (dir, shares) in &args.crops {
        let mut source = Source::default();
        source.add_crops(dir, *shares, CROP_SIDE)?;
        cli::outln!("{}: {} crops", dir.display(), source.len());
        material.crops.push(source);
    }
    for (dir, labels) in &args.images {
        let mistakes = args.mistakes.iter().find(|(of, _)| of == dir);
        let mistakes = mistakes.map(|(_, file)| file.as_path());
        material
            .images
            .add_images(dir, labels, mistakes, PICTURE_SIDE)?;
    }
    for dir in &args.backgrounds {
        material.backgrounds.add_backgrounds(dir, BACKGROUND_SIDE)?;
    }
    for dir in &args.patches {
        material.patches.add_backgrounds(dir, BACKGROUND_SIDE)?;
    }
    cli::outln!(
        "{} images, {} backgrounds, {} patches",
        material.images.len(),
        material.backgrounds.len(),
        material.patches.len()
    );
    Ok(material)
}

/// Learning rate of a step: rises linearly during warm-up, then falls along half a cosine.
fn rate(step: usize, args: &TrainArgs) -> f64 {
    let rising = (step + 1) as f64 / args.warm_up as f64;
    let progress = step as f64 / args.steps as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    args.rate * rising.min(LAST_RATE + (1.0 - LAST_RATE) * cosine)
}

/// The network's input for a batch of samples, `[batch, 3, side, side]` in `-1..=1`.
fn batch(samples: &[Sample], side: usize) -> Result<Tensor> {
    let mut values = Vec::with_capacity(samples.len() * 3 * side * side);
    for sample in samples {
        for plane in 0..3 {
            // Round to whole numbers, as in 8-bit images.
            values.extend(
                sample
                    .canvas
                    .pixels
                    .iter()
                    .map(|pixel| f32::from((pixel[plane] + 0.5) as u8) / 127.5 - 1.0),
            );
        }
    }
    Ok(Tensor::from_vec(
        values,
        (samples.len(), 3, side, side),
        &Device::Cpu,
    )?)
}

/// Writes the files named at [`run`] and, if wanted, evaluates the exported weights.
fn save(network: &Network, optimizer: &Optimizer, args: &TrainArgs) -> Result<()> {
    network.save(&args.out.join("last.params.safetensors"))?;
    let now = network.values()?;
    network.set_values(&optimizer.mean)?;
    let exported = network.exported();
    network.save(&args.out.join("mean.params.safetensors"))?;
    network.set_values(&now)?;
    let exported = exported?;
    let path = args.out.join("detector.safetensors");
    files::write_bytes(&path, &exported)
        .with_context(|| format!("cannot write {}", path.display()))?;
    if let Some(dir) = &args.measure {
        for (threshold, scores) in measure(&exported, dir, 768)? {
            cli::outln!(
                "threshold {threshold} recall {:.3} precision {:.3} AP {:.3}",
                scores.recall(),
                scores.precision(),
                scores.average_precision
            );
        }
    }
    Ok(())
}

/// Writes `count` training images with faces framed in green and regions to ignore in red.
fn preview(
    material: &Material,
    args: &TrainArgs,
    count: usize,
    random: &mut RandomState,
) -> Result<()> {
    for i in 0..count {
        let mut made = sample(material, args.side, random);
        for (rects, color) in [
            (&made.faces, [0.0, 255.0, 0.0]),
            (&made.ignore, [255.0, 0.0, 0.0]),
        ] {
            for &[x0, y0, x1, y1] in rects {
                made.canvas.fill([x0, y0, x1, y1], color, |x, y| {
                    x < x0 + 2.0 || x > x1 - 2.0 || y < y0 + 2.0 || y > y1 - 2.0
                });
            }
        }
        save_image(&made, &args.out.join(format!("{i:03}.png")))?;
    }
    Ok(())
}

fn save_image(sample: &Sample, path: &Path) -> Result<()> {
    sample
        .canvas
        .image()
        .save(path)
        .with_context(|| format!("cannot write {}", path.display()))
}
