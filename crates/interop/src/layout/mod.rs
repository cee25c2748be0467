//! The official module tree of a network: classes, attributes, tensor names and shapes, in the official order.
//!
//! Readers check files against it; the writer of official files walks it.

macro_rules! pairs {
    ($($key:ident : $value:expr),* $(,)?) => { vec![$((stringify!($key).to_owned(), Attr::from($value))),*] };
}

mod discriminator;
mod generator;
mod layers;

use crate::config::{Architecture, NetworkConfig, filter_buffer};

/// A plain Python value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Tuple(Vec<Attr>),
    List(Vec<Attr>),
    Dict(Vec<(String, Attr)>),
}

macro_rules! attr_from {
    ($($ty:ty => |$v:ident| $make:expr;)*) => {
        $(impl From<$ty> for Attr { fn from($v: $ty) -> Self { $make } })*
    };
}
attr_from! {
    bool => |v| Attr::Bool(v);
    usize => |v| Attr::Int(v as i64);
    f64 => |v| Attr::Float(v);
    &str => |v| Attr::Str(v.to_owned());
    Option<f64> => |v| v.map_or(Attr::None, clamp_number);
    Option<usize> => |v| v.map_or(Attr::None, Attr::from);
    Architecture => |v| v.name().into();
    Vec<usize> => |v| Attr::List(v.into_iter().map(Attr::from).collect());
}

/// A whole number as an int, as the official settings have it (`conv_clamp=256`, `lr_multiplier=1`).
pub(crate) fn clamp_number(v: f64) -> Attr {
    if v.fract() == 0.0 && v.abs() < 1e15 {
        Attr::Int(v as i64)
    } else {
        Attr::Float(v)
    }
}

/// One module.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub name: String,
    pub class: &'static str,
    pub init_args: Vec<Attr>,
    pub init_kwargs: Vec<(String, Attr)>,
    pub attrs: Vec<(String, Attr)>,
    pub params: Vec<(&'static str, Vec<usize>)>,
    pub buffers: Vec<(&'static str, Vec<usize>)>,
    pub children: Vec<Module>,
    /// Taps behind the `resample_filter` buffer.
    pub filter: Vec<f64>,
}

/// A tensor that a network has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    pub name: String,
    pub shape: Vec<usize>,
    pub is_buffer: bool,
    /// The value when it follows from the settings (resampling filters).
    pub filter: Option<Vec<f64>>,
}

type Pairs = Vec<(String, Attr)>;

impl Module {
    fn new(name: impl Into<String>, class: &'static str, attrs: Pairs) -> Self {
        Self {
            name: name.into(),
            class,
            init_args: Vec::new(),
            init_kwargs: Vec::new(),
            attrs,
            params: Vec::new(),
            buffers: Vec::new(),
            children: Vec::new(),
            filter: Vec::new(),
        }
    }

    fn init(mut self, args: &[usize], kwargs: Pairs) -> Self {
        self.init_args = args.iter().map(|&a| a.into()).collect();
        self.init_kwargs = kwargs;
        self
    }

    fn filter(mut self, taps: &[f64]) -> Self {
        self.buffers
            .insert(0, ("resample_filter", filter_buffer(taps).0));
        self.filter = taps.to_vec();
        self
    }

    /// Every tensor of this module and those below it: parameters first, then buffers, as the official listings do.
    pub fn slots(&self) -> Vec<Slot> {
        let mut params = Vec::new();
        let mut buffers = Vec::new();
        self.collect("", &mut params, &mut buffers);
        params.extend(buffers);
        params
    }

    fn collect(&self, prefix: &str, params: &mut Vec<Slot>, buffers: &mut Vec<Slot>) {
        for (list, is_buffer, out) in [
            (&self.params, false, &mut *params),
            (&self.buffers, true, &mut *buffers),
        ] {
            for (name, shape) in list {
                let filter = (*name == "resample_filter").then(|| self.filter.clone());
                out.push(Slot {
                    name: format!("{prefix}{name}"),
                    shape: shape.clone(),
                    is_buffer,
                    filter,
                });
            }
        }
        for child in &self.children {
            child.collect(&format!("{prefix}{}.", child.name), params, buffers);
        }
    }
}

/// The module tree of a network.
pub(crate) fn tree(config: &NetworkConfig) -> Module {
    match config {
        NetworkConfig::Generator(g) => generator::generator(g),
        NetworkConfig::Discriminator(d) => discriminator::discriminator(d),
    }
}

#[cfg(test)]
mod tests {
    use super::layers::DEFAULT_TAPS;
    use super::*;
    use crate::config::{DiscriminatorConfig, GeneratorConfig, MappingConfig};

    fn counts(config: &NetworkConfig) -> [usize; 4] {
        let slots = tree(config).slots();
        let of = |buffers: bool| {
            let these = slots.iter().filter(|slot| slot.is_buffer == buffers);
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
            activation: "lrelu".into(),
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
            activation: "lrelu".into(),
            resample_filter: DEFAULT_TAPS.to_vec(),
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
            activation: "lrelu".into(),
            resample_filter: DEFAULT_TAPS.to_vec(),
            epilogue_activation: "lrelu".into(),
            mbstd_group_size: Some(8),
            mbstd_num_channels: 1,
            freeze_layers: 0,
        };
        [NetworkConfig::Generator(g), NetworkConfig::Discriminator(d)]
    }

    /// Tensors and values of parameters and of buffers, as the reference implementation counts them.
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
        let g = tree(&g);
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
        let d = tree(&d);
        // 4 layers in the first block, 3 in each other: what --freezed counts.
        let first: Vec<Attr> = d.children[..7]
            .iter()
            .map(|block| of(block, "first_layer_idx"))
            .collect();
        assert_eq!(first, [0, 4, 7, 10, 13, 16, 19].map(Attr::Int));
    }
}
