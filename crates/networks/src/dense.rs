//! Dense layers with equalized learning rate.

use candle_nn::VarBuilder;
use ops::{Activation, BiasActOptions, Dual, Value};

use crate::error::Result;

/// Settings of a [`Dense`] layer.
pub(crate) struct DenseOptions {
    pub activation: Activation,
    /// Learning rate multiplier: weights and biases are multiplied by it when used. To compensate, weights are
    /// initialized with the standard deviation `1 / lr_multiplier`.
    pub lr_multiplier: f64,
}

impl Default for DenseOptions {
    fn default() -> Self {
        Self {
            activation: Activation::Linear,
            lr_multiplier: 1.0,
        }
    }
}

/// A dense layer with equalized learning rate (arXiv:1710.10196): the weights are scaled by `1 / sqrt(in_features)`
/// when used instead of when they are initialized.
pub(crate) struct Dense {
    weight: Dual,
    bias: Dual,
    weight_gain: f64,
    bias_gain: f64,
    activation: Activation,
}

impl Dense {
    pub fn new(
        vb: &VarBuilder<'_>,
        in_features: usize,
        out_features: usize,
        options: &DenseOptions,
    ) -> Result<Self> {
        let lr = options.lr_multiplier;
        Ok(Self {
            weight: vb.get((out_features, in_features), "weight")?.into(),
            bias: vb.get(out_features, "bias")?.into(),
            weight_gain: lr / (in_features as f64).sqrt(),
            bias_gain: lr,
            activation: options.activation,
        })
    }

    /// Applies the layer, including its activation.
    ///
    /// # Shapes
    /// - `x`: `[batch, in_features]`
    /// - result: `[batch, out_features]`
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        // Scale the product instead of the weights, because it has fewer elements.
        let y = x
            .matmul(&self.weight.linear(Value::t)?)?
            .scale(self.weight_gain)?;
        let bias = self.bias.scale(self.bias_gain)?;
        let options = BiasActOptions {
            activation: self.activation,
            ..Default::default()
        };
        Ok(y.bias_act(Some(&bias), &options)?)
    }
}
