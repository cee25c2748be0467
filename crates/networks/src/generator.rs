//! Generator: latents to images.

use architecture::{GeneratorConfig, NetworkDefinition, TensorSpec};
use candle_core::{DType, Device, Tensor};

use crate::builder::{Builder, build, layout};
use crate::error::Result;
use crate::mapping::{MappingDims, MappingNetwork, MappingOptions};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::random::NormalSource;
use crate::synthesis::{SynthesisNetwork, SynthesisOptions};

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
        let parameters = Parameters::initialise(&slots, random, DType::F32, device)?;
        Self::over(config, parameters, true)
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

    /// A generator over parameters that exist; they are shared. Gradients reach them if `track`. It computes as its
    /// device does by default ([`Precision::of`]).
    ///
    /// # Errors
    /// `Config` when the parameters are not those of such a generator.
    pub fn over(config: &GeneratorConfig, parameters: Parameters, track: bool) -> Result<Self> {
        config.validate()?;
        let (mut synthesis, mapping) = build(&parameters, track, |b| Self::parts(b, config))?;
        synthesis.precision = Precision::of(parameters.device());
        Ok(Self {
            config: config.clone(),
            parameters,
            mapping,
            synthesis,
        })
    }

    /// The tensors of such a generator, in official order, without making them.
    ///
    /// # Errors
    /// `Config` when the settings are impossible.
    pub fn layout(config: &GeneratorConfig) -> Result<Vec<TensorSpec>> {
        config.validate()?;
        layout(|b| Self::parts(b, config))
    }

    fn parts(
        b: &Builder<'_, '_>,
        config: &GeneratorConfig,
    ) -> Result<(SynthesisNetwork, MappingNetwork)> {
        let dims = MappingDims {
            z_dim: config.z_dim,
            c_dim: config.c_dim,
            w_dim: config.w_dim,
            num_ws: Some(config.num_ws()),
        };
        Ok((
            SynthesisNetwork::new(&b.child("synthesis"), config)?,
            MappingNetwork::new(&b.child("mapping"), dims, &config.mapping)?,
        ))
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.parameters.device()
    }

    /// The same generator, its largest resolutions computed in another type.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.synthesis.precision = precision;
        self
    }

    /// What its largest resolutions compute in.
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

    /// A copy with weights of its own and no gradients: what a moving average starts from.
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

    /// Settings.
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
