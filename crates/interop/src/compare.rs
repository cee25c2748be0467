//! What starting a run from a file would load, and what would not fit.

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::checkpoint::Network;
use crate::config::NetworkConfig;
use crate::error::Result;
use crate::infer;
use crate::layout::tree;
use crate::tensor::Tensor;

/// A tensor of an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Official name.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Whether it is a buffer rather than a parameter.
    pub is_buffer: bool,
}

impl NetworkConfig {
    /// Every tensor of this architecture in the official order: parameters, then buffers.
    pub fn tensor_specs(&self) -> Vec<TensorSpec> {
        let slots = tree(self).slots().into_iter();
        slots
            .map(|slot| TensorSpec {
                name: slot.name,
                shape: slot.shape,
                is_buffer: slot.is_buffer,
            })
            .collect()
    }

    /// The settings in which two networks differ, by official name, for example `mapping.num_layers`.
    ///
    /// With `shapes_only` those that change no tensor (clamp, fp16 blocks, activations) are left out.
    pub fn differences(&self, other: &Self, shapes_only: bool) -> Vec<Difference> {
        const SHAPELESS: [&str; 10] = [
            "num_fp16_res",
            "conv_clamp",
            "activation",
            "epilogue_activation",
            "mapping.activation",
            "mapping.lr_multiplier",
            "mapping.w_avg_beta",
            "mbstd_group_size",
            "freeze_layers",
            "resample_filter",
        ];
        let [mut a, mut b] = [self, other].map(|config| {
            let mut leaves = IndexMap::new();
            // A config of numbers and texts always has a JSON form.
            collect(
                "",
                &serde_json::to_value(config).unwrap_or_default(),
                &mut leaves,
            );
            leaves
        });
        if shapes_only {
            for name in SHAPELESS {
                a.swap_remove(name);
                b.swap_remove(name);
            }
        }
        let none = Json::Null;
        let names: Vec<String> = a
            .keys()
            .chain(b.keys().filter(|name| !a.contains_key(*name)))
            .cloned()
            .collect();
        names
            .into_iter()
            .filter_map(|setting| {
                let (ours, theirs) = (
                    a.get(&setting).unwrap_or(&none),
                    b.get(&setting).unwrap_or(&none),
                );
                (ours != theirs).then(|| Difference {
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                    setting,
                })
            })
            .collect()
    }
}

/// One setting with two values.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Official name, nested ones with a dot.
    pub setting: String,
    /// In the first network.
    pub ours: Json,
    /// In the second.
    pub theirs: Json,
}

fn collect(prefix: &str, json: &Json, out: &mut IndexMap<String, Json>) {
    match json {
        Json::Object(map) => {
            for (name, value) in map {
                let name = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}.{name}")
                };
                collect(&name, value, out);
            }
        }
        leaf => {
            out.insert(prefix.to_owned(), leaf.clone());
        }
    }
}

/// What of a file fits a network of another architecture, tensor by tensor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadReport {
    /// Tensors that fit.
    pub loaded: Vec<String>,
    /// Tensors that the network has and the file has not: they stay random.
    pub missing: Vec<String>,
    /// Tensors of another shape: name, shape in the file, shape in the network.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors of the file that the network has no place for.
    pub unused: Vec<String>,
}

impl LoadReport {
    /// Whether everything fits.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unused.is_empty()
    }
}

impl Network {
    /// A network from its settings and all its tensors; resampling filters may be left out.
    ///
    /// # Errors
    /// `Layout` or `Tensor` when a tensor is missing, of another shape, or not part of the architecture.
    pub fn from_tensors(config: NetworkConfig, tensors: IndexMap<String, Tensor>) -> Result<Self> {
        infer::assemble(config, tensors, Vec::new())
    }

    /// What loading this network into one of `target`'s architecture would do.
    pub fn load_report(&self, target: &NetworkConfig) -> LoadReport {
        let mut held: IndexMap<&str, &Tensor> = self.tensors().collect();
        let mut report = LoadReport::default();
        for spec in target.tensor_specs() {
            match held.shift_remove(spec.name.as_str()) {
                Some(tensor) if tensor.shape == spec.shape => report.loaded.push(spec.name),
                Some(tensor) => {
                    report
                        .mismatched
                        .push((spec.name, tensor.shape.clone(), spec.shape))
                }
                None => report.missing.push(spec.name),
            }
        }
        report.unused = held.keys().map(|&name| name.to_owned()).collect();
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator() -> Network {
        let data = include_bytes!("../tests/data/official.pkl");
        crate::read_checkpoint_bytes(data, "official.pkl")
            .unwrap()
            .g_ema
            .unwrap()
    }

    #[test]
    fn another_mapping_depth_is_seen_by_name_and_by_tensor() {
        let network = generator();
        let mut target = network.config.clone();
        assert!(network.config.differences(&target, false).is_empty());
        assert!(network.load_report(&target).is_complete());
        let NetworkConfig::Generator(g) = &mut target else {
            panic!()
        };
        g.mapping.num_layers = 1;
        g.conv_clamp = None;
        g.z_dim = 5;
        let names = |shapes_only| -> Vec<String> {
            network
                .config
                .differences(&target, shapes_only)
                .into_iter()
                .map(|d| d.setting)
                .collect()
        };
        assert_eq!(names(false), ["z_dim", "mapping.num_layers", "conv_clamp"]);
        assert_eq!(names(true), ["z_dim", "mapping.num_layers"]);
        let report = network.load_report(&target);
        assert_eq!(report.unused, ["mapping.fc1.weight", "mapping.fc1.bias"]);
        assert_eq!(
            report.mismatched,
            [("mapping.fc0.weight".into(), vec![4, 4], vec![4, 5])]
        );
        assert!(report.missing.is_empty());
        assert_eq!(report.loaded.len() + 1, target.tensor_specs().len());
    }

    #[test]
    fn a_network_is_made_of_all_its_tensors() {
        let network = generator();
        let all: IndexMap<String, Tensor> = network
            .tensors()
            .map(|(name, t)| (name.to_owned(), t.clone()))
            .collect();
        assert_eq!(
            Network::from_tensors(network.config.clone(), all.clone()).unwrap(),
            network
        );
        // Filters follow from the settings.
        let mut fewer = all.clone();
        fewer.retain(|name, _| !name.ends_with("resample_filter"));
        assert_eq!(
            Network::from_tensors(network.config.clone(), fewer.clone()).unwrap(),
            network
        );
        fewer.swap_remove("mapping.w_avg");
        let error = Network::from_tensors(network.config.clone(), fewer)
            .unwrap_err()
            .to_string();
        assert!(error.contains("mapping.w_avg"), "{error}");
    }
}
