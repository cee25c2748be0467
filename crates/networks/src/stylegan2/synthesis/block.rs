//! The layers of one resolution of the synthesis network.

use architecture::{Architecture, GeneratorConfig};
use candle_core::DType;
use candle_nn::VarBuilder;
use ops::{Activation, Dual, Filter, UpFirDn2dOptions};

use super::layer::{LayerDims, SynthesisLayer, ToRgb};
use super::noise::NoiseSampler;
use crate::conv::{Conv, ConvOptions, resample_filter};
use crate::error::Result;

/// The layers of the synthesis network for one resolution.
pub(crate) struct SynthesisBlock {
    pub resolution: usize,
    /// The learned input of the first block, `[channels, 4, 4]`.
    constant: Option<Dual>,
    conv0: Option<SynthesisLayer>,
    conv1: SynthesisLayer,
    to_rgb: Option<ToRgb>,
    skip: Option<Conv>,
    filter: Filter,
}

/// Features and image that one block passes to the next.
pub(crate) type State = (Option<Dual>, Option<Dual>);

impl SynthesisBlock {
    pub fn new(vb: &VarBuilder<'_>, resolution: usize, config: &GeneratorConfig) -> Result<Self> {
        let out_channels = config.channels(resolution);
        let is_first = resolution == 4;
        let is_last = resolution == config.img_resolution;
        let constant = is_first
            .then(|| vb.get((out_channels, 4, 4), "const"))
            .transpose()?
            .map(Dual::from);
        let filter = resample_filter(&config.resample_filter);
        let layer = |name: &str, in_channels: usize, up: usize| {
            let dims = LayerDims {
                in_channels,
                out_channels,
                resolution,
                up,
            };
            SynthesisLayer::new(&vb.pp(name), &dims, config)
        };
        let conv0 = (!is_first)
            .then(|| layer("conv0", config.channels(resolution / 2), 2))
            .transpose()?;
        let conv1 = layer("conv1", out_channels, 1)?;
        let to_rgb = (is_last || config.architecture == Architecture::Skip)
            .then(|| ToRgb::new(&vb.pp("torgb"), out_channels, config))
            .transpose()?;
        let skip = (!is_first && config.architecture == Architecture::Resnet)
            .then(|| {
                let options = ConvOptions {
                    kernel_size: 1,
                    bias: false,
                    activation: Activation::Linear,
                    up: 2,
                    resample_filter: &config.resample_filter,
                    ..Default::default()
                };
                let in_channels = config.channels(resolution / 2);
                Conv::new(&vb.pp("skip"), in_channels, out_channels, &options)
            })
            .transpose()?;
        Ok(Self {
            resolution,
            constant,
            conv0,
            conv1,
            to_rgb,
            skip,
            filter,
        })
    }

    /// Returns the number of convolution layers, each of which uses its own `w`. The ToRGB layer of the block uses the
    /// `w` after these, which the first convolution layer of the next block uses, too.
    pub fn num_conv(&self) -> usize {
        1 + usize::from(self.conv0.is_some())
    }

    /// Returns features and image for the next block. `w(i)` is the `i`-th `w` of this block, `[batch, w_dim]`.
    /// Features are computed in `dtype`, the image in the element type of `w`.
    pub fn forward(
        &self,
        (x, img): State,
        dtype: DType,
        w: impl Fn(usize) -> Result<Dual>,
        noise: &mut NoiseSampler,
    ) -> Result<State> {
        let w0 = w(0)?;
        let x = x.map(|x| x.to_dtype(dtype)).transpose()?;
        let x = match (&self.constant, &self.conv0, x) {
            (None, Some(conv0), Some(x)) => {
                let w1 = w(1)?;
                if let Some(skip) = &self.skip {
                    let gain = 0.5f64.sqrt();
                    let y = skip.forward(&x, gain)?;
                    let x = conv0.forward(&x, &w0, noise, 1.0)?;
                    let x = self.conv1.forward(&x, &w1, noise, gain)?;
                    y.add(&x)?
                } else {
                    let x = conv0.forward(&x, &w0, noise, 1.0)?;
                    self.conv1.forward(&x, &w1, noise, 1.0)?
                }
            }
            (Some(constant), ..) => {
                let batch = w0.primal.dim(0)?;
                let shape = [&[batch], constant.primal.dims()].concat();
                let one = constant.reshape([&[1], &shape[1..]].concat())?;
                let x = one.linear(|one| one.broadcast_to(&shape[..])?.to_dtype(dtype))?;
                self.conv1.forward(&x, &w0, noise, 1.0)?
            }
            _ => unreachable!("the first block has a constant, the others a conv0 and an input"),
        };
        let img = img
            .map(|img| {
                let upsampling = UpFirDn2dOptions::upsampling(&self.filter, [2; 2], [0; 4]);
                img.upfirdn2d(&self.filter, &upsampling)
            })
            .transpose()?;
        let img = match &self.to_rgb {
            Some(to_rgb) => {
                let y = to_rgb.forward(&x, &w(self.num_conv())?)?;
                let y = y.to_dtype(w0.primal.dtype())?;
                Some(match img {
                    Some(img) => img.add(&y)?,
                    None => y,
                })
            }
            None => img,
        };
        Ok((Some(x), img))
    }
}
