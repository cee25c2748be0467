//! Networks and configurations of this crate match those that the crate `interop` reads and writes.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{discriminator, discriminator_config, generator, generator_config, values};
use networks::{Architecture, Generator, GeneratorConfig, Snapshot};
use ops::Activation;

#[test]
fn a_snapshot_is_a_checkpoint_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    let g_config = GeneratorConfig {
        conv_clamp: Some(256.0),
        num_fp16_res: 2,
        ..generator_config(Architecture::Resnet, Activation::Lrelu)
    };
    let d_config = discriminator_config(Architecture::Skip, Activation::Lrelu);
    let snapshot = Snapshot {
        g_ema: Some(generator(&g_config, DType::F32)),
        d: Some(discriminator(&d_config, DType::F32)),
        ..Default::default()
    };
    snapshot.save(&path).unwrap();

    let checkpoint = interop::read_checkpoint(&path).unwrap();
    let network = checkpoint.g_ema.unwrap();
    assert!(network.assumed.is_empty(), "{:?}", network.assumed);
    assert_eq!(network.config, g_config.clone().into());
    assert_eq!(
        checkpoint.d.unwrap().tensors().count(),
        snapshot.d.unwrap().parameters().iter().count()
    );

    // The same steps as the tool `generate` for a snapshot of NVIDIA's code.
    let tensors = network.tensors().map(|(name, tensor)| {
        let values = tensor.to_f32();
        let shape = tensor.shape.as_slice();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name.to_owned(), tensor)
    });
    let g = Generator::from_tensors(&g_config, tensors, DType::F32, &Device::Cpu).unwrap();
    for (name, tensor) in snapshot.g_ema.unwrap().parameters().tensors() {
        let read = g.parameters().get(&name).unwrap();
        assert_eq!(values(&tensor), values(read), "{name}");
    }
}
