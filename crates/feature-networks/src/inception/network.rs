//! The network, from images to pooled features.

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

/// Epsilon of the batch normalizations.
const BN_EPS: f64 = 1e-3;

/// Prefixes of the last three blocks. They are a sixth of the work, and in f16 they would add as much to the error of a
/// feature as all blocks before them.
const ALWAYS_F32: &str = "Mixed_7";

/// The layer of the features; each feature is a mean over the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tap {
    /// After the first max pooling: 64 features.
    F64,
    /// After the second max pooling: 192 features.
    F192,
    /// After `Mixed_6e`: 768 features.
    F768,
    /// At the end: the 2048 features of FID.
    #[default]
    F2048,
}

impl Tap {
    /// Number of features.
    pub fn dim(self) -> usize {
        match self {
            Self::F64 => 64,
            Self::F192 => 192,
            Self::F768 => 768,
            Self::F2048 => 2048,
        }
    }
}

/// Options of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InceptionOptions {
    /// The size that images are resized to. FID is defined at 299; 75 is the minimum.
    pub side: usize,
    /// The layer of the features.
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

/// Results for a batch.
#[derive(Clone, Debug)]
pub struct InceptionOutput {
    /// `[n, tap]`
    pub features: Features,
    /// `[n, 1008]`: logits of the classifier without its bias, for the inception score. Only with [`Tap::F2048`].
    pub logits_unbiased: Option<Features>,
}

/// A convolution with its batch normalization folded in.
#[derive(Clone)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
}

/// The Inception network with its weights.
#[derive(Clone)]
pub struct Inception {
    convs: HashMap<String, Conv>,
    /// `[2048, 1008]`
    classifier: Tensor,
    /// `[1008]`
    classifier_bias: Vec<f32>,
    /// The beginning of the checksum of weights from a file.
    checksum: Option<String>,
    options: InceptionOptions,
    placement: Placement,
}

impl Inception {
    /// Reads weights: the PyTorch state dict (zip or legacy), a TorchScript archive of it, or safetensors.
    ///
    /// # Errors
    /// `Weights` naming the tensor that is missing or of another shape.
    pub fn open(path: &Path, options: InceptionOptions) -> Result<Self> {
        let tensors = weights::read(path)?;
        let mut network = Self::new(&tensors, options)?;
        network.checksum = Some(weight_files::checksum(&tensors)?);
        Ok(network)
    }

    /// The beginning of the SHA-256 of the weights; `None` for random weights.
    pub fn checksum(&self) -> Option<&str> {
        self.checksum.as_deref()
    }

    /// A network with deterministic random weights, for tests and for features without a file of weights.
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

    /// Moves the network to a device and converts it to a number type; the last blocks, the means over the image and
    /// the classifier stay f32.
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

    /// Its device and number type.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Settings.
    pub fn options(&self) -> InceptionOptions {
        self.options
    }

    /// The bias of the classifier, which `logits_unbiased` does not include, `[1008]`.
    pub fn classifier_bias(&self) -> &[f32] {
        &self.classifier_bias
    }

    /// Features of a batch.
    ///
    /// # Shapes
    /// - `images`: `u8`, `[n, 1 or 3, height, width]`; a gray channel is repeated
    ///
    /// # Errors
    /// `Images` when they have another shape or type.
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

    /// Converts images to the network's input, `[n, 3, side, side]`.
    fn input(&self, images: &Tensor) -> Result<Tensor> {
        let x = network_input(images, self.options.side, &self.placement.device)?;
        let x = x.to_dtype(self.placement.dtype)?;
        Ok(if x.dim(1)? == 1 {
            x.repeat((1, 3, 1, 1))?
        } else {
            x
        })
    }

    /// Convolution, bias, relu.
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

    /// The branch of a block that pools its input.
    fn pool_branch(&self, x: &Tensor, block: &str, kind: Pool) -> Result<Tensor> {
        let name = format!("Mixed_{block}.branch_pool");
        if kind != Pool::Average {
            return self.conv(&pool(x, kind)?, &name, 1, [0, 0]);
        }
        // A mean and a 1 x 1 convolution commute, and there are fewer channels behind the convolution.
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

    /// One branch: convolutions in a row.
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

/// `[n, c, h, w]` to f32 `[n, c]`.
fn global_mean(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(DType::F32)?.flatten_from(2)?.mean(2)?)
}

fn rows(x: &Tensor) -> Result<Features> {
    let (_, dim) = x.dims2()?;
    Features::from_rows(dim, x.flatten_all()?.to_vec1()?)
}

/// Softmax of each row.
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

    /// Features of the reference with seeded weights, on two stored images of 64 px.
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
