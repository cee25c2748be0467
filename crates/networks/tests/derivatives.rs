//! Compares first and second derivatives of whole networks with finite differences, in f64.

mod common;

use candle_core::{DType, Tensor, Var};
use common::{C_DIM, discriminator, discriminator_config, generator, generator_config, normal};
use networks::{
    Architecture, Discriminator, Generator, MappingOptions, NoiseMode, Parameters, SynthesisOptions,
};
use ops::{Activation, Dual, Value};
use rng::RandomState;

const BATCH: usize = 4;
const STEP: f64 = 1e-5;
/// Relative tolerance, given by the rounding errors of finite differences in f64.
const TOLERANCE: f64 = 1e-7;

const ARCHITECTURES: [Architecture; 3] =
    [Architecture::Skip, Architecture::Resnet, Architecture::Orig];

/// A random direction in the space of all trainable weights: each variable with a tensor of its shape.
fn direction(parameters: &Parameters) -> Vec<(Var, Tensor)> {
    let mut random = RandomState::new(7);
    parameters
        .trainable()
        .map(|(_, var)| (var.clone(), normal(&mut random, var.dims(), DType::F64)))
        .collect()
}

/// The derivative of `f` along `direction`, by central differences of fourth order.
fn finite_difference(direction: &[(Var, Tensor)], f: impl Fn() -> f64) -> f64 {
    let start: Vec<Tensor> = direction
        .iter()
        .map(|(var, _)| var.as_detached_tensor().copy().unwrap())
        .collect();
    let at = |step: f64| {
        for ((var, along), start) in direction.iter().zip(&start) {
            var.set(&(start + (along * step).unwrap()).unwrap())
                .unwrap();
        }
        f()
    };
    let [near, far] = [STEP, 2.0 * STEP].map(|step| at(step) - at(-step));
    let slope = (8.0 * near - far) / (12.0 * STEP);
    at(0.0);
    slope
}

/// The derivative of `loss` along `direction`, computed from its gradients, and the sum of the absolute values of its
/// terms. Every weight must have a gradient, except those whose name ends with one of `unused`.
fn exact(direction: &[(Var, Tensor)], loss: &Value, unused: &[&str], p: &Parameters) -> (f64, f64) {
    let grads = loss.backward().unwrap();
    let names: Vec<&str> = p.trainable().map(|(name, _)| name).collect();
    let parts: Vec<f64> = direction
        .iter()
        .zip(names)
        .map(|((var, along), name)| match grads.get(var) {
            Some(grad) => scalar(&(grad * along).unwrap().sum_all().unwrap()),
            None => {
                assert!(
                    unused.iter().any(|end| name.ends_with(end)),
                    "no gradient reaches {name}"
                );
                0.0
            }
        })
        .collect();
    (parts.iter().sum(), parts.iter().map(|v| v.abs()).sum())
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_scalar().unwrap()
}

fn assert_close((exact, scale): (f64, f64), finite: f64, what: &str) {
    assert!(
        (exact - finite).abs() < TOLERANCE * scale,
        "{what}: {exact} by the gradient, {finite} by differences"
    );
}

fn labels() -> Tensor {
    normal(&mut RandomState::new(5), &[BATCH, C_DIM], DType::F64)
}

fn images() -> Tensor {
    normal(&mut RandomState::new(6), &[BATCH, 2, 8, 8], DType::F64)
}

/// The gradient of `sum(D(x))` with respect to the images `x`.
fn image_gradient(d: &Discriminator) -> Tensor {
    let img = Var::from_tensor(&images()).unwrap();
    let logits = d.forward_dual(&img.as_tensor().into(), Some(&labels()));
    let sum = logits.unwrap().primal.sum_all().unwrap();
    sum.backward().unwrap().remove(&img).unwrap()
}

#[test]
fn first_order_of_the_discriminator() {
    for architecture in ARCHITECTURES {
        let d = discriminator(
            &discriminator_config(architecture, Activation::Swish),
            DType::F64,
        );
        let loss = || {
            let logits = d.forward_dual(&images().into(), Some(&labels())).unwrap();
            logits.primal.sqr().unwrap().sum_all().unwrap()
        };
        let along = direction(d.parameters());
        let slope = exact(&along, &loss(), &[], d.parameters());
        let finite = finite_difference(&along, || scalar(loss().tensor()));
        assert_close(slope, finite, &format!("{architecture:?}"));
    }
}

#[test]
fn first_order_of_the_generator() {
    let z = normal(&mut RandomState::new(4), &[BATCH, 3], DType::F64);
    for architecture in ARCHITECTURES {
        let g = generator(
            &generator_config(architecture, Activation::Swish),
            DType::F64,
        );
        let loss = || {
            let mut random = RandomState::new(11);
            let truncated = MappingOptions {
                truncation_psi: 0.7,
                truncation_cutoff: Some(2),
                update_w_avg: false,
            };
            let z = Dual::from(&z);
            let ws = g.mapping.forward_dual(&z, Some(&labels()), &truncated);
            let noise = SynthesisOptions::random(&mut random);
            let img = g.synthesis.forward_dual(&ws.unwrap(), noise);
            img.unwrap().primal.sqr().unwrap().sum_all().unwrap()
        };
        let along = direction(g.parameters());
        let slope = exact(&along, &loss(), &[], g.parameters());
        let finite = finite_difference(&along, || scalar(loss().tensor()));
        assert_close(slope, finite, &format!("{architecture:?}"));
    }
}

#[test]
fn tangents_are_directional_derivatives() {
    for architecture in ARCHITECTURES {
        let g = generator(
            &generator_config(architecture, Activation::Swish),
            DType::F64,
        );
        let d = discriminator(
            &discriminator_config(architecture, Activation::Swish),
            DType::F64,
        );
        let mut random = RandomState::new(8);
        let z = normal(&mut random, &[BATCH, 3], DType::F64);
        let dz = normal(&mut random, &[BATCH, 3], DType::F64);
        let forward = |z: &Dual| {
            let c = labels();
            let ws = g
                .mapping
                .forward_dual(z, Some(&c), &MappingOptions::default());
            let img = g
                .synthesis
                .forward_dual(&ws.unwrap(), SynthesisOptions::default());
            d.forward_dual(&img.unwrap(), Some(&c)).unwrap()
        };
        let tangent = forward(&Dual::new(z.clone(), dz.clone()).unwrap())
            .tangent
            .unwrap();
        let at = |step: f64| {
            let z = (&z + (&dz * step).unwrap()).unwrap();
            forward(&z.into()).primal.into_tensor()
        };
        let finite = ((at(STEP) - at(-STEP)).unwrap() / (2.0 * STEP)).unwrap();
        let error = common::relative_error(tangent.tensor(), &finite);
        assert!(error < TOLERANCE, "{architecture:?}: {error}");
    }
}

/// The R1 penalty: its gradient with respect to the weights is twice that of the derivative of D along the (constant)
/// gradient of D with respect to the images.
#[test]
fn second_order_of_the_discriminator() {
    for (architecture, activation) in [
        (Architecture::Resnet, Activation::Swish),
        (Architecture::Skip, Activation::Swish),
        (Architecture::Orig, Activation::Swish),
        // Not differentiable everywhere, but the step of the differences crosses no kink.
        (Architecture::Resnet, Activation::Lrelu),
    ] {
        let d = discriminator(&discriminator_config(architecture, activation), DType::F64);
        let v = image_gradient(&d);
        let logits = d.forward_dual(&Dual::new(images(), v).unwrap(), Some(&labels()));
        let slope = logits.unwrap().tangent.unwrap().sum_all().unwrap();
        let along = direction(d.parameters());
        // A bias changes the derivative only through the curvature of later layers; with lrelu there is none.
        let unused = match activation {
            Activation::Swish => "out.bias",
            _ => "bias",
        };
        let exact = exact(
            &along,
            &slope.scale(2.0).unwrap(),
            &[unused],
            d.parameters(),
        );
        let penalty = || scalar(&image_gradient(&d).sqr().unwrap().sum_all().unwrap());
        let finite = finite_difference(&along, penalty);
        assert_close(exact, finite, &format!("{architecture:?} {activation:?}"));
    }
}

/// The path length penalty, including the mapping network.
#[test]
fn second_order_of_the_generator() {
    let mut random = RandomState::new(9);
    let z = normal(&mut random, &[BATCH, 3], DType::F64);
    let y = normal(&mut random, &[BATCH, 2, 8, 8], DType::F64);
    for architecture in ARCHITECTURES {
        let g = generator(
            &generator_config(architecture, Activation::Swish),
            DType::F64,
        );
        let along = direction(g.parameters());
        let map = |g: &Generator| {
            let options = MappingOptions::default();
            g.mapping
                .forward_dual(&Dual::from(&z), Some(&labels()), &options)
                .unwrap()
                .primal
        };
        let synthesize = |ws: &Dual| {
            let noise = NoiseMode::Const;
            let img = g.synthesis.forward_dual(ws, SynthesisOptions { noise });
            img.unwrap().mul(&(&y).into()).unwrap()
        };
        let ws_gradient = || {
            let ws = Var::from_tensor(map(&g).tensor()).unwrap();
            let sum = synthesize(&ws.as_tensor().into()).primal.sum_all().unwrap();
            sum.backward().unwrap().remove(&ws).unwrap()
        };
        // The path lengths, and below the derivative of the penalty sum((length - 0.1)^2) with respect to the gradient.
        let lengths = |grad: &Tensor| {
            let squares = grad.sqr().unwrap().sum_keepdim(2).unwrap();
            squares.mean_keepdim(1).unwrap().sqrt().unwrap()
        };
        let penalty = || {
            let off = (lengths(&ws_gradient()) - 0.1).unwrap();
            scalar(&off.sqr().unwrap().sum_all().unwrap())
        };
        let grad = ws_gradient();
        let num_ws = g.config().num_ws() as f64;
        let factor = lengths(&grad);
        let factor = ((&factor - 0.1).unwrap() / &factor).unwrap();
        let u = (grad.broadcast_mul(&factor).unwrap() * (2.0 / num_ws)).unwrap();
        let slope = synthesize(&Dual::new(map(&g), u).unwrap())
            .tangent
            .unwrap()
            .sum_all()
            .unwrap();
        // This bias adds a constant to the image, whatever `ws` are.
        let unused = ["torgb.bias"];
        let exact = exact(&along, &slope, &unused, g.parameters());
        let finite = finite_difference(&along, penalty);
        assert_close(exact, finite, &format!("{architecture:?}"));
    }
}
