//! The networks of StyleGAN2 (arXiv:1912.04958) and StyleGAN2-ADA (arXiv:2006.06676).

mod config;
mod definition;
mod discriminator;
mod generator;
mod kwargs;
mod layers;

pub use config::{Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use crate::filter::DEFAULT_FILTER;
    use crate::modules::{Attr, Module, TensorKind};
    use crate::network::NetworkConfig;

    fn counts(config: &NetworkConfig) -> [usize; 4] {
        let slots = config.state_dict();
        let of = |buffers: bool| {
            let these = slots
                .iter()
                .filter(|slot| (slot.kind == TensorKind::Buffer) == buffers);
            let values = these
                .clone()
                .map(|slot| slot.shape.iter().product::<usize>())
                .sum();
            [these.count(), values]
        };
        [of(false), of(true)].concat().try_into().unwrap()
    }

    fn networks(resolution: usize, channel_base: usize, num_layers: usize) -> [NetworkConfig; 2] {
        let mapping = MappingConfig {
            num_layers,
            embed_features: 0,
            layer_features: 512,
            activation: Activation::Lrelu,
            lr_multiplier: 0.01,
            w_avg_beta: Some(0.995),
        };
        let g = GeneratorConfig {
            z_dim: 512,
            c_dim: 0,
            w_dim: 512,
            img_resolution: resolution,
            img_channels: 3,
            mapping: mapping.clone(),
            channel_base,
            channel_max: 512,
            num_fp16_res: 4,
            conv_clamp: Some(256.0),
            architecture: Architecture::Skip,
            use_noise: true,
            activation: Activation::Lrelu,
            resample_filter: DEFAULT_FILTER.to_vec(),
        };
        let d = DiscriminatorConfig {
            c_dim: 0,
            img_resolution: resolution,
            img_channels: 3,
            architecture: Architecture::Resnet,
            channel_base,
            channel_max: 512,
            num_fp16_res: 4,
            conv_clamp: Some(256.0),
            cmap_dim: 0,
            mapping,
            activation: Activation::Lrelu,
            resample_filter: DEFAULT_FILTER.to_vec(),
            epilogue_activation: Activation::Lrelu,
            mbstd_group_size: Some(8),
            mbstd_num_channels: 1,
            freeze_layers: 0,
        };
        [NetworkConfig::Generator(g), NetworkConfig::Discriminator(d)]
    }

    /// Numbers of tensors and of values, for parameters and for buffers, counted in NVIDIA's PyTorch code.
    #[test]
    fn sizes_of_the_real_networks() {
        for (resolution, channel_base, num_layers, g, d) in [
            (
                512,
                32768,
                8,
                [124, 30_276_583, 39, 699_904],
                [43, 28_982_849, 30, 480],
            ),
            (
                512,
                32768,
                2,
                [112, 28_700_647, 39, 699_904],
                [43, 28_982_849, 30, 480],
            ),
            (
                256,
                32768,
                8,
                [110, 30_034_338, 34, 175_568],
                [38, 28_864_129, 26, 416],
            ),
            (
                256,
                16384,
                2,
                [98, 23_191_522, 34, 175_568],
                [38, 24_001_089, 26, 416],
            ),
        ] {
            let networks = networks(resolution, channel_base, num_layers);
            assert_eq!(
                networks.map(|config| counts(&config)),
                [g, d],
                "{resolution} {channel_base} {num_layers}"
            );
        }
    }

    #[test]
    fn module_attributes_follow_the_blocks() {
        let [g, d] = networks(512, 32768, 8);
        let g = g.modules();
        let of = |module: &Module, name: &str| {
            module
                .attrs
                .iter()
                .find(|(key, _)| key == name)
                .unwrap()
                .1
                .clone()
        };
        assert_eq!(of(&g, "num_ws"), Attr::Int(16));
        let blocks = &g.children[0].children;
        let fp16: Vec<Attr> = blocks.iter().map(|block| of(block, "use_fp16")).collect();
        assert_eq!(
            fp16,
            [false, false, false, false, true, true, true, true].map(Attr::Bool)
        );
        let d = d.modules();
        // 4 layers in the first block, 3 in each other block. NVIDIA's option --freezed counts layers in this way.
        let first: Vec<Attr> = d.children[..7]
            .iter()
            .map(|block| of(block, "first_layer_idx"))
            .collect();
        assert_eq!(first, [0, 4, 7, 10, 13, 16, 19].map(Attr::Int));
    }
}
