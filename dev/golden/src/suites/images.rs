//! Images of checkpoints, as bytes, beside those the reference made.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use networks::{MappingOptions, SynthesisOptions};

use super::CaseResult;
use super::weights::Weights;

/// Names of the images in the files of golden data: `G_ema` in f32, psi 1, stored noise.
const IMAGES: [&str; 2] = ["img_ema_fp32", "img_ema"];

/// Compares the images of the latents `z` (and labels `c`) in `golden` where it has images; `worst` counts steps of a
/// byte.
///
/// # Errors
/// When the checkpoint cannot be opened or run.
pub fn compare(path: &Path, name: &str, golden: &Weights) -> Result<Option<CaseResult>> {
    let expected = IMAGES.iter().find_map(|name| golden.get(*name));
    let (Some(expected), Some(z)) = (expected, golden.get("z")) else {
        return Ok(None);
    };
    let device = Device::Cpu;
    let opened = checkpoints::open_file(path, &device)?;
    let (_, g) = opened.generator()?;
    let tensor = |t: &interop::Tensor| Tensor::from_vec(t.to_f32(), t.shape.as_slice(), &device);
    let c = golden.get("c").filter(|_| g.config().c_dim > 0);
    let c = c.map(tensor).transpose()?;
    let images = g.forward(
        &tensor(z)?,
        c.as_ref(),
        &MappingOptions::default(),
        SynthesisOptions::default(),
    )?;
    let ours = images.flatten_all()?.to_vec1::<f32>()?;
    let theirs = expected.to_f32();
    if ours.len() != theirs.len() {
        return Err(anyhow::anyhow!("{:?} images", images.dims())).context(name.to_owned());
    }
    let byte = |v: f32| (v * 127.5 + 128.0) as u8;
    let steps = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| byte(*a).abs_diff(byte(*b)));
    Ok(Some(CaseResult {
        suite: "pickle".into(),
        case: format!("{name}: images (1 of 255)"),
        worst: f64::from(steps.max().unwrap_or_default()),
        tolerance: 1.0,
    }))
}
