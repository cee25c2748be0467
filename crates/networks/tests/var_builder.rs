//! Builds networks from candle's `VarBuilder` over files, variables and zeros.

mod common;

use candle_core::{DType, Device, Module};
use candle_nn::{VarBuilder, VarMap};
use common::{C_DIM, discriminator_config, generator, generator_config, normal, values};
use networks::{
    Architecture, Discriminator, Generator, GeneratorConfig, MappingNetwork, MappingOptions,
    Snapshot, SynthesisNetwork, SynthesisOptions,
};
use ops::Activation;
use rng::RandomState;

/// A generator without labels, since `Module::forward` takes none.
fn unconditional() -> GeneratorConfig {
    GeneratorConfig {
        c_dim: 0,
        ..generator_config(Architecture::Skip, Activation::Lrelu)
    }
}

#[test]
fn a_file_gives_the_generator_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    let config = unconditional();
    let saved = generator(&config, DType::F32);
    let z = normal(&mut RandomState::new(4), &[2, config.z_dim], DType::F32);
    let options = (MappingOptions::default(), SynthesisOptions::default());
    let expected = saved.forward(&z, None, &options.0, options.1).unwrap();
    let snapshot = Snapshot {
        g_ema: Some(saved),
        ..Default::default()
    };
    snapshot.save(&path).unwrap();

    // SAFETY: nothing writes the file while it is mapped.
    let vb =
        unsafe { VarBuilder::from_mmaped_safetensors(&[&path], DType::F32, &Device::Cpu).unwrap() };
    let g = Generator::load(vb.pp("G_ema"), &config).unwrap();
    assert_eq!(values(&z.apply(&g).unwrap()), values(&expected));
    // The two networks of the generator, each built from its own tensors.
    let mapping = MappingNetwork::load(&vb.pp("G_ema.mapping"), &config).unwrap();
    let synthesis = SynthesisNetwork::load(&vb.pp("G_ema.synthesis"), &config).unwrap();
    let image = z.apply(&mapping).unwrap().apply(&synthesis).unwrap();
    assert_eq!(values(&image), values(&expected));
    // For another architecture, the error names a tensor.
    let other = GeneratorConfig {
        img_resolution: 16,
        ..config
    };
    let error = Generator::load(vb.pp("G_ema"), &other).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("G_ema.synthesis.b16.conv0.weight"),
        "{error}"
    );
}

#[test]
fn variables_are_shared_and_tracked() {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let config = unconditional();
    let g = Generator::load(vb.clone(), &config).unwrap();
    let z = normal(&mut RandomState::new(4), &[1, config.z_dim], DType::F32);
    let ws = g
        .mapping
        .forward_dual(&(&z).into(), None, &MappingOptions::default())
        .unwrap();
    assert!(ws.primal.is_tracked());
    // Weights are initialized at random, biases with constants.
    let read = |name: &str| values(map.data().lock().unwrap()[name].as_tensor());
    assert!(read("synthesis.b4.const").iter().any(|v| *v != 0.0));
    assert!(
        read("synthesis.b4.conv1.affine.bias")
            .iter()
            .all(|v| *v == 1.0)
    );
    let before = values(&Module::forward(&g, &z).unwrap());
    for var in map.all_vars() {
        var.set(&(var.as_tensor() * 0.5).unwrap()).unwrap();
    }
    assert_ne!(before, values(&Module::forward(&g, &z).unwrap()));
    // The mapping network updates the `w_avg` of the `VarMap`.
    let options = MappingOptions {
        update_w_avg: true,
        ..Default::default()
    };
    g.mapping.forward(&z, None, &options).unwrap();
    assert!(read("mapping.w_avg").iter().any(|v| *v != 0.0));
}

#[test]
fn a_discriminator_of_zeros_gives_logits_of_zero() {
    let config = discriminator_config(Architecture::Resnet, Activation::Lrelu);
    let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
    let d = Discriminator::load(vb, &config).unwrap();
    let images = normal(&mut RandomState::new(4), &[2, 2, 8, 8], DType::F32);
    let c = normal(&mut RandomState::new(5), &[2, C_DIM], DType::F32);
    let logits = d.forward(&images, Some(&c)).unwrap();
    assert_eq!(values(&logits), [0.0, 0.0]);
    // `Module::forward` takes only images, so the labels are missing.
    let error = images.apply(&d).unwrap_err().to_string();
    assert!(error.contains("labels of width 2"), "{error}");
}
