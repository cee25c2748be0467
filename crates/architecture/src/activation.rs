//! The activation functions of StyleGAN2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The activation functions of NVIDIA's StyleGAN2-ADA, as `bias_act` names them.
///
/// The value of the function is multiplied by a gain, which is [`default_gain`](Self::default_gain) unless another is
/// given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`; default gain `sqrt(2)`
    Relu,
    /// `x`, or `alpha * x` for `x < 0`; default `alpha` 0.2, default gain `sqrt(2)`
    Lrelu,
    /// Hyperbolic tangent
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x`, or `exp(x) - 1` for `x < 0`
    Elu,
    /// Scaled exponential linear unit (arXiv:1706.02515)
    Selu,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x * sigmoid(x)`; default gain `sqrt(2)`
    Swish,
}

const NAMES: [(&str, Activation); 9] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("lrelu", Activation::Lrelu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("elu", Activation::Elu),
    ("selu", Activation::Selu),
    ("softplus", Activation::Softplus),
    ("swish", Activation::Swish),
];

impl Activation {
    /// The name in NVIDIA's code, for example `lrelu`.
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, activation)| *activation == self);
        found.expect("every activation has a name").0
    }

    /// The factor after the activation function, where no gain is given: `sqrt(2)` for `relu`, `lrelu` and `swish`,
    /// otherwise 1.
    pub fn default_gain(self) -> f64 {
        match self {
            Activation::Relu | Activation::Lrelu | Activation::Swish => std::f64::consts::SQRT_2,
            _ => 1.0,
        }
    }

    /// The slope of `lrelu` below zero, where no `alpha` is given: 0.2. Returns 0 for the other functions, which have
    /// no such slope.
    pub fn default_alpha(self) -> f64 {
        if self == Activation::Lrelu { 0.2 } else { 0.0 }
    }
}

impl FromStr for Activation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, activation)| *activation)
            .ok_or_else(|| {
                let names = NAMES.map(|(name, _)| name).join(", ");
                format!("no activation `{text}`; there are {names}")
            })
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Activation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Activation> for &'static str {
    fn from(activation: Activation) -> Self {
        activation.name()
    }
}
