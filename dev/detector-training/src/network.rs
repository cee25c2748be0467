//! The network of `detect::embedded` on candle tensors, for training, with weight standardization.
//!
//! In place of batch normalization each kernel is normalized to mean 0 and a learned scale (scaled weight
//! standardization, Brock et al., arXiv:2101.08692). The cost does not depend on the size of the images, and the result
//! can be exported as plain weights.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use detect::embedded::network::{Convolution, LEVELS, convolutions};
use detect::embedded::walk::{LayerBackend, Operand, walk};
use files::TensorEntry;
use half::f16;
use ops::{Activation, BiasActOptions, Conv2dOptions, bias_act, conv2d};
use rng::RandomState;
use safetensors::tensor::Dtype;

/// Added to the variance of a kernel, so that it is not 0.
const EPSILON: f64 = 1e-6;
/// Score of every cell in the untrained network.
const PRIOR: f64 = 0.01;
/// Added to the deviation of a loaded kernel, so that a kernel of zeros stays one.
const DEAD: f64 = 1e-12;
/// Standard deviation of the initial weights of the output layers (heads).
const HEAD_DEVIATION: f64 = 0.01;

/// The trainable parameters, named `NAME.weight`, `NAME.scale` (not for heads) and `NAME.bias` for each layer `NAME`.
pub struct Network {
    pub parameters: Vec<(String, Var)>,
    places: HashMap<String, usize>,
}

impl Network {
    /// A network with random initial parameters.
    pub fn new(random: &mut RandomState) -> Result<Self> {
        let mut network = Self {
            parameters: Vec::new(),
            places: HashMap::new(),
        };
        for (name, convolution) in convolutions() {
            let shape = convolution.weight_shape();
            let to = shape[0];
            let is_head = is_head(name);
            let deviation = if is_head { HEAD_DEVIATION } else { 1.0 };
            let values: Vec<f32> = random
                .randn(shape.iter().product())
                .iter()
                .map(|v| (v * deviation) as f32)
                .collect();
            network.add(format!("{name}.weight"), &shape, values)?;
            let mut bias = vec![0.0; to];
            if is_head {
                bias[0] = (PRIOR / (1.0 - PRIOR)).ln() as f32;
            } else {
                // The second convolution of a residual block starts small, so that the block starts near the identity.
                let scale = if name.ends_with('b') { 0.3 } else { 1.0 };
                network.add(format!("{name}.scale"), &[to, 1], vec![scale; to])?;
            }
            network.add(format!("{name}.bias"), &[to], bias)?;
        }
        Ok(network)
    }

    fn add(&mut self, name: String, shape: &[usize], values: Vec<f32>) -> Result<()> {
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
        self.places.insert(name.clone(), self.parameters.len());
        self.parameters.push((name, var));
        Ok(())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.parameters[self.places[name]].1.as_tensor()
    }

    /// The plain weights of a layer, `[out, in, kernel, kernel]`: standardized and scaled, except for heads.
    fn folded(&self, layer: &str) -> candle_core::Result<Tensor> {
        let weight = self.get(&format!("{layer}.weight"));
        if is_head(layer) {
            return Ok(weight.clone());
        }
        let shape = weight.dims4()?;
        let rows = weight.reshape((shape.0, ()))?;
        let fan_in = rows.dim(1)? as f64;
        let centered = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
        let variance = ((centered.sqr()?.mean_keepdim(1)? * fan_in)? + EPSILON * fan_in)?;
        // A kernel of variance 2 / fan-in preserves the magnitude of rectified values (He et al., arXiv:1502.01852).
        let scale = (self.get(&format!("{layer}.scale")).div(&variance.sqrt()?)? * 2f64.sqrt())?;
        centered.broadcast_mul(&scale)?.reshape(shape)
    }

    /// Runs the network on images `[batch, 3, height, width]` in `-1..=1`.
    ///
    /// Returns the output of each level, `[batch, 5, height / stride, width / stride]`.
    pub fn forward(&self, images: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let outputs = LEVELS.map(|level| level.layer);
        walk(&mut TrainingBackend(self), images.clone(), &outputs)
    }

    /// The values of each parameter, row-major, in the order of `parameters`.
    pub fn values(&self) -> Result<Vec<Vec<f32>>> {
        let values = |(_, var): &(String, Var)| Ok(var.as_tensor().flatten_all()?.to_vec1()?);
        self.parameters.iter().map(values).collect()
    }

    /// Sets all parameters to values in the form that [`Self::values`] returns.
    pub fn set_values(&self, values: &[Vec<f32>]) -> Result<()> {
        for ((_, var), values) in self.parameters.iter().zip(values) {
            var.set(&Tensor::from_vec(
                values.clone(),
                var.shape(),
                &Device::Cpu,
            )?)?;
        }
        Ok(())
    }

    /// The plain weights as a safetensors file of f16, which `detect::embedded::EmbeddedDetector::from_safetensors`
    /// reads.
    pub fn exported(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        for (name, _) in convolutions() {
            tensors.push((format!("{name}.weight"), self.folded(name)?));
            let bias = format!("{name}.bias");
            tensors.push((bias.clone(), self.get(&bias).clone()));
        }
        let mut packed: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, tensor) in tensors {
            let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            let bytes = values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect();
            packed.push((name, tensor.dims().to_vec(), bytes));
        }
        serialized(&packed, Dtype::F16)
    }

    /// Writes the trainable parameters as a safetensors file of f32, from which training can be continued.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut packed = Vec::new();
        for ((name, var), values) in self.parameters.iter().zip(self.values()?) {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            packed.push((name.clone(), var.dims().to_vec(), bytes));
        }
        let bytes = serialized(&packed, Dtype::F32)?;
        files::write_bytes(path, &bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Sets the parameters from a file that [`Self::save`] wrote, or from plain weights as of [`Self::exported`].
    ///
    /// Plain weights become kernels of variance 1 and the scales that result in the same plain weights again.
    pub fn load(&self, path: &Path) -> Result<()> {
        let read = || -> Result<_> {
            let bytes = std::fs::read(path)?;
            files::check_safetensors(&bytes)?;
            Ok(candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?)
        };
        let tensors = read().with_context(|| format!("cannot read {}", path.display()))?;
        let get = |name: &str| -> Result<Tensor> {
            let tensor = tensors.get(name).with_context(|| {
                format!(
                    "{}: {name} is missing, so these are no weights of this network",
                    path.display()
                )
            })?;
            Ok(tensor.to_dtype(DType::F32)?)
        };
        let is_plain = !tensors.keys().any(|name| name.ends_with(".scale"));
        for (name, var) in &self.parameters {
            let tensor = match name.rsplit_once('.') {
                Some((layer, kind @ ("weight" | "scale"))) if is_plain && !is_head(layer) => {
                    let weight = get(&format!("{layer}.weight"))?;
                    let (shape, rows) = (weight.shape(), weight.flatten_from(1)?);
                    let fan_in = rows.dim(1)? as f64;
                    let deviation = rows.sqr()?.mean_keepdim(1)?.sqrt()?;
                    if kind == "scale" {
                        (deviation * (fan_in / 2.0).sqrt())?
                    } else {
                        let unit = rows.broadcast_div(&(deviation + DEAD)?)?;
                        unit.reshape(shape)?
                    }
                }
                _ => get(name)?,
            };
            var.set(&tensor)
                .with_context(|| format!("{}: {name}", path.display()))?;
        }
        Ok(())
    }
}

/// A [`LayerBackend`] that computes layers with the plain weights, differentiable with respect to the parameters.
struct TrainingBackend<'a>(&'a Network);

impl LayerBackend for TrainingBackend<'_> {
    type Value = Tensor;
    type Error = candle_core::Error;

    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, Tensor>,
    ) -> candle_core::Result<Tensor> {
        let options = Conv2dOptions {
            stride: convolution.stride,
            padding: convolution.padding(),
            ..Conv2dOptions::default()
        };
        let y = conv2d(&x, &self.0.folded(name)?, &options)?;
        let bias = self.0.get(&format!("{name}.bias"));
        bias_act(&y, Some(bias), &activation(convolution.is_rectified))
    }

    fn add(
        &mut self,
        _name: &'static str,
        a: Operand<'_, Tensor>,
        b: Operand<'_, Tensor>,
    ) -> candle_core::Result<Tensor> {
        bias_act(&a.add(&b)?, None, &activation(true))
    }

    fn add_coarse(
        &mut self,
        _name: &'static str,
        fine: Operand<'_, Tensor>,
        coarse: Operand<'_, Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = fine.dims4()?;
        fine.add(&coarse.upsample_nearest2d(height, width)?)
    }
}

/// The bytes of a safetensors file with these tensors: name, shape and little-endian values of each.
pub fn serialized(packed: &[(String, Vec<usize>, Vec<u8>)], dtype: Dtype) -> Result<Vec<u8>> {
    let dtype = dtype.to_string();
    let entries: Vec<TensorEntry<'_>> = packed
        .iter()
        .map(|(name, shape, bytes)| TensorEntry {
            name,
            dtype: &dtype,
            shape,
            n_bytes: bytes.len(),
        })
        .collect();
    let mut out = std::io::Cursor::new(Vec::new());
    files::write_safetensors::<_, std::io::Error>(&mut out, &[], &entries, |out| {
        packed
            .iter()
            .try_for_each(|(.., bytes)| out.write_all(bytes))
    })?;
    Ok(out.into_inner())
}

fn is_head(layer: &str) -> bool {
    LEVELS.iter().any(|level| level.layer == layer)
}

fn activation(is_rectified: bool) -> BiasActOptions {
    BiasActOptions {
        activation: if is_rectified {
            Activation::Relu
        } else {
            Activation::Linear
        },
        gain: Some(1.0),
        ..BiasActOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detect::embedded::EmbeddedDetector;
    use detect::{DetectOptions, Detector, NamedImage};
    use image::RgbImage;

    /// Training can continue from exported weights.
    #[test]
    fn plain_weights_fold_into_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain.safetensors");
        let network = Network::new(&mut RandomState::new(3)).unwrap();
        std::fs::write(&path, network.exported().unwrap()).unwrap();
        let other = Network::new(&mut RandomState::new(4)).unwrap();
        other.load(&path).unwrap();
        for layer in ["stem", "head8"] {
            let values = |network: &Network| -> Vec<f32> {
                let folded = network.folded(layer).unwrap();
                folded.flatten_all().unwrap().to_vec1().unwrap()
            };
            let (wanted, got) = (values(&network), values(&other));
            let largest = wanted.iter().fold(0f32, |max, v| max.max(v.abs()));
            for (a, b) in wanted.iter().zip(&got) {
                assert!((a - b).abs() < 2e-3 * largest, "{layer}: {a} {b}");
            }
        }
        std::fs::write(&path, serialized(&[], Dtype::F32).unwrap()).unwrap();
        let error = format!("{:#}", other.load(&path).unwrap_err());
        assert!(error.contains("plain.safetensors"), "{error}");
    }

    /// Training and the detector compute the same network.
    #[test]
    fn exported_weights_run_in_the_detector() {
        let mut random = RandomState::new(3);
        let network = Network::new(&mut random).unwrap();
        // Heads whose scores differ clearly from cell to cell.
        let mut values = network.values().unwrap();
        for ((name, _), values) in network.parameters.iter().zip(&mut values) {
            if name.starts_with("head") && name.ends_with("weight") {
                values.iter_mut().for_each(|v| *v *= 20.0);
            }
            // The coarsest level has the highest scores, so that the boxes are large.
            if name == "head32.bias" {
                values[0] += 4.0;
            }
        }
        network.set_values(&values).unwrap();
        let image = RgbImage::from_fn(64, 96, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 2) as u8, (x * y) as u8])
        });
        let planes: Vec<f32> = (0..3)
            .flat_map(|c| {
                image
                    .pixels()
                    .map(move |p| f32::from(p.0[c]) / 127.5 - 1.0)
                    .collect::<Vec<_>>()
            })
            .collect();
        let x = Tensor::from_vec(planes, (1, 3, 96, 64), &Device::Cpu).unwrap();
        let levels = network.forward(&x).unwrap();
        assert_eq!(levels[0].dims(), [1, 5, 12, 8]);
        let best = levels
            .iter()
            .map(|level| {
                level
                    .narrow(1, 0, 1)
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .max(0)
                    .unwrap()
            })
            .map(|logit| logit.to_scalar::<f32>().unwrap())
            .fold(f32::NEG_INFINITY, f32::max);

        let detector = EmbeddedDetector::from_safetensors(&network.exported().unwrap()).unwrap();
        let options = DetectOptions {
            threshold: Some(0.0),
            min_face: 0.0,
            ..DetectOptions::default()
        };
        let named = NamedImage {
            image: &image,
            name: "drawn",
        };
        let faces = detector.detect(&named, &options).unwrap();
        // The image has one scale, of the three that usually detect a large face.
        let expected = 1.0 - (1.0 - 1.0 / (1.0 + (-best).exp())).cbrt();
        assert!(
            (faces[0].score - expected).abs() < 2e-2 * expected,
            "{} {expected}",
            faces[0].score
        );
    }
}
