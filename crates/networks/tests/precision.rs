//! Half precision in the blocks of the highest resolutions gives the same values, gradients and tangents as f32 up to
//! rounding.
//!
//! The tests use a smooth activation: with one that has a kink at zero, rounding across zero changes the gradients of
//! small networks by far more than rounding errors.

mod common;

use candle_core::{DType, Tensor};
use common::{C_DIM, discriminator, discriminator_config, generator, generator_config, normal};
use networks::{
    Architecture, Discriminator, Generator, MappingOptions, Precision, SynthesisOptions,
};
use ops::{Activation, Dual, Value};
use rng::RandomState;

/// Image side in pixels. The blocks of 8 and 16 px use half precision.
const SIDE: usize = 16;

fn a_generator(architecture: Architecture) -> Generator {
    let mut config = generator_config(architecture, Activation::Swish);
    (config.img_resolution, config.num_fp16_res) = (SIDE, 2);
    (config.channel_base, config.channel_max) = (256, 16);
    config.conv_clamp = Some(256.0);
    generator(&config, DType::F32)
}

fn a_discriminator(architecture: Architecture) -> Discriminator {
    let mut config = discriminator_config(architecture, Activation::Swish);
    (config.img_resolution, config.num_fp16_res) = (SIDE, 2);
    (config.channel_base, config.channel_max) = (256, 16);
    config.conv_clamp = Some(256.0);
    discriminator(&config, DType::F32)
}

/// The norm of `a - b` divided by the norm of `b`.
fn error(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |t: &Tensor| -> f64 {
        let sum = t.sqr().unwrap().sum_all().unwrap();
        f64::from(sum.to_scalar::<f32>().unwrap()).sqrt()
    };
    norm(&(a - b).unwrap()) / norm(b)
}

/// Tolerances for the rounding errors of about ten layers. f16 has 11 bits of precision, bf16 8 bits.
const TOLERANCES: [(Precision, f64); 2] = [(Precision::F16, 4e-3), (Precision::BF16, 3e-2)];

/// Returns images, and the gradients of their product with fixed numbers with respect to `ws` and the weights.
fn synthesis(g: &Generator, ws: &Tensor) -> (Tensor, Vec<Tensor>) {
    let images = g
        .synthesis
        .forward_dual(&ws.into(), SynthesisOptions::default());
    let images = images.unwrap().primal;
    let direction = normal(&mut RandomState::new(9), images.dims(), DType::F32);
    let mut found = images.backward_from(&direction).unwrap();
    let weights = g.parameters().trainable();
    let gradients = weights.filter_map(|(_, var)| found.remove(var));
    (images.into_tensor(), gradients.collect())
}

fn latents(g: &Generator) -> Tensor {
    let mut random = RandomState::new(4);
    let z = normal(&mut random, &[4, 3], DType::F32);
    let c = normal(&mut random, &[4, C_DIM], DType::F32);
    g.mapping
        .forward(&z, Some(&c), &MappingOptions::default())
        .unwrap()
}

#[test]
fn short_generators_make_the_same_images_and_gradients() {
    for architecture in [Architecture::Skip, Architecture::Resnet, Architecture::Orig] {
        let g = a_generator(architecture);
        let ws = latents(&g);
        let (images, gradients) = synthesis(&g, &ws);
        for (precision, tolerance) in TOLERANCES {
            let short = g.tracked().unwrap().with_precision(precision);
            let (got, found) = synthesis(&short, &ws);
            assert_eq!(got.dtype(), DType::F32);
            let found_error = error(&got, &images);
            assert!(
                found_error < tolerance,
                "{architecture:?} {precision:?} {found_error}"
            );
            // The difference is not zero: half precision was really used.
            assert!(
                found_error > tolerance * 1e-3,
                "{architecture:?} {precision:?}"
            );
            assert_eq!(found.len(), gradients.len());
            for (i, (got, want)) in found.iter().zip(&gradients).enumerate() {
                assert_eq!(got.dtype(), DType::F32);
                let error = error(got, want);
                assert!(
                    error < 4.0 * tolerance,
                    "{architecture:?} {precision:?} {i} {error}"
                );
            }
        }
    }
}

#[test]
fn large_weights_and_styles_stay_in_the_range_of_f16() {
    let g = a_generator(Architecture::Skip);
    for (name, var) in g.parameters().trainable() {
        if name.ends_with("conv1.weight") {
            var.set(&(var.as_detached_tensor() * 3e4).unwrap()).unwrap();
        }
        if name.ends_with("conv0.affine.bias") {
            var.set(&(var.as_detached_tensor() * 1e4).unwrap()).unwrap();
        }
    }
    let ws = latents(&g);
    let (images, _) = synthesis(&g, &ws);
    let short = g.tracked().unwrap().with_precision(Precision::F16);
    let (got, gradients) = synthesis(&short, &ws);
    assert!(error(&got, &images) < 4e-3, "{}", error(&got, &images));
    for gradient in gradients {
        let sum = gradient.abs().unwrap().sum_all().unwrap();
        assert!(sum.to_scalar::<f32>().unwrap().is_finite());
    }
}

/// Returns logits, and the gradients with respect to the weights of the logits and of their derivative along a
/// direction (which the R1 penalty needs).
fn judgment(d: &Discriminator) -> (Tensor, Vec<Tensor>) {
    let mut random = RandomState::new(5);
    let shape = [4, 2, SIDE, SIDE];
    let images = normal(&mut random, &shape, DType::F32);
    let direction = normal(&mut random, &shape, DType::F32);
    let c = normal(&mut random, &[4, C_DIM], DType::F32);
    let images = Dual::new(images, direction).unwrap();
    let logits = d.forward_dual(&images, Some(&c)).unwrap();
    let tangent: Value = logits.tangent_or_zeros().unwrap();
    let sum = logits.primal.add(&tangent).unwrap();
    let mut found = sum.sum_all().unwrap().backward().unwrap();
    let weights = d.parameters().trainable();
    let gradients = weights.filter_map(|(_, var)| found.remove(var));
    let both = Tensor::cat(&[logits.primal.tensor(), tangent.tensor()], 0);
    (both.unwrap(), gradients.collect())
}

#[test]
fn short_discriminators_judge_alike_along_a_direction_too() {
    for architecture in [Architecture::Resnet, Architecture::Skip, Architecture::Orig] {
        let d = a_discriminator(architecture);
        let (logits, gradients) = judgment(&d);
        for (precision, tolerance) in TOLERANCES {
            let short = d.tracked().unwrap().with_precision(precision);
            let (got, found) = judgment(&short);
            let found_error = error(&got, &logits);
            assert!(
                found_error < 2.0 * tolerance,
                "{architecture:?} {precision:?} {found_error}"
            );
            assert!(
                found_error > tolerance * 1e-3,
                "{architecture:?} {precision:?}"
            );
            assert_eq!(found.len(), gradients.len());
            let all = |gradients: &[Tensor]| {
                let flat = gradients.iter().map(|g| g.flatten_all().unwrap());
                Tensor::cat(&flat.collect::<Vec<_>>(), 0).unwrap()
            };
            let error = error(&all(&found), &all(&gradients));
            assert!(
                error < 8.0 * tolerance,
                "{architecture:?} {precision:?} {error}"
            );
        }
    }
}
