//! The generator, which maps latents to images.

use architecture::{GeneratorConfig, NetworkDefinition, TensorSpec};
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;

use crate::error::Result;
use crate::mapping::{MappingNetwork, MappingOptions};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::random::NormalSource;
use crate::stylegan2::{SynthesisNetwork, SynthesisOptions};

/// The generator of StyleGAN2 (arXiv:1912.04958): a mapping network followed by a synthesis network.
pub struct Generator {
    config: GeneratorConfig,
    parameters: Parameters,
    /// Maps `z` and labels to `ws`, one `w` for each layer.
    pub mapping: MappingNetwork,
    /// Maps `ws` to images.
    pub synthesis: SynthesisNetwork,
}

impl Generator {
    /// Creates a generator to be trained, in f32 with initial weights drawn from `random`.
    ///
    /// # Errors
    /// `Config` when the settings are impossible, `Tensor` when the device is out of memory.
    pub fn new(
        config: &GeneratorConfig,
        random: &mut dyn NormalSource,
        device: &Device,
    ) -> Result<Self> {
        let slots = Self::layout(config)?;
        let parameters = Parameters::initialize(&slots, random, DType::F32, device)?;
        Self::over(config, parameters, true)
    }

    /// Builds a generator from the tensors of `vb`, which must have the names of NVIDIA's PyTorch code. Resampling
    /// filters follow from the configuration and are not read.
    ///
    /// If the tensors of `vb` are variables (those of a `VarMap`), the generator shares them, and the `forward_dual`
    /// methods of its networks give gradients to them. Other tensors are copied and get no gradients.
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or of another shape; `Config` when the settings are impossible.
    pub fn load(vb: VarBuilder<'_>, config: &GeneratorConfig) -> Result<Self> {
        let (parameters, are_variables) = Parameters::load_from(&Self::layout(config)?, &vb)?;
        Self::over(config, parameters, are_variables)
    }

    /// Builds a generator from copies of given tensors, converted to `dtype`. Their names are those of NVIDIA's PyTorch
    /// code without a prefix, for example `synthesis.b4.const`. The weights get no gradients; see
    /// [`Generator::tracked`].
    ///
    /// # Errors
    /// `Weights`, listing all tensors that are missing, unexpected or of the wrong shape; `Config` when the settings
    /// are impossible.
    pub fn from_tensors(
        config: &GeneratorConfig,
        tensors: impl IntoIterator<Item = (String, Tensor)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let slots = Self::layout(config)?;
        let parameters = Parameters::from_tensors(&slots, tensors, dtype, device)?;
        Self::over(config, parameters, false)
    }

    /// Builds a generator that shares existing parameters. Its trainable parameters get gradients if `track`. Its
    /// precision is the default of the device ([`Precision::of`]).
    ///
    /// # Errors
    /// `Tensor` when a parameter is missing or has the wrong shape; `Config` when the settings are impossible.
    pub fn over(config: &GeneratorConfig, parameters: Parameters, track: bool) -> Result<Self> {
        config.validate()?;
        let vb = parameters.var_builder(track);
        Ok(Self {
            config: config.clone(),
            synthesis: SynthesisNetwork::load(&vb.pp("synthesis"), config)?,
            mapping: MappingNetwork::load(&vb.pp("mapping"), config)?,
            parameters,
        })
    }

    /// Names, shapes and roles of the tensors of a generator with this configuration, in the order of NVIDIA's
    /// `state_dict()`.
    ///
    /// # Errors
    /// `Config` when the settings are impossible.
    pub fn layout(config: &GeneratorConfig) -> Result<Vec<TensorSpec>> {
        config.validate()?;
        Ok(config.modules().state_dict())
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        self.parameters.device()
    }

    /// Returns this generator with another element type for the blocks that may use half precision.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.synthesis.precision = precision;
        self
    }

    /// The element type of the blocks that may use half precision.
    pub fn precision(&self) -> Precision {
        self.synthesis.precision
    }

    /// Builds a generator with the same configuration and precision over other parameters.
    fn like(&self, parameters: Parameters, track: bool) -> Result<Self> {
        Ok(Self::over(&self.config, parameters, track)?.with_precision(self.precision()))
    }

    /// Builds a generator that shares the weights of this one and whose `forward_dual` calls give gradients to them.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tracked(&self) -> Result<Self> {
        self.like(self.parameters.clone(), true)
    }

    /// Builds a generator that shares the weights of this one and gives no gradients to them.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn detached(&self) -> Result<Self> {
        self.like(self.parameters.clone(), false)
    }

    /// Copies the generator with its weights. The copy gives no gradients to its weights. A moving average of the
    /// generator's weights starts from such a copy.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn deep_copy(&self) -> Result<Self> {
        self.like(self.parameters.deep_copy()?, false)
    }

    /// Copies the generator with its weights converted to `dtype`. The copy gives no gradients to its weights.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        self.like(self.parameters.to_dtype(dtype)?, false)
    }

    /// The configuration.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }

    /// The weights and buffers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Generates images from latents `z` and labels `c`, without gradients.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`
    /// - `c`: `[batch, c_dim]`, or `None` for a network without labels
    /// - result: `[batch, img_channels, img_resolution, img_resolution]`, values about -1 to 1
    ///
    /// # Errors
    /// The errors of [`MappingNetwork::forward`] and [`SynthesisNetwork::forward`].
    pub fn forward(
        &self,
        z: &Tensor,
        c: Option<&Tensor>,
        mapping: &MappingOptions,
        synthesis: SynthesisOptions,
    ) -> Result<Tensor> {
        let ws = self.mapping.forward(z, c, mapping)?;
        self.synthesis.forward(&ws, synthesis)
    }
}

/// Maps `z` to images without labels, truncation or gradients, with the stored noise
/// ([`NoiseMode::Const`](crate::NoiseMode::Const)).
impl Module for Generator {
    fn forward(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let ws = Module::forward(&self.mapping, z)?;
        Module::forward(&self.synthesis, &ws)
    }
}
