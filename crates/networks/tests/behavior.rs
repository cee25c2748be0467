//! Tests of the options of calls and of the configuration: noise, truncation, update of `w_avg`, style mixing, frozen
//! layers, sizes.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    C_DIM, discriminator, discriminator_config, generator, generator_config, normal,
    relative_error, values,
};
use networks::{
    Architecture, Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, MappingConfig,
    MappingOptions, NoiseMode, SynthesisOptions, TensorKind, mix_styles,
};
use ops::{Activation, Dual};
use rng::RandomState;

fn skip_generator() -> Generator {
    let config = generator_config(Architecture::Skip, Activation::Lrelu);
    generator(&config, DType::F32)
}

fn inputs(seed: u32) -> (Tensor, Tensor) {
    let mut random = RandomState::new(seed);
    (
        normal(&mut random, &[4, 3], DType::F32),
        normal(&mut random, &[4, C_DIM], DType::F32),
    )
}

#[test]
fn noise_modes() {
    let g = skip_generator();
    let (z, c) = inputs(1);
    let ws = g
        .mapping
        .forward(&z, Some(&c), &MappingOptions::default())
        .unwrap();
    let with = |noise: NoiseMode| {
        let img = g.synthesis.forward(&ws, SynthesisOptions { noise });
        values(&img.unwrap())
    };
    let random = |seed| with(NoiseMode::Random(vec![seed]));
    assert_eq!(with(NoiseMode::Const), with(NoiseMode::Const));
    assert_eq!(random(5), random(5));
    assert_ne!(random(5), random(6));
    assert_ne!(with(NoiseMode::Const), with(NoiseMode::None));
    // With one key for each image, an image is the same alone and in a batch.
    let batch = with(NoiseMode::Random(vec![7, 8, 9, 10]));
    let last = ws.narrow(0, 3, 1).unwrap();
    let noise = NoiseMode::Random(vec![10]);
    let alone = g.synthesis.forward(&last, SynthesisOptions { noise });
    let alone = values(&alone.unwrap());
    let there = &batch[batch.len() - alone.len()..];
    for (alone, there) in alone.iter().zip(there) {
        assert!((alone - there).abs() < 1e-5, "{alone} {there}");
    }
    assert!(random(10)[batch.len() - alone.len()..] != *there);
}

#[test]
fn full_truncation_gives_the_mean() {
    let g = skip_generator();
    let (z, c) = inputs(2);
    let options = MappingOptions {
        update_w_avg: true,
        ..Default::default()
    };
    let w = g.mapping.forward(&z, Some(&c), &options).unwrap();
    // `w_avg` starts at 0, and one call moves it by 0.5 % of the way to the mean of the batch.
    let mean = (w.narrow(1, 0, 1).unwrap().mean((0, 1)).unwrap() * 0.005).unwrap();
    assert!(relative_error(&g.mapping.w_avg().unwrap(), &mean) < 1e-5);
    let options = MappingOptions {
        truncation_psi: 0.0,
        ..Default::default()
    };
    let ws = g.mapping.forward(&z, Some(&c), &options).unwrap();
    let all = mean.broadcast_as(ws.dims()).unwrap();
    assert!(relative_error(&ws, &all) < 1e-5);
}

#[test]
fn mixing_takes_the_first_layers_of_the_first() {
    let ws = Tensor::zeros((1, 4, 2), DType::F32, &Device::Cpu).unwrap();
    let (ws, other) = (Dual::from(&ws), Dual::from(ws.ones_like().unwrap()));
    for (cutoff, expected) in [
        (0, [1., 1., 1., 1.]),
        (1, [0., 1., 1., 1.]),
        (4, [0., 0., 0., 0.]),
    ] {
        let mixed = mix_styles(&ws, &other, cutoff).unwrap();
        let first = mixed.primal.tensor().narrow(2, 0, 1).unwrap();
        assert_eq!(values(&first), expected);
    }
    assert!(mix_styles(&ws, &other, 5).is_err());
}

#[test]
fn samples_of_a_generator_do_not_depend_on_each_other() {
    let g = skip_generator();
    let (z, c) = inputs(3);
    let make = |first: usize, n: usize| {
        let z = z.narrow(0, first, n).unwrap();
        let c = c.narrow(0, first, n).unwrap();
        let options = MappingOptions::default();
        g.forward(&z, Some(&c), &options, SynthesisOptions::default())
            .unwrap()
    };
    let whole = make(0, 4).narrow(0, 2, 1).unwrap();
    assert!(relative_error(&make(2, 1), &whole) < 1e-5);
}

#[test]
fn networks_without_gradients_build_no_graph() {
    let g = skip_generator();
    let (z, c) = inputs(4);
    let tracks = |g: &Generator| {
        let options = MappingOptions::default();
        let z = Dual::from(&z);
        let ws = g.mapping.forward_dual(&z, Some(&c), &options).unwrap();
        let img = g.synthesis.forward_dual(&ws, SynthesisOptions::default());
        ws.primal.is_tracked() && img.unwrap().primal.is_tracked()
    };
    assert!(tracks(&g));
    assert!(!tracks(&g.detached().unwrap()));
    // A detached network shares the weights; a deep copy does not.
    let (view, copy) = (g.detached().unwrap(), g.deep_copy().unwrap());
    let name = "mapping.fc0.bias";
    let var = g.parameters().get(name).unwrap();
    var.set(&var.ones_like().unwrap()).unwrap();
    let read = |g: &Generator| values(g.parameters().get(name).unwrap());
    assert_eq!(read(&view), [1.0; 4]);
    assert_ne!(read(&copy), [1.0; 4]);
}

#[test]
fn frozen_layers_are_counted_from_the_image() {
    // The first trainable weight for each value of `freeze_layers`, at 512 px.
    for (freeze_layers, first) in [
        (0, "b512.fromrgb.weight"),
        (1, "b512.conv0.weight"),
        (3, "b512.skip.weight"),
        (4, "b256.conv0.weight"),
        (10, "b64.conv0.weight"),
        (13, "b32.conv0.weight"),
        (22, "b4.conv.weight"),
        (100, "b4.conv.weight"),
    ] {
        let config = DiscriminatorConfig {
            freeze_layers,
            ..DiscriminatorConfig::new(512, 3)
        };
        let slots = Discriminator::layout(&config).unwrap();
        let trainable = slots
            .iter()
            .find(|slot| slot.kind == TensorKind::Trainable)
            .unwrap();
        assert_eq!(trainable.name, first, "{freeze_layers}");
    }
}

#[test]
fn frozen_layers_get_no_gradient() {
    let config = DiscriminatorConfig {
        freeze_layers: 2,
        ..discriminator_config(Architecture::Resnet, Activation::Lrelu)
    };
    let d = discriminator(&config, DType::F32);
    let img = normal(&mut RandomState::new(1), &[2, 2, 8, 8], DType::F32);
    let c = normal(&mut RandomState::new(2), &[2, C_DIM], DType::F32);
    let logits = d.forward_dual(&img.into(), Some(&c)).unwrap().primal;
    let grads = logits.sum_all().unwrap().backward().unwrap();
    for (name, var, kind) in d.parameters().iter() {
        assert_eq!(
            grads.get(var).is_some(),
            kind == TensorKind::Trainable,
            "{name}"
        );
    }
    let frozen: Vec<&str> = d
        .parameters()
        .iter()
        .filter(|(.., kind)| *kind == TensorKind::Frozen)
        .map(|(name, ..)| name)
        .collect();
    let expected = [
        "fromrgb.weight",
        "fromrgb.bias",
        "conv0.weight",
        "conv0.bias",
    ];
    assert_eq!(frozen, expected.map(|name| format!("b8.{name}")));
}

#[test]
fn every_size_and_channel_count_works() {
    let mut random = RandomState::new(5);
    for (img_resolution, img_channels) in [(4, 1), (8, 2), (16, 4), (32, 3), (64, 1), (128, 3)] {
        for architecture in [Architecture::Skip, Architecture::Resnet, Architecture::Orig] {
            let g = GeneratorConfig {
                z_dim: 2,
                w_dim: 2,
                mapping: MappingConfig {
                    num_layers: 1,
                    ..MappingConfig::new(2)
                },
                channel_base: img_resolution,
                channel_max: 2,
                architecture,
                ..GeneratorConfig::new(img_resolution, img_channels)
            };
            let d = DiscriminatorConfig {
                channel_base: img_resolution,
                channel_max: 2,
                architecture,
                ..DiscriminatorConfig::new(img_resolution, img_channels)
            };
            let g = Generator::new(&g, &mut random, &Device::Cpu).unwrap();
            let d = Discriminator::new(&d, &mut random, &Device::Cpu).unwrap();
            let z = normal(&mut random, &[2, 2], DType::F32);
            let options = MappingOptions::default();
            let noise = SynthesisOptions::random(&mut random);
            let img = g.forward(&z, None, &options, noise).unwrap();
            assert_eq!(
                img.dims(),
                [2, img_channels, img_resolution, img_resolution]
            );
            let logits = d.forward_dual(&img.into(), None).unwrap().primal;
            assert_eq!(logits.dims(), [2, 1]);
            assert!(values(logits.tensor()).iter().all(|v| v.is_finite()));
            let grads = logits.sum_all().unwrap().backward().unwrap();
            for (name, var) in d.parameters().trainable() {
                assert!(grads.get(var).is_some(), "{name} at {img_resolution} px");
            }
        }
    }
    let slots = Generator::layout(&GeneratorConfig::new(1024, 3)).unwrap();
    assert_eq!(slots.last().unwrap().name, "mapping.fc7.bias");
}

#[test]
fn the_clamp_bounds_features() {
    let clamp = 0.5;
    let config = GeneratorConfig {
        conv_clamp: Some(clamp),
        ..generator_config(Architecture::Skip, Activation::Lrelu)
    };
    let g = generator(&config, DType::F32);
    let (z, c) = inputs(6);
    let options = MappingOptions::default();
    let ws = g.mapping.forward(&z, Some(&c), &options).unwrap();
    let mut largest = 0.0f64;
    g.synthesis
        .forward_observed(
            &ws.into(),
            SynthesisOptions::default(),
            &mut |name, value| {
                if name.ends_with(".x") {
                    let values = values(value.primal.tensor());
                    largest = values.iter().fold(largest, |m, v| m.max(v.abs()));
                }
            },
        )
        .unwrap();
    assert_eq!(largest, clamp);
}

#[test]
fn wrong_inputs_are_explained() {
    let g = skip_generator();
    let (z, _) = inputs(7);
    let message = |error: networks::Error| error.to_string();
    let no_labels = g.mapping.forward(&z, None, &MappingOptions::default());
    assert!(message(no_labels.unwrap_err()).contains("conditional"));
    let ws = Tensor::zeros((1, 3, 4), DType::F32, &Device::Cpu).unwrap();
    let few = g.synthesis.forward(&ws, SynthesisOptions::default());
    assert!(message(few.unwrap_err()).contains("[batch, 4, 4]"));
    let config = discriminator_config(Architecture::Resnet, Activation::Lrelu);
    let d = discriminator(&config, DType::F32);
    let c = Tensor::zeros((3, C_DIM), DType::F32, &Device::Cpu).unwrap();
    let img = Tensor::zeros((3, 2, 8, 8), DType::F32, &Device::Cpu).unwrap();
    let odd = d.forward(&img, Some(&c));
    assert!(message(odd.unwrap_err()).contains("mbstd_group_size"));
    let small = d.forward(&img.narrow(2, 0, 4).unwrap(), Some(&c));
    assert!(message(small.unwrap_err()).contains("[batch, 2, 8, 8]"));
}
