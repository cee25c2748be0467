//! The Inception network, which maps images to features averaged over the image.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use ops::{Activation, BiasActOptions, Conv2dOptions, bias_act, conv2d};

use super::convolutions::convolutions;
use super::weights::{self, SeededWeights, Tensors};
use crate::error::Result;
use crate::features::Features;
use crate::network_input::network_input;
use crate::placement::Placement;
use crate::pool::{Pool, pool};
use crate::weight_files;

/// Epsilon that the batch normalizations add to the variance.
const BN_EPS: f64 = 1e-3;

/// Prefix of the names of the last three blocks, which always compute in f32. They are a sixth of the work, and in f16
/// they would add as much to the error of a feature as all blocks before them.
const ALWAYS_F32: &str = "Mixed_7";

/// The layer of the Inception network whose channels, averaged over the image, are the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tap {
    /// The output of the first max pooling: 64 features.
    F64,
    /// The output of the second max pooling: 192 features.
    F192,
    /// The output of the block `Mixed_6e`: 768 features.
    F768,
    /// The output of the last block: 2048 features, which define FID.
    #[default]
    F2048,
}

impl Tap {
    /// Number of features per image.
    pub fn dim(self) -> usize {
        match self {
            Self::F64 => 64,
            Self::F192 => 192,
            Self::F768 => 768,
            Self::F2048 => 2048,
        }
    }
}

/// Options of an [`Inception`] network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InceptionOptions {
    /// Side in pixels that images are resized to: at least 75. FID is defined at 299.
    pub side: usize,
    /// The layer whose channels, averaged over the image, are the features.
    pub tap: Tap,
}

impl Default for InceptionOptions {
    fn default() -> Self {
        Self {
            side: 299,
            tap: Tap::F2048,
        }
    }
}

/// The results of an [`Inception`] network for a batch of `n` images.
#[derive(Clone, Debug)]
pub struct InceptionOutput {
    /// The features, `[n, tap.dim()]`.
    pub features: Features,
    /// The logits of the classifier without its bias, `[n, 1008]`, which the inception score needs. `None` unless the
    /// tap is [`Tap::F2048`].
    pub logits_unbiased: Option<Features>,
}

/// Weight and bias of a convolution that includes the batch normalization after it.
#[derive(Clone)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
}

/// The Inception network `inception-2015-12-05` with its weights.
#[derive(Clone)]
pub struct Inception {
    convs: HashMap<String, Conv>,
    /// `[2048, 1008]`
    classifier: Tensor,
    /// `[1008]`
    classifier_bias: Vec<f32>,
    /// Value of [`Inception::checksum`].
    checksum: Option<String>,
    options: InceptionOptions,
    placement: Placement,
}

impl Inception {
    /// Loads the network from a weight file: the PyTorch state dict that pytorch-fid publishes, NVIDIA's TorchScript
    /// archive, or the safetensors file in the cache. It computes in f32 on the CPU; see [`Inception::on`].
    ///
    /// # Errors
    /// `Checkpoint` when the file cannot be read; `Weights`, naming the tensor, when one is missing or has the wrong
    /// shape.
    pub fn open(path: &Path, options: InceptionOptions) -> Result<Self> {
        let tensors = weights::read(path)?;
        let mut network = Self::new(&tensors, options)?;
        network.checksum = Some(weight_files::checksum(&tensors)?);
        Ok(network)
    }

    /// The first 8 hexadecimal digits of the SHA-256 of the weights (names, shapes and values), equal for all file
    /// formats; `None` for random weights.
    pub fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// Creates a network with deterministic random weights, for tests and for features without a weight file.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn seeded(weights: SeededWeights, options: InceptionOptions) -> Result<Self> {
        Self::new(&weights.tensors()?, options)
    }

    pub(super) fn new(tensors: &Tensors, options: InceptionOptions) -> Result<Self> {
        let mut convs = HashMap::new();
        for (name, _) in convolutions() {
            let part = |part: &str| -> Result<Tensor> {
                Ok(tensors[&format!("{name}.{part}")].to_dtype(DType::F64)?)
            };
            let scale = (part("bn.weight")? / (part("bn.running_var")? + BN_EPS)?.sqrt()?)?;
            let weight = part("conv.weight")?.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
            let bias = (part("bn.bias")? - (part("bn.running_mean")? * scale)?)?;
            let conv = Conv {
                weight: weight.to_dtype(DType::F32)?,
                bias: bias.to_dtype(DType::F32)?,
            };
            convs.insert(name, conv);
        }
        Ok(Self {
            convs,
            classifier: tensors["fc.weight"].t()?.contiguous()?,
            classifier_bias: tensors["fc.bias"].to_vec1()?,
            checksum: None,
            options,
            placement: Placement::default(),
        })
    }

    /// Moves the network to a device and converts it to an element type. The last three blocks, the means over the
    /// image and the classifier always compute in f32.
    ///
    /// # Errors
    /// When the device is out of memory.
    pub fn on(mut self, placement: &Placement) -> Result<Self> {
        for (name, conv) in &mut self.convs {
            let placement = match name.starts_with(ALWAYS_F32) {
                true => &placement.in_f32(),
                false => placement,
            };
            conv.weight = placement.bring(&conv.weight)?;
            conv.bias = placement.bring(&conv.bias)?;
        }
        self.classifier = placement.in_f32().bring(&self.classifier)?;
        self.placement = placement.clone();
        Ok(self)
    }

    /// The device and element type that the network computes in.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The options of the network.
    pub fn options(&self) -> InceptionOptions {
        self.options
    }

    /// The bias of the classifier, 1008 values, which [`InceptionOutput::logits_unbiased`] does not include.
    pub fn classifier_bias(&self) -> &[f32] {
        &self.classifier_bias
    }

    /// Computes the features of a batch of images, and with [`Tap::F2048`] also the logits. Images are resized to
    /// [`InceptionOptions::side`] as in TensorFlow 1.
    ///
    /// # Shapes
    /// - `images`: `u8`, `[n, 1 or 3, height, width]`; a gray channel is used for all three colors
    ///
    /// # Errors
    /// `Images` when `images` have another shape or element type.
    pub fn extract(&self, images: &Tensor) -> Result<InceptionOutput> {
        let x = self.input(images)?;
        let x = self.stem(&x, 1)?;
        if self.options.tap == Tap::F64 {
            return output(&x);
        }
        let x = self.stem(&x, 2)?;
        if self.options.tap == Tap::F192 {
            return output(&x);
        }
        let mut x = x;
        for block in ["5b", "5c", "5d"] {
            x = self.block_a(&x, block)?;
        }
        x = self.block_b(&x)?;
        for block in ["6b", "6c", "6d", "6e"] {
            x = self.block_c(&x, block)?;
        }
        if self.options.tap == Tap::F768 {
            return output(&x);
        }
        x = self.block_d(&x.to_dtype(DType::F32)?)?;
        x = self.block_e(&x, "7b", Pool::Average)?;
        x = self.block_e(&x, "7c", Pool::Max)?;
        let pooled = global_mean(&x)?;
        let logits = pooled.matmul(&self.classifier)?;
        Ok(InceptionOutput {
            features: rows(&pooled)?,
            logits_unbiased: Some(rows(&logits)?),
        })
    }

    /// Converts `u8` images to the input of the network, `[n, 3, side, side]`.
    fn input(&self, images: &Tensor) -> Result<Tensor> {
        let x = network_input(images, self.options.side, &self.placement.device)?;
        let x = x.to_dtype(self.placement.dtype)?;
        Ok(if x.dim(1)? == 1 {
            x.repeat((1, 3, 1, 1))?
        } else {
            x
        })
    }

    /// Applies the convolution `name`, its bias and relu. `padding` is the vertical and the horizontal padding, in
    /// pixels.
    fn conv(&self, x: &Tensor, name: &str, stride: usize, padding: [usize; 2]) -> Result<Tensor> {
        let conv = &self.convs[name];
        let [pad_y, pad_x] = padding;
        let mut options = Conv2dOptions {
            stride,
            ..Default::default()
        };
        let y = if pad_y == pad_x {
            options.padding = pad_y;
            conv2d(x, &conv.weight, &options)?
        } else {
            let x = x
                .pad_with_zeros(2, pad_y, pad_y)?
                .pad_with_zeros(3, pad_x, pad_x)?;
            conv2d(&x, &conv.weight, &options)?
        };
        activate(&y, &conv.bias)
    }

    /// Computes the branch of a block that pools the input of the block and applies a 1 x 1 convolution.
    fn pool_branch(&self, x: &Tensor, block: &str, kind: Pool) -> Result<Tensor> {
        let name = format!("Mixed_{block}.branch_pool");
        if kind != Pool::Average {
            return self.conv(&pool(x, kind)?, &name, 1, [0, 0]);
        }
        // Averaging and a 1 x 1 convolution can be exchanged, and after the convolution there are fewer channels to
        // average.
        let conv = &self.convs[&name];
        let y = conv2d(x, &conv.weight, &Conv2dOptions::default())?;
        activate(&pool(&y, kind)?, &conv.bias)
    }

    fn stem(&self, x: &Tensor, part: usize) -> Result<Tensor> {
        let x = if part == 1 {
            let x = self.conv(x, "Conv2d_1a_3x3", 2, [0, 0])?;
            let x = self.conv(&x, "Conv2d_2a_3x3", 1, [0, 0])?;
            self.conv(&x, "Conv2d_2b_3x3", 1, [1, 1])?
        } else {
            let x = self.conv(x, "Conv2d_3b_1x1", 1, [0, 0])?;
            self.conv(&x, "Conv2d_4a_3x3", 1, [0, 0])?
        };
        Ok(pool(&x, Pool::MaxHalving)?)
    }

    /// Computes a branch of a block: convolutions one after the other, each given by its name, stride and padding.
    fn branch(
        &self,
        x: &Tensor,
        block: &str,
        layers: &[(&str, usize, [usize; 2])],
    ) -> Result<Tensor> {
        let mut x = x.clone();
        for (layer, stride, padding) in layers {
            x = self.conv(&x, &format!("Mixed_{block}.{layer}"), *stride, *padding)?;
        }
        Ok(x)
    }

    fn block_a(&self, x: &Tensor, block: &str) -> Result<Tensor> {
        let branches = [
            self.branch(x, block, &[("branch1x1", 1, [0, 0])])?,
            self.branch(
                x,
                block,
                &[("branch5x5_1", 1, [0, 0]), ("branch5x5_2", 1, [2, 2])],
            )?,
            self.branch(
                x,
                block,
                &[
                    ("branch3x3dbl_1", 1, [0, 0]),
                    ("branch3x3dbl_2", 1, [1, 1]),
                    ("branch3x3dbl_3", 1, [1, 1]),
                ],
            )?,
            self.pool_branch(x, block, Pool::Average)?,
        ];
        Ok(Tensor::cat(&branches, 1)?)
    }

    fn block_b(&self, x: &Tensor) -> Result<Tensor> {
        let branches = [
            self.branch(x, "6a", &[("branch3x3", 2, [0, 0])])?,
            self.branch(
                x,
                "6a",
                &[
                    ("branch3x3dbl_1", 1, [0, 0]),
                    ("branch3x3dbl_2", 1, [1, 1]),
                    ("branch3x3dbl_3", 2, [0, 0]),
                ],
            )?,
            pool(x, Pool::MaxHalving)?,
        ];
        Ok(Tensor::cat(&branches, 1)?)
    }

    fn block_c(&self, x: &Tensor, block: &str) -> Result<Tensor> {
        let branches = [
            self.branch(x, block, &[("branch1x1", 1, [0, 0])])?,
            self.branch(
                x,
                block,
                &[
                    ("branch7x7_1", 1, [0, 0]),
                    ("branch7x7_2", 1, [0, 3]),
                    ("branch7x7_3", 1, [3, 0]),
                ],
            )?,
            self.branch(
                x,
                block,
                &[
                    ("branch7x7dbl_1", 1, [0, 0]),
                    ("branch7x7dbl_2", 1, [3, 0]),
                    ("branch7x7dbl_3", 1, [0, 3]),
                    ("branch7x7dbl_4", 1, [3, 0]),
                    ("branch7x7dbl_5", 1, [0, 3]),
                ],
            )?,
            self.pool_branch(x, block, Pool::Average)?,
        ];
        Ok(Tensor::cat(&branches, 1)?)
    }

    fn block_d(&self, x: &Tensor) -> Result<Tensor> {
        let branches = [
            self.branch(
                x,
                "7a",
                &[("branch3x3_1", 1, [0, 0]), ("branch3x3_2", 2, [0, 0])],
            )?,
            self.branch(
                x,
                "7a",
                &[
                    ("branch7x7x3_1", 1, [0, 0]),
                    ("branch7x7x3_2", 1, [0, 3]),
                    ("branch7x7x3_3", 1, [3, 0]),
                    ("branch7x7x3_4", 2, [0, 0]),
                ],
            )?,
            pool(x, Pool::MaxHalving)?,
        ];
        Ok(Tensor::cat(&branches, 1)?)
    }

    fn block_e(&self, x: &Tensor, block: &str, kind: Pool) -> Result<Tensor> {
        let square = self.branch(x, block, &[("branch3x3_1", 1, [0, 0])])?;
        let double = self.branch(
            x,
            block,
            &[("branch3x3dbl_1", 1, [0, 0]), ("branch3x3dbl_2", 1, [1, 1])],
        )?;
        let branches = [
            self.branch(x, block, &[("branch1x1", 1, [0, 0])])?,
            self.branch(&square, block, &[("branch3x3_2a", 1, [0, 1])])?,
            self.branch(&square, block, &[("branch3x3_2b", 1, [1, 0])])?,
            self.branch(&double, block, &[("branch3x3dbl_3a", 1, [0, 1])])?,
            self.branch(&double, block, &[("branch3x3dbl_3b", 1, [1, 0])])?,
            self.pool_branch(x, block, kind)?,
        ];
        Ok(Tensor::cat(&branches, 1)?)
    }
}

fn activate(y: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let options = BiasActOptions {
        activation: Activation::Relu,
        gain: Some(1.0),
        ..Default::default()
    };
    Ok(bias_act(y, Some(bias), &options)?)
}

fn output(x: &Tensor) -> Result<InceptionOutput> {
    Ok(InceptionOutput {
        features: rows(&global_mean(x)?)?,
        logits_unbiased: None,
    })
}

/// The mean of each channel over the image: `[n, c, h, w]` to f32 `[n, c]`.
fn global_mean(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(DType::F32)?.flatten_from(2)?.mean(2)?)
}

fn rows(x: &Tensor) -> Result<Features> {
    let (_, dim) = x.dims2()?;
    Features::from_rows(dim, x.flatten_all()?.to_vec1()?)
}

/// Computes the softmax of each row of logits, which gives class probabilities that sum to 1 in each row.
pub fn softmax(logits: &Features) -> Features {
    let mut values = Vec::with_capacity(logits.values().len());
    for i in 0..logits.len() {
        let row = logits.row(i);
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let start = values.len();
        values.extend(row.iter().map(|v| (v - largest).exp()));
        let sum: f64 = values[start..].iter().map(|v| f64::from(*v)).sum();
        for v in &mut values[start..] {
            *v = (f64::from(*v) / sum) as f32;
        }
    }
    Features::from_rows(logits.dim().max(1), values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Compares with the features that the PyTorch network computes with the same seeded weights for two stored images
    /// of 64 px.
    #[test]
    fn features_are_those_of_the_reference() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/inception/inception_fid.safetensors"
        );
        let golden = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let seeded = SeededWeights {
            seed: None,
            normalization: true,
        };
        let network = Inception::seeded(seeded, InceptionOptions::default()).unwrap();
        let output = network.extract(&golden["images64_u8"]).unwrap();
        let want: Vec<f32> = golden["r64.2048"].flatten_all().unwrap().to_vec1().unwrap();
        let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
        for (got, want) in output.features.values().iter().zip(&want) {
            assert!((got - want).abs() <= 1e-5 * largest, "{got} {want}");
        }
        assert_eq!(output.features.values().len(), want.len());
        let floats = golden["images64_u8"].to_dtype(DType::F32).unwrap();
        assert!(network.extract(&floats).is_err());
    }
}
