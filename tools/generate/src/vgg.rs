//! A perceptual distance by VGG16 (arXiv:1409.1556), whose weights are the user's file.
//!
//! The distance is that of arXiv:1801.03924 without its learned channel weights: features at the end of each of the five
//! stages, each pixel's channels scaled to length 1, squared differences summed over channels and averaged over pixels.

use std::path::Path;

use anyhow::{Context, bail};
use candle_core::{Device, Tensor};
use ops::{
    Activation, BiasActOptions, Conv2dOptions, Filter, UpFirDn2dOptions, bias_act, conv2d,
    upfirdn2d,
};

/// Convolutions of each stage; a pooling by 2 lies between stages.
const STAGES: [usize; 5] = [2, 2, 3, 3, 3];
/// The network was trained on pictures of this size: larger ones are averaged down.
const LARGEST: usize = 256;
/// Mean and deviation of its training pictures, 0 to 1.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// The convolutional part of VGG16.
pub struct Vgg {
    /// Weight and bias.
    layers: Vec<(Tensor, Tensor)>,
}

/// Features of an image at the end of each stage.
pub struct Features(Vec<Tensor>);

impl Vgg {
    /// Reads the weights of torchvision's `vgg16` (`.pth`, TorchScript or `.safetensors`): the first chain of 13
    /// convolutions of 3x3 in the order of the file.
    pub fn load(path: &Path, device: &Device) -> anyhow::Result<Self> {
        let file = interop::read_tensors(path)?;
        let mut layers = Vec::new();
        let mut channels = 3;
        for (name, weight) in &file.tensors {
            let [out, input, 3, 3] = weight.shape[..] else {
                continue;
            };
            if input != channels || layers.len() == STAGES.iter().sum::<usize>() {
                continue;
            }
            let bias = name
                .strip_suffix("weight")
                .and_then(|stem| file.tensors.get(&format!("{stem}bias")))
                .filter(|bias| bias.shape == [out])
                .with_context(|| format!("{}: `{name}` has no bias beside it", path.display()))?;
            layers.push((
                Tensor::from_vec(weight.to_f32(), (out, input, 3, 3), device)?,
                Tensor::from_vec(bias.to_f32(), out, device)?,
            ));
            channels = out;
        }
        if layers.len() != STAGES.iter().sum::<usize>() {
            bail!(
                "{}: not the weights of VGG16: {} of its 13 convolutions were found",
                path.display(),
                layers.len()
            );
        }
        Ok(Self { layers })
    }

    /// Features of `x`, `[1, channels, side, side]`, -1 to 1.
    pub fn features(&self, x: &Tensor) -> candle_core::Result<Features> {
        let channels = x.dim(1)?;
        // Grey is shown in three channels, opacity is not shown.
        let x = match channels {
            1 | 2 => Tensor::cat(&[&x.narrow(1, 0, 1)?; 3], 1)?,
            _ => x.narrow(1, 0, 3)?,
        };
        let mut x = x;
        while x.dim(2)? > LARGEST {
            let mean = Filter::new(&[1.0, 1.0]);
            let halving = UpFirDn2dOptions::downsampling(&mean, [2; 2], [0; 4]);
            x = upfirdn2d(&x, &mean, &halving)?;
        }
        // -1..1 to 0..1 to the scale of the training pictures.
        let scale = DEVIATION.map(|d| 0.5 / d);
        let shift: Vec<f64> = (0..3).map(|i| (0.5 - MEAN[i]) / DEVIATION[i]).collect();
        let constant = |values: &[f64]| {
            Tensor::new(values, x.device())?
                .to_dtype(x.dtype())?
                .reshape((1, 3, 1, 1))
        };
        let mut x = x
            .broadcast_mul(&constant(&scale)?)?
            .broadcast_add(&constant(&shift)?)?;

        let convolution = Conv2dOptions {
            padding: 1,
            ..Default::default()
        };
        let relu = BiasActOptions {
            activation: Activation::Relu,
            gain: Some(1.0),
            ..Default::default()
        };
        let mut layers = self.layers.iter();
        let mut features = Vec::new();
        for (i, &n) in STAGES.iter().enumerate() {
            if i > 0 {
                if x.dim(2)? < 2 {
                    break;
                }
                x = max_pool(&x)?;
            }
            for (weight, bias) in layers.by_ref().take(n) {
                x = bias_act(&conv2d(&x, weight, &convolution)?, Some(bias), &relu)?;
            }
            let length = (x.sqr()?.sum_keepdim(1)? + 1e-8)?.sqrt()?;
            features.push(x.broadcast_div(&length)?);
        }
        Ok(Features(features))
    }
}

/// The largest of every two by two pixels. (The gradient of candle's own is a fourth of what it should be.)
fn max_pool(x: &Tensor) -> candle_core::Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    x.reshape(&[batch, channels, height / 2, 2, width / 2, 2])?
        .max(5)?
        .max(3)
}

impl Features {
    /// A scalar.
    pub fn distance(&self, other: &Self) -> candle_core::Result<Tensor> {
        let mut terms = Vec::new();
        for (a, b) in self.0.iter().zip(&other.0) {
            terms.push((a - b)?.sqr()?.sum_keepdim(1)?.mean_all()?);
        }
        Tensor::stack(&terms, 0)?.sum_all()
    }
}

/// A file with weights of the layout of VGG16, `width` channels wide, from a formula.
#[cfg(test)]
pub fn write_small(path: &Path, width: usize) {
    let device = &Device::Cpu;
    let mut tensors = std::collections::HashMap::new();
    let mut random = rng::RandomState::new(1);
    let mut input = 3;
    for i in 0..STAGES.iter().sum::<usize>() {
        let n = width * input * 9;
        let deviation = (2.0 / (9.0 * input as f64)).sqrt();
        let weight: Vec<f32> = random
            .randn(n)
            .iter()
            .map(|v| (v * deviation) as f32)
            .collect();
        let weight = Tensor::from_vec(weight, (width, input, 3, 3), device).unwrap();
        // Sorted as they follow each other.
        tensors.insert(format!("features.{i:02}.weight"), weight);
        let bias = Tensor::full(0.1f32, width, device).unwrap();
        tensors.insert(format!("features.{i:02}.bias"), bias);
        input = width;
    }
    candle_core::safetensors::save(&tensors, path).unwrap();
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    #[test]
    fn the_distance_falls_along_its_gradient() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vgg.safetensors");
        write_small(&path, 6);
        let vgg = Vgg::load(&path, &Device::Cpu).unwrap();
        let image = |seed: u32| {
            let values: Vec<f32> = rng::RandomState::new(seed)
                .randn(3 * 32 * 32)
                .iter()
                .map(|v| (v * 0.3) as f32)
                .collect();
            Tensor::from_vec(values, (1, 3, 32, 32), &Device::Cpu).unwrap()
        };
        let goal = vgg.features(&image(2)).unwrap();
        assert_eq!(goal.0.len(), 5);
        let distance = |x: &Tensor| {
            let d = vgg.features(x).unwrap().distance(&goal).unwrap();
            d.to_scalar::<f32>().unwrap()
        };
        assert_eq!(distance(&image(2)), 0.0);
        let x = Var::from_tensor(&image(1)).unwrap();
        let loss = vgg.features(&x).unwrap().distance(&goal).unwrap();
        let gradient = loss.backward().unwrap();
        let gradient = gradient.get(&x).unwrap();
        let steepness = gradient.sqr().unwrap().sum_all().unwrap();
        let steepness = steepness.to_scalar::<f32>().unwrap();
        // The first order of a small step.
        let h = 1e-3 / steepness.sqrt();
        let moved = |h: f32| {
            let step = (gradient * f64::from(h)).unwrap();
            distance(&(x.as_tensor() + step).unwrap())
        };
        let rise = (moved(h) - moved(-h)) / (2.0 * h);
        assert!((rise / steepness - 1.0).abs() < 0.02, "{rise} {steepness}");
    }

    #[test]
    fn other_files_are_refused() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/network.safetensors"
        );
        let error = Vgg::load(Path::new(path), &Device::Cpu).err().unwrap();
        assert!(error.to_string().contains("0 of its 13"), "{error}");
    }
}
