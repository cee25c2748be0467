//! The mapping network, which maps latents and labels to `w`.

use architecture::{GeneratorConfig, MappingConfig};
use candle_core::{Module, Tensor, Var};
use candle_nn::VarBuilder;
use ops::Dual;

use crate::dense::{Dense, DenseOptions};
use crate::error::{Error, Result};

/// Options of a call of [`MappingNetwork`]: truncation, and the update of `w_avg`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MappingOptions {
    /// Truncation: each `w` becomes `w_avg + truncation_psi * (w - w_avg)`. 1 is no truncation; 0 gives `w_avg`.
    pub truncation_psi: f64,
    /// Number of `ws` per image that are truncated, counted from the first layer; `None` truncates all.
    pub truncation_cutoff: Option<usize>,
    /// Whether `w_avg` is moved towards the mean `w` of this batch. True for every call in training, except those that
    /// map the second latents of style mixing.
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

/// Sizes of the inputs and outputs of a mapping network. `num_ws` is `None` in a discriminator.
pub(crate) struct MappingDims {
    pub z_dim: usize,
    pub c_dim: usize,
    pub w_dim: usize,
    pub num_ws: Option<usize>,
}

/// The mapping network of a generator, or of a discriminator, where it maps only labels.
pub struct MappingNetwork {
    dims: MappingDims,
    embed: Option<Dense>,
    layers: Vec<Dense>,
    w_avg: Option<Var>,
    w_avg_beta: f64,
}

impl MappingNetwork {
    /// Builds the mapping network of a generator from the tensors of `vb`, which must have the names of NVIDIA's
    /// PyTorch code without `mapping.`. If they are variables (those of a `VarMap`), [`MappingOptions::update_w_avg`]
    /// changes the `w_avg` of `vb`.
    ///
    /// # Errors
    /// `Tensor` when a tensor is missing or has the wrong shape.
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
        // Only a generator repeats `w` for `num_ws` layers and has `w_avg`; a discriminator does neither.
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

    /// Maps `z` and `c` to one `w` for each sample, without truncation or update of `w_avg`.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`; ignored if `z_dim` is 0
    /// - `c`: `[batch, c_dim]`; ignored if `c_dim` is 0
    /// - result: `[batch, w_dim]`
    ///
    /// # Errors
    /// `Config` when `z` or `c` is needed and `None`.
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

    /// Maps `z` and `c` to `ws`, one `w` for each layer of the synthesis network. A backward pass from the result
    /// reaches the weights of a tracked generator and variables in `z`. The result has a tangent if `z` has one.
    ///
    /// # Shapes
    /// - `z`: `[batch, z_dim]`
    /// - `c`: `[batch, c_dim]`, or `None` for a network without labels
    /// - result: `[batch, num_ws, w_dim]`
    ///
    /// # Errors
    /// `Config` when labels are needed and not given, or when `truncation_psi` is not 1 and the network has no `w_avg`.
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

    /// As [`MappingNetwork::forward_dual`], for plain tensors and without gradients.
    ///
    /// # Errors
    /// As [`MappingNetwork::forward_dual`].
    pub fn forward(
        &self,
        z: &Tensor,
        c: Option<&Tensor>,
        options: &MappingOptions,
    ) -> Result<Tensor> {
        let ws = self.forward_dual(&z.into(), c, options)?;
        Ok(ws.primal.into_tensor())
    }

    /// The moving average of `w`, `[w_dim]`; `None` if the network has none.
    pub fn w_avg(&self) -> Option<Tensor> {
        self.w_avg.as_ref().map(Var::as_detached_tensor)
    }

    /// Computes `w_avg + psi * (w - w_avg)` for `w` of shape `[batch, 1, w_dim]`.
    ///
    /// # Errors
    /// `Config` when the network has no `w_avg`.
    fn truncate(&self, w: &Dual, psi: f64) -> Result<Dual> {
        let w_avg = self.w_avg().ok_or_else(|| {
            Error::config("truncation needs w_avg, which this network does not track")
        })?;
        // This product is a copy, so that later updates of `w_avg` do not change values in a graph.
        let offset = (w_avg * (1.0 - psi))?.reshape((1, 1, self.dims.w_dim))?;
        Ok(w.scale(psi)?.broadcast_add(&offset.into())?)
    }
}

/// Maps `z` to `ws` without labels, truncation, update of `w_avg` or gradients.
impl Module for MappingNetwork {
    fn forward(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let options = MappingOptions::default();
        Ok(MappingNetwork::forward(self, z, None, &options)?)
    }
}

/// Style mixing: returns the `w` vectors of `ws` for the first `cutoff` layers and those of `other` for the rest.
///
/// # Shapes
/// - `ws`, `other`, result: `[batch, num_ws, w_dim]`
///
/// # Errors
/// `Tensor` when the shapes differ or `cutoff` exceeds `num_ws`.
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

/// Scales each row of `[batch, n]` to a mean square of 1.
fn normalize_2nd_moment(x: &Dual) -> Result<Dual> {
    let mean_square = x.sqr()?.mean_keepdim(&[1])?;
    Ok(x.broadcast_mul(&mean_square.shift(1e-8)?.sqrt()?.recip()?)?)
}
