//! The VGG16 network, which maps images to features or perceptual distances.

use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use ops::{Activation, BiasActOptions, Conv2dOptions, bias_act, conv2d};

use super::lpips::{self, distances};
use super::shape::{STAGES, VggShape};
use super::weights::{self, LPIPS_URL, TORCHSCRIPT_URL, Tensors, VggSource};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::network_input::network_input;
use crate::placement::Placement;
use crate::pool::{Pool, pool};
use crate::weight_files;

/// Mean and standard deviation per color channel of the network's training images, for values from 0 to 1. The input is
/// normalized with them.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// The smallest side in pixels of images for [`Vgg16::lpips`] and [`Vgg16::stage_features`], since the network halves
/// the resolution four times.
pub const LEAST_SIDE: usize = 16;

/// The features of a batch of images at the end of each of the five stages of a [`Vgg16`], normalized to length 1 at
/// each pixel. [`Vgg16::distance`] computes LPIPS from the stage features of two batches.
pub struct StageFeatures(Vec<Tensor>);

/// Weight and bias of a layer.
type Layer = (Tensor, Tensor);

/// The VGG16 network with its weights. The weights of the dense layers and the linear weights of LPIPS may be absent.
pub struct Vgg16 {
    shape: VggShape,
    source: VggSource,
    /// Value of [`Vgg16::checksum`].
    checksum: Option<String>,
    convs: Vec<Layer>,
    dense: Option<[Layer; 2]>,
    /// The linear weights of LPIPS: for each stage, one weight per channel.
    lpips: Option<Vec<Vec<f32>>>,
    placement: Placement,
}

impl Vgg16 {
    /// Loads the network from the file in the cache ([`FILE_NAME`](super::FILE_NAME)), which
    /// [`convert_weights`](crate::convert_weights) writes. It computes in f32 on the CPU; see [`Vgg16::on`].
    ///
    /// # Errors
    /// `Weights` when the file cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let (tensors, source) = weights::read(path)?;
        let checksum = weight_files::checksum(&tensors)?;
        let network =
            Self::new(VggShape::default(), source, tensors).map_err(|error| match error {
                Error::NoWeights(reason) => Error::Weights {
                    path: path.to_owned(),
                    reason,
                },
                other => other,
            })?;
        Ok(Self {
            checksum: Some(checksum),
            ..network
        })
    }

    /// Loads the network from published files, in any order: NVIDIA's `vgg16.pt`, or torchvision's VGG16 and the linear
    /// weights of LPIPS. It computes in f32 on the CPU.
    ///
    /// # Errors
    /// `Checkpoint` when a file cannot be read; `Weights` when a tensor has the wrong shape or convolutions are
    /// missing.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self> {
        let parts = paths
            .iter()
            .map(|path| Ok((path.clone(), weight_files::read(path)?)))
            .collect::<Result<Vec<_>>>()?;
        let shape = VggShape::default();
        let (tensors, source) = weights::gather(&parts, None, &shape)?;
        let checksum = weight_files::checksum(&tensors)?;
        Ok(Self {
            checksum: Some(checksum),
            ..Self::new(shape, source, tensors)?
        })
    }

    /// Creates a network of size `shape` with deterministic random weights that depend on `seed`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn seeded(shape: VggShape, seed: u32) -> Result<Self> {
        Self::new(shape, VggSource::Seed, weights::seeded(&shape, seed)?)
    }

    fn new(shape: VggShape, source: VggSource, mut tensors: Tensors) -> Result<Self> {
        let mut layer = |name: &str| -> Option<Layer> {
            Some((
                tensors.remove(&format!("layers.{name}.weight"))?,
                tensors.remove(&format!("layers.{name}.bias"))?,
            ))
        };
        let convs = (1..=13)
            .map(|i| {
                layer(&format!("conv{i}")).ok_or_else(|| {
                    Error::NoWeights(format!(
                        "convolution {i} is missing: make the file anew with `eval weights --from FILE`"
                    ))
                })
            })
            .collect::<Result<_>>()?;
        let dense = match (layer("fc1"), layer("fc2")) {
            (Some(a), Some(b)) => Some([transposed(a)?, transposed(b)?]),
            _ => None,
        };
        let lpips = (0..5)
            .map(|i| tensors.get(&format!("lpips{i}")))
            .collect::<Option<Vec<_>>>()
            .map(|all| {
                all.into_iter()
                    .map(|t| Ok(t.flatten_all()?.to_vec1()?))
                    .collect::<Result<_>>()
            })
            .transpose()?;
        Ok(Self {
            shape,
            source,
            checksum: None,
            convs,
            dense,
            lpips,
            placement: Placement::default(),
        })
    }

    /// Moves the network to a device and converts it to an element type.
    ///
    /// # Errors
    /// When the device is out of memory.
    pub fn on(mut self, placement: &Placement) -> Result<Self> {
        for (weight, bias) in self.convs.iter_mut().chain(self.dense.iter_mut().flatten()) {
            *weight = placement.bring(weight)?;
            *bias = placement.bring(bias)?;
        }
        self.placement = placement.clone();
        Ok(self)
    }

    /// The origin of the weights.
    pub fn source(&self) -> VggSource {
        self.source
    }

    /// The first 8 hexadecimal digits of the SHA-256 of the weights (names, shapes and values), equal for all file
    /// formats; `None` for random weights.
    pub fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// Whether the weights of the dense layers are present, which [`Vgg16::features`] needs.
    pub fn has_dense(&self) -> bool {
        self.dense.is_some()
    }

    /// Whether the linear weights of LPIPS are present, which [`Vgg16::lpips`] and [`Vgg16::distance`] need.
    pub fn has_lpips(&self) -> bool {
        self.lpips.is_some()
    }

    /// Computes the features of images: the output of the second dense layer. Images are resized to [`VggShape::side`]
    /// as in TensorFlow 1.
    ///
    /// # Shapes
    /// - `images`: `u8`, `[n, 1 or 3, height, width]`
    /// - result: `[n, hidden]`, where `hidden` is [`VggShape::hidden`] (4096 for published weights)
    ///
    /// # Errors
    /// `Images` when `images` have another shape or element type, `NoWeights` when the weights of the dense layers are
    /// absent.
    pub fn features(&self, images: &Tensor) -> Result<Features> {
        let Some(dense) = &self.dense else {
            return Err(Error::NoWeights(
                "the weights of VGG16 lack the dense layers".into(),
            ));
        };
        let x = network_input(images, self.shape.side, &self.placement.device)?;
        // The input is (value - 128) / 128; the stages take values from 0 to 255.
        let last = self.stages(&x.affine(128.0, 128.0)?, |_, _| Ok(()))?;
        let mut x = pool(&last, Pool::MaxOfFour)?.flatten_from(1)?;
        for (weight, bias) in dense {
            x = x.matmul(weight)?.broadcast_add(bias)?.relu()?;
        }
        let x = x.to_dtype(DType::F32)?.flatten_all()?;
        Features::from_rows(self.shape.hidden, x.to_vec1()?)
    }

    /// Computes the perceptual distance LPIPS between image `i` and image `n + i` of a batch of `2 n` images, for `i`
    /// from 0 to `n - 1`. Not differentiable; see [`Vgg16::distance`]. Images are not resized.
    ///
    /// # Shapes
    /// - `images`: f32 from 0 to 255, `[2 n, 1 or 3, height, width]`, with sides of at least [`LEAST_SIDE`] pixels
    /// - result: `[n]`
    ///
    /// # Errors
    /// `Images` when `images` have another shape or element type or are too small, `NoWeights` when the linear weights
    /// of LPIPS are absent.
    pub fn lpips(&self, images: &Tensor) -> Result<Vec<f64>> {
        let linear = self.lpips.as_ref().ok_or_else(no_lpips)?;
        let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
        let (n, channels, h, w) = images.dims4().map_err(|_| form())?;
        let is_odd = n % 2 == 1 || n == 0;
        if images.dtype() != DType::F32
            || !matches!(channels, 1 | 3)
            || is_odd
            || h.min(w) < LEAST_SIDE
        {
            return Err(form());
        }
        let mut sums = vec![0.0; n / 2];
        self.stages(&images.to_device(&self.placement.device)?, |stage, x| {
            for (sum, distance) in sums.iter_mut().zip(distances(x, &linear[stage])?) {
                *sum += distance;
            }
            Ok(())
        })?;
        Ok(sums)
    }

    /// Computes the features of images at the end of each stage, for [`Self::distance`]. Differentiable. Images are not
    /// resized.
    ///
    /// # Shapes
    /// - `images`: f32 from 0 to 255, `[n, 1 or 3, height, width]`, with sides of at least [`LEAST_SIDE`] pixels, on
    ///   the device of the network
    ///
    /// # Errors
    /// `Images` when `images` have another shape or are too small.
    pub fn stage_features(&self, images: &Tensor) -> Result<StageFeatures> {
        let form = || Error::Images(format!("{:?} {:?}", images.dtype(), images.shape()));
        let (_, channels, h, w) = images.dims4().map_err(|_| form())?;
        if !matches!(channels, 1 | 3) || h.min(w) < LEAST_SIDE {
            return Err(form());
        }
        let mut stages = Vec::with_capacity(STAGES.len());
        self.stages(images, |_, x| {
            stages.push(lpips::unit_length(x)?);
            Ok(())
        })?;
        Ok(StageFeatures(stages))
    }

    /// Computes the perceptual distance LPIPS between image `i` of `a` and image `i` of `b`. Differentiable.
    ///
    /// # Shapes
    /// - `a`, `b`: features of `n` images of the same size
    /// - result: `[n]`
    ///
    /// # Errors
    /// `NoWeights` when the linear weights of LPIPS are absent.
    pub fn distance(&self, a: &StageFeatures, b: &StageFeatures) -> Result<Tensor> {
        let linear = self.lpips.as_ref().ok_or_else(no_lpips)?;
        let pairs = a.0.iter().zip(&b.0).zip(linear);
        let terms = pairs
            .map(|((a, b), linear)| lpips::distance(a, b, linear))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&terms, 0)?.sum(0)?)
    }

    /// Runs the convolutions on images with values from 0 to 255. Calls `visit` with the index (0 to 4) and the
    /// features of each stage, and returns the features of the last one.
    fn stages(
        &self,
        images: &Tensor,
        mut visit: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let (n, channels, h, w) = images.dims4()?;
        let images = match channels {
            1 => images.broadcast_as((n, 3, h, w))?.contiguous()?,
            _ => images.clone(),
        };
        let constant = |values: [f64; 3]| -> Result<Tensor> {
            let values = values.map(|v| v as f32);
            Ok(Tensor::new(&values, &self.placement.device)?.reshape((1, 3, 1, 1))?)
        };
        let mut x = images
            .broadcast_sub(&constant(MEAN.map(|m| m * 255.0))?)?
            .broadcast_div(&constant(DEVIATION.map(|d| d * 255.0))?)?
            .to_dtype(self.placement.dtype)?;
        let padded = Conv2dOptions {
            padding: 1,
            ..Default::default()
        };
        let relu = BiasActOptions {
            activation: Activation::Relu,
            gain: Some(1.0),
            ..Default::default()
        };
        let mut layers = self.convs.iter();
        for (stage, n) in STAGES.into_iter().enumerate() {
            if stage > 0 {
                x = pool(&x, Pool::MaxOfFour)?;
            }
            for (weight, bias) in layers.by_ref().take(n) {
                x = bias_act(&conv2d(&x, weight, &padded)?, Some(bias), &relu)?;
            }
            visit(stage, &x)?;
        }
        Ok(x)
    }
}

fn no_lpips() -> Error {
    Error::NoWeights(format!(
        "the weights of VGG16 lack those of LPIPS, which are in NVIDIA's vgg16.pt ({TORCHSCRIPT_URL}) and, beside \
         torchvision's, in {LPIPS_URL}"
    ))
}

/// Transposes the weight of a dense layer from `[out, in]` to `[in, out]`.
fn transposed((weight, bias): Layer) -> Result<Layer> {
    Ok((weight.t()?.contiguous()?, bias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Compares with the values that PyTorch 2.15 computes for the same images with the same seeded weights.
    #[test]
    fn dense_features_are_those_of_pytorch() {
        let vgg = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        let (height, width) = (20, 24);
        let mut pixels = Vec::new();
        for n in 0..2 {
            for c in 0..3 {
                for y in 0..height {
                    for x in 0..width {
                        pixels.push(((x * 7 + y * 13 + c * 29 + n * 31 + x * y) % 256) as u8);
                    }
                }
            }
        }
        let images = Tensor::from_vec(pixels, (2, 3, height, width), &Device::Cpu).unwrap();
        let features = vgg.features(&images).unwrap();
        assert_eq!((features.len(), features.dim()), (2, 256));
        let want = [
            0.0,
            2.796_147,
            1.469_171_5,
            0.0,
            0.0,
            2.361_479_3,
            0.0,
            2.716_338_4,
        ];
        for (got, want) in features.row(0).iter().zip(want) {
            assert!((got - want).abs() < 1e-4 * 16.47, "{got} {want}");
        }
        for (row, want) in [576.821_04, 575.703_25].into_iter().enumerate() {
            let sum: f32 = features.row(row).iter().sum();
            assert!((sum / want - 1.0).abs() < 1e-4, "{sum} {want}");
        }
        assert!(vgg.features(&images.to_dtype(DType::F32).unwrap()).is_err());
        assert!(vgg.lpips(&images).is_err());
    }

    /// Random images `[n, 3, 32, 32]` with values of mean 127.5 and standard deviation 40.
    fn noise(n: usize, seed: u32) -> Tensor {
        let values: Vec<f32> = rng::RandomState::new(seed)
            .randn(n * 3 * 32 * 32)
            .iter()
            .map(|v| (v * 40.0 + 127.5) as f32)
            .collect();
        Tensor::from_vec(values, (n, 3, 32, 32), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_differentiable_distance_is_that_of_path_lengths() {
        let vgg = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        let (a, b) = (noise(2, 1), noise(2, 2));
        let want = vgg.lpips(&Tensor::cat(&[&a, &b], 0).unwrap()).unwrap();
        // A variable, so that the pooling with a gradient is tested.
        let a = candle_core::Var::from_tensor(&a).unwrap();
        let features = |x: &Tensor| vgg.stage_features(x).unwrap();
        let got = vgg.distance(&features(&a), &features(&b)).unwrap();
        let got: Vec<f32> = got.to_vec1().unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.into_iter().zip(want) {
            assert!((f64::from(got) / want - 1.0).abs() < 1e-4, "{got} {want}");
        }
    }

    #[test]
    fn the_distance_falls_along_its_gradient() {
        let vgg = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        let goal = vgg.stage_features(&noise(1, 2)).unwrap();
        let distance = |x: &Tensor| {
            let features = vgg.stage_features(x).unwrap();
            vgg.distance(&features, &goal).unwrap().sum_all().unwrap()
        };
        assert_eq!(distance(&noise(1, 2)).to_scalar::<f32>().unwrap(), 0.0);
        let x = candle_core::Var::from_tensor(&noise(1, 1)).unwrap();
        let grads = distance(&x).backward().unwrap();
        let gradient = grads.get(&x).unwrap();
        let steepness = gradient.sqr().unwrap().sum_all().unwrap();
        let steepness = steepness.to_scalar::<f32>().unwrap();
        // The change for a small step along the gradient, compared with the first-order prediction.
        let h = 0.3 / steepness.sqrt();
        let moved = |h: f32| {
            let step = (gradient * f64::from(h)).unwrap();
            let x = (x.as_tensor() + step).unwrap().detach();
            distance(&x).to_scalar::<f32>().unwrap()
        };
        let rise = (moved(h) - moved(-h)) / (2.0 * h);
        assert!((rise / steepness - 1.0).abs() < 0.02, "{rise} {steepness}");
    }

    #[test]
    fn small_images_and_missing_weights_are_errors() {
        let vgg = Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        let small = Tensor::zeros((1, 3, 15, 16), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(vgg.stage_features(&small), Err(Error::Images(_))));
        let without = Vgg16 { lpips: None, ..vgg };
        let features = without.stage_features(&noise(1, 1)).unwrap();
        let error = without.distance(&features, &features).err().unwrap();
        assert!(error.to_string().contains("vgg.pth"), "{error}");
    }
}
