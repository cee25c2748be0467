//! Generator: latents to images.

use architecture::{GeneratorConfig, NetworkDefinition, TensorSpec};
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;

use crate::error::Result;
use crate::mapping::{MappingNetwork, MappingOptions};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::random::NormalSource;
use crate::stylegan2::{SynthesisNetwork, SynthesisOptions};

/// The generator of StyleGAN2 (arXiv:1912.04958): mapping and synthesis.
pub struct Generator {
    config: GeneratorConfig,
    parameters: Parameters,
    /// `z` and labels to `ws`.
    pub mapping: MappingNetwork,
    /// `ws` to images.
    pub synthesis: SynthesisNetwork,
}

impl Generator {
    /// A generator to be trained, with new weights.
    ///
    /// # Errors
    /// `Config` when the settings are impossible.
    pub fn new(
        config: &GeneratorConfig,
        random: &mut dyn NormalSource,
        device: &Device,
    ) -> Result<Self> {
        let slots = Self::layout(config)?;
        let parameters = Parameters::initialize(&slots, random, DType::F32, device)?;
        Self::over(config, parameters, true)
    }

    /// A generator over the tensors of `vb`, under the reference's names. Resampling filters follow from the
    /// configuration and are not read.
    ///
    /// Variables (those of a `VarMap`) are shared with the generator and tracked by `forward_dual` of its networks;
    /// other tensors are copied, without gradients.
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or of another shape; `Config` when the settings are impossible.
    pub fn load(vb: VarBuilder<'_>, config: &GeneratorConfig) -> Result<Self> {
        let (parameters, are_variables) = Parameters::load_from(&Self::layout(config)?, &vb)?;
        Self::over(config, parameters, are_variables)
    }

    /// A generator with given weights, under official names without a prefix. Its calls build no graph unless
    /// [`Generator::tracked`] is asked for.
    ///
    /// # Errors
    /// `Weights`, listing all names that are missing, unexpected or of another shape; `Config`.
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

    /// A generator over existing parameters, which are shared. They receive gradients if `track`. It computes as its
    /// device does by default ([`Precision::of`]).
    ///
    /// # Errors
    /// `Config` when the parameters are not those of such a generator.
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

    /// The tensors of a generator of this configuration, in official order, without creating them.
    ///
    /// # Errors
    /// `Config` when the settings are impossible.
    pub fn layout(config: &GeneratorConfig) -> Result<Vec<TensorSpec>> {
        config.validate()?;
        Ok(config.modules().state_dict())
    }

    /// Device of the weights.
    pub fn device(&self) -> &Device {
        self.parameters.device()
    }

    /// The same generator, its largest resolutions computed in another type.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.synthesis.precision = precision;
        self
    }

    /// Number type of its largest resolutions.
    pub fn precision(&self) -> Precision {
        self.synthesis.precision
    }

    /// The same settings and precision over other parameters.
    fn like(&self, parameters: Parameters, track: bool) -> Result<Self> {
        Ok(Self::over(&self.config, parameters, track)?.with_precision(self.precision()))
    }

    /// The same generator over the same weights, with gradients to the weights.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tracked(&self) -> Result<Self> {
        self.like(self.parameters.clone(), true)
    }

    /// The same generator over the same weights, without gradients to the weights.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn detached(&self) -> Result<Self> {
        self.like(self.parameters.clone(), false)
    }

    /// A deep copy without gradients: the start of a moving average.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn deep_copy(&self) -> Result<Self> {
        self.like(self.parameters.deep_copy()?, false)
    }

    /// A copy in another type, without gradients.
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

    /// Weights and buffers.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Latents to images: mapping and synthesis with these options.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`, `c`: `[batch, c_dim]` or `None` without labels
    /// - result: `[batch, img_channels, img_resolution, img_resolution]`, about -1 to 1
    ///
    /// # Errors
    /// As the two networks.
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

/// `z` to images without labels or truncation, with the stored noise, without gradients.
impl Module for Generator {
    fn forward(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let ws = Module::forward(&self.mapping, z)?;
        Module::forward(&self.synthesis, &ws)
    }
}
