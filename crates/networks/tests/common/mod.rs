//! Small networks for the tests, with few enough weights for finite differences.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor};
use networks::{
    Architecture, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, MappingConfig,
    Parameters,
};
use ops::Activation;
use rng::RandomState;

/// Number of values of the labels of the small networks.
pub const C_DIM: usize = 2;

/// Configuration of an 8 px generator with labels.
pub fn generator_config(architecture: Architecture, activation: Activation) -> GeneratorConfig {
    GeneratorConfig {
        z_dim: 3,
        c_dim: C_DIM,
        w_dim: 4,
        channel_base: 32,
        channel_max: 4,
        mapping: MappingConfig {
            num_layers: 2,
            activation,
            ..MappingConfig::new(4)
        },
        architecture,
        activation,
        ..GeneratorConfig::new(8, 2)
    }
}

/// Configuration of an 8 px discriminator with labels.
pub fn discriminator_config(
    architecture: Architecture,
    activation: Activation,
) -> DiscriminatorConfig {
    DiscriminatorConfig {
        c_dim: C_DIM,
        cmap_dim: 3,
        channel_base: 32,
        channel_max: 4,
        mapping: MappingConfig {
            num_layers: 2,
            activation,
            w_avg_beta: None,
            ..MappingConfig::new(3)
        },
        architecture,
        activation,
        epilogue_activation: activation,
        mbstd_group_size: Some(2),
        ..DiscriminatorConfig::new(8, 2)
    }
}

/// A generator with gradients, in `dtype`, all of whose weights (including noise strengths) differ from their initial
/// constants.
pub fn generator(config: &GeneratorConfig, dtype: DType) -> Generator {
    let g = Generator::new(config, &mut RandomState::new(1), &Device::Cpu).unwrap();
    shake(g.parameters());
    g.to_dtype(dtype).unwrap().tracked().unwrap()
}

/// A discriminator with gradients, in `dtype`, all of whose weights differ from their initial constants.
pub fn discriminator(config: &DiscriminatorConfig, dtype: DType) -> Discriminator {
    let d = Discriminator::new(config, &mut RandomState::new(2), &Device::Cpu).unwrap();
    shake(d.parameters());
    d.to_dtype(dtype).unwrap().tracked().unwrap()
}

/// Changes biases and noise strengths at random, since they are initialized with constants.
fn shake(parameters: &Parameters) {
    let mut random = RandomState::new(3);
    for (name, var) in parameters.trainable() {
        if name.ends_with("bias") || name.ends_with("noise_strength") {
            let by = normal(&mut random, var.dims(), DType::F32);
            let shaken = (var.as_detached_tensor() + (by * 0.3).unwrap()).unwrap();
            var.set(&shaken).unwrap();
        }
    }
}

/// A tensor of standard normal random numbers.
pub fn normal(random: &mut RandomState, shape: &[usize], dtype: DType) -> Tensor {
    let values = random.randn(shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

/// The values of a tensor in row-major order.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .flatten_all()
        .and_then(|t| t.to_dtype(DType::F64))
        .and_then(|t| t.to_vec1())
        .unwrap()
}

/// The largest difference between two tensors of equal shape, relative to the largest value.
pub fn relative_error(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    let largest = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let worst = a
        .iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m: f64, d| if d.is_nan() { d } else { m.max(d) });
    worst / largest
}
