//! Compares results with those of NVIDIA's code; see `tests/data/README.md`.

mod common;

use candle_core::{DType, Device, Tensor};
use common::relative_error;
use networks::{Generator, GeneratorConfig, MappingOptions};
use rng::RandomState;
use serde_json::json;

/// Tolerance that the source of the golden data states for f32, relative to the largest value.
const TOLERANCE: f64 = 1e-5;

#[test]
fn the_mapping_network_with_labels() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/mapping_labels.safetensors"
    );
    let golden = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let kwargs = json!({
        "z_dim": 16, "c_dim": 3, "w_dim": 24, "img_resolution": 32, "img_channels": 1,
        "mapping_kwargs": {
            "num_layers": 3, "embed_features": 12, "layer_features": 40, "lr_multiplier": 0.05, "w_avg_beta": 0.9
        },
        "synthesis_kwargs": {"channel_base": 512, "channel_max": 2, "activation": "swish"},
    });
    let config = GeneratorConfig::from_kwargs(&kwargs).unwrap();
    // The synthesis network is not compared, so its weights are arbitrary.
    let any = Generator::new(&config, &mut RandomState::new(0), &Device::Cpu).unwrap();
    let tensors = any
        .parameters()
        .tensors()
        .map(|(name, tensor)| match golden.get(&name) {
            Some(given) => (name, given.clone()),
            None => (name, tensor),
        });
    let g = Generator::from_tensors(&config, tensors, DType::F32, &Device::Cpu).unwrap();

    let (z, c) = (&golden["z"], &golden["c"]);
    let check = |name: &str, ours: &Tensor| {
        let error = relative_error(ours, &golden[name]);
        assert!(error < TOLERANCE, "{name}: {error}");
    };
    let w = g.mapping.w(Some(&z.into()), Some(c)).unwrap();
    check("w", w.primal.tensor());
    for (name, truncation_psi, truncation_cutoff) in [
        ("ws_psi0.7", 0.7, None),
        ("ws_psi0.7_cutoff3", 0.7, Some(3)),
        ("ws_psi-0.5", -0.5, None),
    ] {
        let options = MappingOptions {
            truncation_psi,
            truncation_cutoff,
            update_w_avg: false,
        };
        check(name, &g.mapping.forward(z, Some(c), &options).unwrap());
    }
    let options = MappingOptions {
        update_w_avg: true,
        ..Default::default()
    };
    g.mapping.forward(z, Some(c), &options).unwrap();
    check("w_avg_after_train_forward", &g.mapping.w_avg().unwrap());
}

#[test]
fn parameter_counts_of_the_presets() {
    use networks::{Discriminator, DiscriminatorConfig, TensorKind, TensorSpec};

    // Resolution, channel_base, mapping layers; number of trainable values of G and D, of buffer values of G and D;
    // num_ws.
    let table = [
        (512, 32768, 8, 30_276_583, 28_982_849, 699_904, 480, 16),
        (256, 32768, 8, 30_034_338, 28_864_129, 175_568, 416, 14),
        (512, 32768, 2, 28_700_647, 28_982_849, 699_904, 480, 16),
        (256, 16384, 2, 23_191_522, 24_001_089, 175_568, 416, 14),
    ];
    let count = |slots: &[TensorSpec], trainable: bool| -> usize {
        let slots = slots
            .iter()
            .filter(|slot| (slot.kind == TensorKind::Trainable) == trainable);
        slots.map(|slot| slot.shape.iter().product::<usize>()).sum()
    };
    for (side, channel_base, num_layers, in_g, in_d, buffers_g, buffers_d, num_ws) in table {
        let mut config = GeneratorConfig {
            channel_base,
            ..GeneratorConfig::new(side, 3)
        };
        config.mapping.num_layers = num_layers;
        let slots = Generator::layout(&config).unwrap();
        assert_eq!(
            (count(&slots, true), count(&slots, false), config.num_ws()),
            (in_g, buffers_g, num_ws),
            "generator at {side} px"
        );
        let config = DiscriminatorConfig {
            channel_base,
            ..DiscriminatorConfig::new(side, 3)
        };
        let slots = Discriminator::layout(&config).unwrap();
        assert_eq!(
            (count(&slots, true), count(&slots, false)),
            (in_d, buffers_d),
            "discriminator at {side} px"
        );
    }
}
