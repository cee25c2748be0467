//! The modules that generator and discriminator share: dense and convolution layers, and the mapping network.

use super::config::MappingConfig;
use crate::activation::Activation;
use crate::filter::DEFAULT_FILTER;
use crate::modules::{Attr, Init, Module, ModuleTensor, Pairs, number, pairs};

pub(super) fn taps(filter: &[f64]) -> Attr {
    Attr::List(filter.iter().map(|&t| number(t)).collect())
}

/// The attribute `act_gain` of a layer: the default gain of its activation.
pub(super) fn act_gain(activation: Activation) -> Attr {
    number(activation.default_gain())
}

/// The tensors `weight` (normal, standard deviation `scale`) and `bias` (constant, one value per output) of a layer.
/// `weight` is the shape of the weight, whose first axis is the outputs.
fn weight_and_bias(weight: &[usize], scale: f64, bias: f64) -> Vec<ModuleTensor> {
    vec![
        ModuleTensor::new("weight", weight, Init::Normal(scale)),
        ModuleTensor::new("bias", &weight[..1], Init::Constant(bias)),
    ]
}

/// The dense layer `affine` that maps `w` to styles. Its bias starts at 1.
pub(super) fn affine(w_dim: usize, out: usize) -> Module {
    let kwargs = pairs! { bias_init: 1usize };
    let mut layer = dense("affine", w_dim, out, Activation::Linear, 1.0, kwargs);
    layer.params = weight_and_bias(&[out, w_dim], 1.0, 1.0);
    layer
}

pub(super) fn dense(
    name: &str,
    input: usize,
    out: usize,
    activation: Activation,
    lr_multiplier: f64,
    kwargs: Pairs,
) -> Module {
    let mut attrs =
        pairs! { activation: activation, weight_gain: lr_multiplier / (input as f64).sqrt() };
    attrs.push(("bias_gain".into(), number(lr_multiplier)));
    let mut layer = Module::new(name, "FullyConnectedLayer", attrs).init(&[input, out], kwargs);
    layer.params = weight_and_bias(&[out, input], 1.0 / lr_multiplier, 0.0);
    layer
}

pub(super) fn mapping_kwargs(m: &MappingConfig, w_dim: usize, c_dim: usize) -> Pairs {
    let mut kwargs = pairs! { num_layers: m.num_layers };
    if c_dim > 0 && m.embed_features != w_dim {
        kwargs.extend(pairs! { embed_features: m.embed_features });
    }
    if m.layer_features != w_dim {
        kwargs.extend(pairs! { layer_features: m.layer_features });
    }
    if m.activation != Activation::Lrelu {
        kwargs.extend(pairs! { activation: m.activation });
    }
    if m.lr_multiplier != 0.01 {
        kwargs.push(("lr_multiplier".into(), number(m.lr_multiplier)));
    }
    if let Some(beta) = m.w_avg_beta.filter(|&beta| beta != 0.995) {
        kwargs.extend(pairs! { w_avg_beta: beta });
    }
    kwargs
}

pub(super) fn mapping(
    m: &MappingConfig,
    z_dim: usize,
    c_dim: usize,
    w_dim: usize,
    num_ws: Option<usize>,
) -> Module {
    let mut kwargs = pairs! { z_dim: z_dim, c_dim: c_dim, w_dim: w_dim, num_ws: num_ws };
    if num_ws.is_none() {
        kwargs.push(("w_avg_beta".into(), Attr::None));
    }
    kwargs.extend(mapping_kwargs(m, w_dim, c_dim));
    let mut attrs = pairs! { z_dim: z_dim, c_dim: c_dim, w_dim: w_dim, num_ws: num_ws, num_layers: m.num_layers };
    attrs.push((
        "w_avg_beta".into(),
        m.w_avg_beta.map_or(Attr::None, Attr::Float),
    ));
    let mut net = Module::new("mapping", "MappingNetwork", attrs).init(&[], kwargs);
    let embedded = if c_dim > 0 { m.embed_features } else { 0 };
    if c_dim > 0 {
        net.children.push(dense(
            "embed",
            c_dim,
            m.embed_features,
            Activation::Linear,
            1.0,
            Vec::new(),
        ));
    }
    let mut input = z_dim + embedded;
    for i in 0..m.num_layers {
        let out = if i + 1 == m.num_layers {
            w_dim
        } else {
            m.layer_features
        };
        let mut kwargs = pairs! { activation: m.activation };
        kwargs.push(("lr_multiplier".into(), number(m.lr_multiplier)));
        net.children.push(dense(
            &format!("fc{i}"),
            input,
            out,
            m.activation,
            m.lr_multiplier,
            kwargs,
        ));
        input = out;
    }
    if num_ws.is_some() && m.w_avg_beta.is_some() {
        net.buffers
            .push(ModuleTensor::new("w_avg", &[w_dim], Init::Constant(0.0)));
    }
    net
}

pub(super) struct ConvSpec<'s> {
    pub(super) name: &'s str,
    pub(super) input: usize,
    pub(super) out: usize,
    pub(super) kernel: usize,
    pub(super) bias: bool,
    pub(super) activation: Activation,
    pub(super) up: usize,
    pub(super) down: usize,
    pub(super) clamp: Option<f64>,
    pub(super) is_frozen: bool,
}

pub(super) fn conv2d(s: &ConvSpec<'_>, filter: &[f64]) -> Module {
    let mut kwargs = pairs! { kernel_size: s.kernel };
    if s.bias {
        kwargs.extend(pairs! { activation: s.activation, conv_clamp: s.clamp });
    } else {
        kwargs.extend(pairs! { bias: false });
    }
    for (name, factor) in [("up", s.up), ("down", s.down)] {
        if factor > 1 {
            kwargs.push((name.into(), factor.into()));
            kwargs.push(("resample_filter".into(), taps(filter)));
        }
    }
    let fan_in = (s.input * s.kernel * s.kernel) as f64;
    let mut attrs = pairs! {
        activation: s.activation, up: s.up, down: s.down, conv_clamp: s.clamp, padding: s.kernel / 2,
        weight_gain: 1.0 / fan_in.sqrt(),
    };
    attrs.push(("act_gain".into(), act_gain(s.activation)));
    if !s.bias {
        attrs.push(("bias".into(), Attr::None));
    }
    let filter = if s.up > 1 || s.down > 1 {
        filter
    } else {
        &DEFAULT_FILTER
    };
    let mut layer = Module::new(s.name, "Conv2dLayer", attrs)
        .init(&[s.input, s.out], kwargs)
        .filter(filter);
    layer.params = weight_and_bias(&[s.out, s.input, s.kernel, s.kernel], 1.0, 0.0);
    if !s.bias {
        layer.params.pop();
    }
    layer.is_frozen = s.is_frozen;
    layer
}
