//! Mapping network: latents and labels to `w`.

use architecture::{GeneratorConfig, MappingConfig};
use candle_core::{Module, Tensor, Var};
use candle_nn::VarBuilder;
use ops::Dual;

use crate::dense::{Dense, DenseOptions};
use crate::error::{Error, Result};

/// Truncation and tracking of a mapping call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MappingOptions {
    /// Pulls `w` towards `w_avg`: 1 leaves it, 0 gives `w_avg`.
    pub truncation_psi: f64,
    /// Number of first `ws` that are truncated; `None` for all.
    pub truncation_cutoff: Option<usize>,
    /// Moves `w_avg` towards the mean of this batch. For every call in training except the second one of style mixing.
    pub update_w_avg: bool,
}

impl Default for MappingOptions {
    fn default() -> Self {
        Self {
            truncation_psi: 1.0,
            truncation_cutoff: None,
            update_w_avg: false,
        }
    }
}

/// Widths of the inputs and outputs of a mapping network.
pub(crate) struct MappingDims {
    pub z_dim: usize,
    pub c_dim: usize,
    pub w_dim: usize,
    pub num_ws: Option<usize>,
}

/// The mapping network of a generator or, on labels only, of a discriminator.
pub struct MappingNetwork {
    dims: MappingDims,
    embed: Option<Dense>,
    layers: Vec<Dense>,
    w_avg: Option<Var>,
    w_avg_beta: f64,
}

impl MappingNetwork {
    /// The mapping network of a generator, over the tensors of `vb` under the reference's names without `mapping.`.
    /// When they are variables (those of a `VarMap`), tracking of `w_avg` moves the one of `vb`.
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or of another shape.
    pub fn load(vb: &VarBuilder<'_>, config: &GeneratorConfig) -> Result<Self> {
        let dims = MappingDims {
            z_dim: config.z_dim,
            c_dim: config.c_dim,
            w_dim: config.w_dim,
            num_ws: Some(config.num_ws()),
        };
        Self::new(vb, dims, &config.mapping)
    }

    pub(crate) fn new(
        vb: &VarBuilder<'_>,
        dims: MappingDims,
        config: &MappingConfig,
    ) -> Result<Self> {
        // Broadcasting to `num_ws` and tracking go together: a discriminator does neither.
        let w_avg_beta = config.w_avg_beta.filter(|_| dims.num_ws.is_some());
        let w_avg = w_avg_beta
            .map(|_| Var::from_tensor(&vb.get(dims.w_dim, "w_avg")?))
            .transpose()?;
        let embed = (dims.c_dim > 0)
            .then(|| {
                Dense::new(
                    &vb.pp("embed"),
                    dims.c_dim,
                    config.embed_features,
                    &DenseOptions::default(),
                )
            })
            .transpose()?;
        let mut in_features = dims.z_dim + embed.as_ref().map_or(0, |_| config.embed_features);
        let mut layers = Vec::with_capacity(config.num_layers);
        for i in 0..config.num_layers {
            let out_features = if i + 1 == config.num_layers {
                dims.w_dim
            } else {
                config.layer_features
            };
            let options = DenseOptions {
                activation: config.activation,
                lr_multiplier: config.lr_multiplier,
            };
            let vb = vb.pp(format!("fc{i}"));
            layers.push(Dense::new(&vb, in_features, out_features, &options)?);
            in_features = out_features;
        }
        Ok(Self {
            dims,
            embed,
            layers,
            w_avg,
            w_avg_beta: w_avg_beta.unwrap_or(1.0),
        })
    }

    /// Maps `z` and `c` to one `w` for each sample, without tracking or truncation.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`, where `z_dim` is not 0
    /// - `c`: `[batch, c_dim]`, where `c_dim` is not 0
    /// - result: `[batch, w_dim]`
    ///
    /// # Errors
    /// `Config` when a needed input is not given.
    pub fn w(&self, z: Option<&Dual>, c: Option<&Tensor>) -> Result<Dual> {
        let mut inputs = Vec::new();
        if self.dims.z_dim > 0 {
            let z = z.ok_or_else(|| Error::config("the mapping network needs z"))?;
            inputs.push(normalize_2nd_moment(z)?);
        }
        if let Some(embed) = &self.embed {
            let c = c.ok_or_else(|| {
                Error::config(format!(
                    "the network is conditional: it needs labels of width {}",
                    self.dims.c_dim
                ))
            })?;
            inputs.push(normalize_2nd_moment(&embed.forward(&c.into())?)?);
        }
        let mut x = match inputs.as_slice() {
            [one] => one.clone(),
            more => Dual::cat(&more.iter().collect::<Vec<_>>(), 1)?,
        };
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }

    /// Maps `z` and `c` to the `ws` of all layers.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`, `c`: `[batch, c_dim]` or `None` without labels
    /// - result: `[batch, num_ws, w_dim]`
    ///
    /// # Errors
    /// `Config` when labels are needed and not given, or truncation is asked of a network without `w_avg`.
    pub fn forward_dual(
        &self,
        z: &Dual,
        c: Option<&Tensor>,
        options: &MappingOptions,
    ) -> Result<Dual> {
        let w = self.w(Some(z), c)?;
        if options.update_w_avg
            && let Some(w_avg) = &self.w_avg
        {
            let batch_mean = w.primal.tensor().mean(0)?;
            let kept = (w_avg.as_detached_tensor() * self.w_avg_beta)?;
            w_avg.set(&(kept + (batch_mean * (1.0 - self.w_avg_beta))?)?)?;
        }
        let num_ws = self.dims.num_ws.unwrap_or(1);
        let w = w.reshape((w.primal.dim(0)?, 1, self.dims.w_dim))?;
        let truncated = match options.truncation_psi {
            1.0 => return Ok(Dual::cat(&vec![&w; num_ws], 1)?),
            psi => self.truncate(&w, psi)?,
        };
        let cutoff = options.truncation_cutoff.unwrap_or(num_ws).min(num_ws);
        let mut ws = vec![&truncated; cutoff];
        ws.resize(num_ws, &w);
        Ok(Dual::cat(&ws, 1)?)
    }

    /// As [`MappingNetwork::forward_dual`], on plain tensors, without gradients.
    ///
    /// # Errors
    /// The same.
    pub fn forward(
        &self,
        z: &Tensor,
        c: Option<&Tensor>,
        options: &MappingOptions,
    ) -> Result<Tensor> {
        let ws = self.forward_dual(&z.into(), c, options)?;
        Ok(ws.primal.into_tensor())
    }

    /// The mean `w`, where it is tracked: `[w_dim]`.
    pub fn w_avg(&self) -> Option<Tensor> {
        self.w_avg.as_ref().map(Var::as_detached_tensor)
    }

    /// `w_avg + psi * (w - w_avg)`.
    fn truncate(&self, w: &Dual, psi: f64) -> Result<Dual> {
        let w_avg = self.w_avg().ok_or_else(|| {
            Error::config("truncation needs w_avg, which this network does not track")
        })?;
        // A copy: storage that moves on must not change what a graph holds.
        let offset = (w_avg * (1.0 - psi))?.reshape((1, 1, self.dims.w_dim))?;
        Ok(w.scale(psi)?.broadcast_add(&offset.into())?)
    }
}

/// `z` to `ws` without labels, truncation or tracking of `w_avg`, without gradients.
impl Module for MappingNetwork {
    fn forward(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let options = MappingOptions::default();
        Ok(MappingNetwork::forward(self, z, None, &options)?)
    }
}

/// Style mixing: the first `cutoff` layers of `ws`, then those of `other`.
///
/// # Shapes
/// - `ws`, `other`, result: `[batch, num_ws, w_dim]`
///
/// # Errors
/// When shapes differ, or `cutoff` exceeds `num_ws`.
pub fn mix_styles(ws: &Dual, other: &Dual, cutoff: usize) -> Result<Dual> {
    let num_ws = ws.primal.dim(1)?;
    Ok(match cutoff {
        0 => other.clone(),
        _ if cutoff == num_ws => ws.clone(),
        _ => {
            let first = ws.narrow(1, 0, cutoff)?;
            let rest = other.narrow(1, cutoff, num_ws.saturating_sub(cutoff))?;
            Dual::cat(&[&first, &rest], 1)?
        }
    })
}

/// Scales each row to a mean square of 1.
fn normalize_2nd_moment(x: &Dual) -> Result<Dual> {
    let mean_square = x.sqr()?.mean_keepdim(&[1])?;
    Ok(x.broadcast_mul(&mean_square.shift(1e-8)?.sqrt()?.recip()?)?)
}
