//! Compares two architectures setting by setting.

use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::definition::NetworkKind;
use crate::network::NetworkConfig;

impl NetworkConfig {
    /// Returns the settings in which two networks differ, for example `mapping.num_layers`.
    ///
    /// Settings that concern labels are left out when neither network has labels.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let [a, b] = [self, other].map(|config| {
            let mut leaves = IndexMap::new();
            // Cannot fail: a configuration consists of numbers and texts.
            collect(
                "",
                &serde_json::to_value(config).unwrap_or_default(),
                &mut leaves,
            );
            leaves
        });
        let none = Json::Null;
        let names: Vec<String> = a
            .keys()
            .chain(b.keys().filter(|name| !a.contains_key(*name)))
            .cloned()
            .collect();
        names
            .into_iter()
            .filter(|setting| !is_unused(setting, self, other))
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

/// A setting with different values in two networks.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Name of the setting as in the configuration, with dots for nested settings: `mapping.num_layers`.
    pub setting: String,
    /// Value in the first network; `null` when it has no such setting.
    pub ours: Json,
    /// Value in the second network; `null` when it has no such setting.
    pub theirs: Json,
}

impl Difference {
    /// Whether a training run that starts from a file may use another value than the file: the setting changes neither
    /// the shape of a tensor nor the meaning of its values. Such settings are the clamp, the number of fp16 blocks, the
    /// decay of `w_avg`, the minibatch group size and the number of frozen layers.
    pub fn is_free(&self) -> bool {
        matches!(
            self.setting.as_str(),
            "num_fp16_res"
                | "conv_clamp"
                | "mapping.w_avg_beta"
                | "mbstd_group_size"
                | "freeze_layers"
        )
    }

    /// Whether the setting changes the output of a network with the same tensors: activation functions, learning rate
    /// multiplier of the mapping network, resampling filter.
    pub fn is_function(&self) -> bool {
        self.setting.ends_with("activation")
            || matches!(
                self.setting.as_str(),
                "mapping.lr_multiplier" | "resample_filter"
            )
    }
}

/// Whether a setting is unused because it concerns labels and neither network has labels.
fn is_unused(setting: &str, a: &NetworkConfig, b: &NetworkConfig) -> bool {
    let has_labels = a.c_dim() > 0 || b.c_dim() > 0;
    let is_of_labels = setting == "mapping.embed_features"
        || (a.kind() == NetworkKind::Discriminator
            && (setting == "cmap_dim" || setting.starts_with("mapping.")));
    !has_labels && is_of_labels
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stylegan2::{DiscriminatorConfig, GeneratorConfig};

    #[test]
    fn differences_are_named_and_sorted_by_what_they_change() {
        let config = GeneratorConfig::new(8, 3);
        let mut other = config.clone();
        other.mapping.num_layers = 1;
        other.mapping.lr_multiplier = 1.0;
        other.mapping.embed_features = 7;
        other.conv_clamp = Some(256.0);
        other.z_dim = 5;
        let [a, b] = [config, other].map(NetworkConfig::Generator);
        assert!(a.differences(&a).is_empty());
        let found = a.differences(&b);
        let found: Vec<(&str, bool, bool)> = found
            .iter()
            .map(|d| (d.setting.as_str(), d.is_free(), d.is_function()))
            .collect();
        let expected = [
            ("z_dim", false, false),
            ("mapping.num_layers", false, false),
            ("mapping.lr_multiplier", false, true),
            ("conv_clamp", true, false),
        ];
        assert_eq!(found, expected, "embed_features has no part without labels");
    }

    #[test]
    fn a_discriminator_without_labels_has_no_mapping_to_compare() {
        let d = DiscriminatorConfig::new(8, 3);
        let mut other = d.clone();
        (other.mapping.num_layers, other.cmap_dim) = (0, 3);
        let mut with_labels = other.clone();
        with_labels.c_dim = 2;
        let [d, other, with_labels] = [d, other, with_labels].map(NetworkConfig::Discriminator);
        assert!(d.differences(&other).is_empty());
        assert_eq!(d.differences(&with_labels).len(), 3);
    }
}
