//! Generates pairs of images a small step apart on paths between two latents (arXiv:1812.04948, section 4.1).

use candle_core::{Device, Tensor};
use dataset::ImageDataset;
use metrics::PathOptions;
use networks::{Generator, MappingOptions, NormalSource, SynthesisOptions};
use rng::RandomState;

use crate::error::Result;
use crate::streams::noise;

/// Labels of random images of the dataset, one drawn from each stream: `[n, c_dim]`; `None` without a dataset.
pub(crate) fn labels(
    dataset: Option<&ImageDataset>,
    c_dim: usize,
    streams: &mut [RandomState],
    device: &Device,
) -> Result<Option<Tensor>> {
    let Some(dataset) = dataset else {
        return Ok(None);
    };
    let n = streams.len();
    let labels = streams
        .iter_mut()
        .flat_map(|stream| dataset.random_labels(1, stream))
        .collect();
    Ok(Some(Tensor::from_vec(labels, (n, c_dim), device)?))
}

/// Generates, for each stream, one image at a position of a random path and one `step` further on that path, both with
/// the same label and noise. `path` says whether paths are in `z` or `w`, and whether positions are random or at the
/// start of the path.
///
/// # Shapes
/// - result: `[2 n, channels, resolution, resolution]`, f32 of about -1 to 1: first the `n` images at the positions,
///   then the `n` images a step further
pub(crate) fn pairs(
    generator: &Generator,
    dataset: Option<&ImageDataset>,
    mut streams: Vec<RandomState>,
    path: PathOptions,
    step: f64,
) -> Result<Tensor> {
    let config = generator.config();
    let n = streams.len();
    let mut starts = Vec::with_capacity(n * config.z_dim);
    let mut ends = Vec::with_capacity(n * config.z_dim);
    let mut positions = Vec::with_capacity(n);
    for stream in &mut streams {
        // Draw the position even when it is not used, so that all kinds of paths have the same latents.
        let t = stream.random_sample();
        let t = if path.full { t } else { 0.0 };
        let (mut a, mut b) = (vec![0f32; config.z_dim], vec![0f32; config.z_dim]);
        stream.fill_normal(&mut a);
        stream.fill_normal(&mut b);
        if path.in_w {
            starts.extend(a);
            ends.extend(b);
        } else {
            starts.extend(slerp(&a, &b, t));
            ends.extend(slerp(&a, &b, t + step));
        }
        positions.push(t);
    }
    let device = generator.device();
    let c = labels(dataset, config.c_dim, &mut streams, device)?;
    let c = c.map(|c| Tensor::cat(&[&c, &c], 0)).transpose()?;
    let z = Tensor::from_vec([starts, ends].concat(), (2 * n, config.z_dim), device)?;
    let ws = generator
        .mapping
        .forward(&z, c.as_ref(), &MappingOptions::default())?;
    let ws = if path.in_w {
        let (a, b) = (ws.narrow(0, 0, n)?, ws.narrow(0, n, n)?);
        let direction = (&b - &a)?;
        let at = |step: f64| -> Result<Tensor> {
            let t: Vec<f32> = positions.iter().map(|t| (t + step) as f32).collect();
            let t = Tensor::from_vec(t, (n, 1, 1), device)?;
            Ok((&a + direction.broadcast_mul(&t)?)?)
        };
        Tensor::cat(&[at(0.0)?, at(step)?], 0)?
    } else {
        ws
    };
    let synthesis = SynthesisOptions {
        noise: noise(&mut streams, 2),
    };
    Ok(generator.synthesis.forward(&ws, synthesis)?)
}

/// Spherical interpolation between the directions of `a` (at `t` = 0) and `b` (at `t` = 1); returns a unit vector.
fn slerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    let a = unit(a.iter().map(|&v| f64::from(v)).collect());
    let b = unit(b.iter().map(|&v| f64::from(v)).collect());
    let cosine: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    let angle = t * cosine.clamp(-1.0, 1.0).acos();
    // The component of `b` orthogonal to `a`.
    let orthogonal = unit(b.iter().zip(&a).map(|(b, a)| b - cosine * a).collect());
    let (sin, cos) = angle.sin_cos();
    a.iter()
        .zip(&orthogonal)
        .map(|(a, c)| (a * cos + c * sin) as f32)
        .collect()
}

fn unit(v: Vec<f64>) -> Vec<f64> {
    let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    v.into_iter()
        .map(|v| v / length.max(f64::MIN_POSITIVE))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_great_circle_goes_from_one_end_to_the_other() {
        let (a, b) = ([2.0, 0.0, 0.0], [0.0, 0.0, 5.0]);
        assert_eq!(slerp(&a, &b, 0.0), [1.0, 0.0, 0.0]);
        let half = slerp(&a, &b, 0.5);
        let root = 0.5f32.sqrt();
        for (got, want) in half.iter().zip([root, 0.0, root]) {
            assert!((got - want).abs() < 1e-6, "{half:?}");
        }
        assert!((slerp(&a, &b, 1.0)[2] - 1.0).abs() < 1e-6);
    }
}
