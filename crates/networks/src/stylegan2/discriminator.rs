//! The discriminator, which maps images to logits.

use architecture::{Architecture, DiscriminatorConfig, NetworkDefinition, TensorSpec};
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;
use ops::{Activation, Dual, Filter, UpFirDn2dOptions};

use super::epilogue::DiscriminatorEpilogue;
use crate::conv::{Conv, ConvOptions, resample_filter};
use crate::error::{Error, Result};
use crate::mapping::{MappingDims, MappingNetwork};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::random::NormalSource;

/// The discriminator of StyleGAN2 (arXiv:1912.04958).
pub struct Discriminator {
    config: DiscriminatorConfig,
    parameters: Parameters,
    parts: Parts,
    precision: Precision,
}

struct Parts {
    blocks: Vec<DiscriminatorBlock>,
    mapping: Option<MappingNetwork>,
    epilogue: DiscriminatorEpilogue,
}

impl Discriminator {
    /// Creates a discriminator to be trained, in f32 with initial weights drawn from `random`.
    ///
    /// # Errors
    /// `Config` when the settings are impossible, `Tensor` when the device is out of memory.
    pub fn new(
        config: &DiscriminatorConfig,
        random: &mut dyn NormalSource,
        device: &Device,
    ) -> Result<Self> {
        let slots = Self::layout(config)?;
        let parameters = Parameters::initialize(&slots, random, DType::F32, device)?;
        Self::over(config, parameters, true)
    }

    /// Builds a discriminator from the tensors of `vb`, which must have the names of NVIDIA's PyTorch code. Resampling
    /// filters follow from the configuration and are not read.
    ///
    /// If the tensors of `vb` are variables (those of a `VarMap`), the discriminator shares them, and
    /// [`Discriminator::forward_dual`] gives gradients to them. Other tensors are copied and get no gradients.
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or of another shape; `Config` when the settings are impossible.
    pub fn load(vb: VarBuilder<'_>, config: &DiscriminatorConfig) -> Result<Self> {
        let (parameters, are_variables) = Parameters::load_from(&Self::layout(config)?, &vb)?;
        Self::over(config, parameters, are_variables)
    }

    /// Builds a discriminator from copies of given tensors, converted to `dtype`. Their names are those of NVIDIA's
    /// PyTorch code without a prefix, for example `b4.fc.weight`. The weights get no gradients; see
    /// [`Discriminator::tracked`].
    ///
    /// # Errors
    /// `Weights`, listing all tensors that are missing, unexpected or of the wrong shape; `Config` when the settings
    /// are impossible.
    pub fn from_tensors(
        config: &DiscriminatorConfig,
        tensors: impl IntoIterator<Item = (String, Tensor)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let slots = Self::layout(config)?;
        let parameters = Parameters::from_tensors(&slots, tensors, dtype, device)?;
        Self::over(config, parameters, false)
    }

    /// Builds a discriminator that shares existing parameters. Its trainable parameters get gradients if `track`. Its
    /// precision is the default of the device ([`Precision::of`]).
    ///
    /// # Errors
    /// `Tensor` when a parameter is missing or has the wrong shape; `Config` when the settings are impossible.
    pub fn over(config: &DiscriminatorConfig, parameters: Parameters, track: bool) -> Result<Self> {
        config.validate()?;
        let parts = Parts::new(&parameters.var_builder(track), config)?;
        Ok(Self {
            config: config.clone(),
            precision: Precision::of(parameters.device()),
            parameters,
            parts,
        })
    }

    /// Names, shapes and roles of the tensors of a discriminator with this configuration, in the order of NVIDIA's
    /// `state_dict()`.
    ///
    /// # Errors
    /// `Config` when the settings are impossible.
    pub fn layout(config: &DiscriminatorConfig) -> Result<Vec<TensorSpec>> {
        config.validate()?;
        Ok(config.modules().state_dict())
    }

    /// Returns this discriminator with another element type for the blocks that may use half precision.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Builds a discriminator with the same configuration and precision over other parameters.
    fn like(&self, parameters: Parameters, track: bool) -> Result<Self> {
        Ok(Self::over(&self.config, parameters, track)?.with_precision(self.precision))
    }

    /// Builds a discriminator that shares the weights of this one and whose calls give gradients to the trainable ones.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tracked(&self) -> Result<Self> {
        self.like(self.parameters.clone(), true)
    }

    /// Builds a discriminator that shares the weights of this one and gives no gradients to them. Gradients with
    /// respect to the images are still computed.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn detached(&self) -> Result<Self> {
        self.like(self.parameters.clone(), false)
    }

    /// Copies the discriminator with its weights converted to `dtype`. The copy gives no gradients to its weights.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        self.like(self.parameters.to_dtype(dtype)?, false)
    }

    /// The configuration.
    pub fn config(&self) -> &DiscriminatorConfig {
        &self.config
    }

    /// The weights and buffers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Computes one logit per image. A backward pass from the result reaches the trainable weights of a tracked
    /// discriminator ([`Discriminator::tracked`]) and variables in `img`. The result has a tangent if `img` has one.
    ///
    /// # Shapes
    /// - `img`: `[batch, img_channels, img_resolution, img_resolution]`
    /// - `c`: `[batch, c_dim]`, or `None` without labels
    /// - result: `[batch, 1]`, trained to be above 0 for real images and below 0 for generated ones
    ///
    /// # Errors
    /// `Config` when the images have the wrong shape, when labels are needed and not given, or when the batch size is
    /// no multiple of the group size of the minibatch standard deviation layer.
    pub fn forward_dual(&self, img: &Dual, c: Option<&Tensor>) -> Result<Dual> {
        self.forward_observed(img, c, &mut |_, _| {})
    }

    /// As [`Discriminator::forward_dual`], for plain tensors and without gradients.
    ///
    /// # Errors
    /// As [`Discriminator::forward_dual`].
    pub fn forward(&self, img: &Tensor, c: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.forward_dual(&img.into(), c)?.primal.into_tensor())
    }

    /// As [`Discriminator::forward_dual`], and calls `observe` with the name and value of intermediate results: the
    /// features `b<side>.x` and image `b<side>.img` after each block, the mapped label `cmap`, and `b4.mbstd_out`, the
    /// output of the minibatch standard deviation layer.
    ///
    /// # Errors
    /// As [`Discriminator::forward_dual`].
    pub fn forward_observed(
        &self,
        img: &Dual,
        c: Option<&Tensor>,
        observe: &mut dyn FnMut(&str, &Dual),
    ) -> Result<Dual> {
        let (side, channels) = (self.config.img_resolution, self.config.img_channels);
        let dims = img.primal.dims();
        if dims.len() != 4 || dims[1..] != [channels, side, side] {
            return Err(Error::config(format!(
                "images are {dims:?} instead of [batch, {channels}, {side}, {side}]"
            )));
        }
        let full = img.primal.dtype();
        let mut x = None;
        let mut img = Some(img.clone());
        for block in &self.parts.blocks {
            let fp16_from = self.config.fp16_from();
            let dtype = self.precision.dtype_at(block.resolution, fp16_from, full);
            (x, img) = block.forward(x, img, dtype)?;
            for (name, value) in [("x", &x), ("img", &img)] {
                if let Some(value) = value {
                    observe(&format!("b{}.{name}", block.resolution), value);
                }
            }
        }
        let cmap = match &self.parts.mapping {
            Some(mapping) => {
                let cmap = mapping.w(None, c)?;
                observe("cmap", &cmap);
                Some(cmap)
            }
            None => None,
        };
        let x = x.map(|x: Dual| x.to_dtype(full)).transpose()?;
        self.parts.epilogue.forward(x, img, cmap.as_ref(), observe)
    }
}

/// Maps images to logits without labels and without gradients.
impl Module for Discriminator {
    fn forward(&self, img: &Tensor) -> candle_core::Result<Tensor> {
        Ok(Discriminator::forward(self, img, None)?)
    }
}

impl Parts {
    fn new(vb: &VarBuilder<'_>, config: &DiscriminatorConfig) -> Result<Self> {
        let blocks = config
            .block_resolutions()
            .map(|r| DiscriminatorBlock::new(&vb.pp(format!("b{r}")), r, config))
            .collect::<Result<_>>()?;
        let mapping = (config.c_dim > 0)
            .then(|| {
                let dims = MappingDims {
                    z_dim: 0,
                    c_dim: config.c_dim,
                    w_dim: config.cmap_dim,
                    num_ws: None,
                };
                MappingNetwork::new(&vb.pp("mapping"), dims, &config.mapping)
            })
            .transpose()?;
        let epilogue = DiscriminatorEpilogue::new(&vb.pp("b4"), config)?;
        Ok(Self {
            blocks,
            mapping,
            epilogue,
        })
    }
}

/// The layers of the discriminator for one resolution.
struct DiscriminatorBlock {
    resolution: usize,
    from_rgb: Option<Conv>,
    conv0: Conv,
    conv1: Conv,
    skip: Option<Conv>,
    /// In the `skip` architecture, the filter that downsamples the image for the next block.
    image_filter: Option<Filter>,
}

impl DiscriminatorBlock {
    fn new(vb: &VarBuilder<'_>, resolution: usize, config: &DiscriminatorConfig) -> Result<Self> {
        let channels = config.channels(resolution);
        let out_channels = config.channels(resolution / 2);
        let filter = resample_filter(&config.resample_filter);
        let conv = |name: &str, in_channels, out_channels, options: ConvOptions<'_>| {
            Conv::new(&vb.pp(name), in_channels, out_channels, &options)
        };
        let activated = || ConvOptions {
            activation: config.activation,
            conv_clamp: config.conv_clamp,
            ..Default::default()
        };
        let is_first = resolution == config.img_resolution;
        let from_rgb = (is_first || config.architecture == Architecture::Skip)
            .then(|| {
                let options = ConvOptions {
                    kernel_size: 1,
                    ..activated()
                };
                conv("fromrgb", config.img_channels, channels, options)
            })
            .transpose()?;
        let conv0 = conv("conv0", channels, channels, activated())?;
        let options = ConvOptions {
            down: 2,
            resample_filter: &config.resample_filter,
            ..activated()
        };
        let conv1 = conv("conv1", channels, out_channels, options)?;
        let skip = (config.architecture == Architecture::Resnet)
            .then(|| {
                let options = ConvOptions {
                    kernel_size: 1,
                    bias: false,
                    activation: Activation::Linear,
                    down: 2,
                    resample_filter: &config.resample_filter,
                    ..Default::default()
                };
                conv("skip", channels, out_channels, options)
            })
            .transpose()?;
        Ok(Self {
            resolution,
            from_rgb,
            conv0,
            conv1,
            skip,
            image_filter: (config.architecture == Architecture::Skip).then_some(filter),
        })
    }

    /// Returns features and image for the next block. Features are computed in `dtype`; the image keeps its element
    /// type.
    fn forward(
        &self,
        x: Option<Dual>,
        img: Option<Dual>,
        dtype: DType,
    ) -> Result<(Option<Dual>, Option<Dual>)> {
        let x = x.map(|x| x.to_dtype(dtype)).transpose()?;
        let (x, img) = match (&self.from_rgb, img) {
            (Some(from_rgb), Some(img)) => {
                let y = from_rgb.forward(&img.to_dtype(dtype)?, 1.0)?;
                let x = match x {
                    Some(x) => x.add(&y)?,
                    None => y,
                };
                let next = self.image_filter.as_ref();
                let next = next.map(|filter| {
                    let downsampling = UpFirDn2dOptions::downsampling(filter, [2; 2], [0; 4]);
                    img.upfirdn2d(filter, &downsampling)
                });
                (x, next.transpose()?)
            }
            (None, img) => (x.expect("blocks after the first get features"), img),
            (Some(_), None) => unreachable!("a block with fromrgb gets an image"),
        };
        let x = match &self.skip {
            Some(skip) => {
                let gain = 0.5f64.sqrt();
                let y = skip.forward(&x, gain)?;
                let x = self.conv0.forward(&x, 1.0)?;
                y.add(&self.conv1.forward(&x, gain)?)?
            }
            None => self.conv1.forward(&self.conv0.forward(&x, 1.0)?, 1.0)?,
        };
        Ok((Some(x), img))
    }
}
