//! Advice for the user when the networks of a file do not fit a training run.

use std::collections::BTreeSet;

use architecture::{Difference, DiscriminatorConfig, GeneratorConfig, LoadReport};
use serde_json::Value;

/// Returns sentences of advice, best first. `g` and `d` are the configurations of the run. `fits` returns whether the
/// file fits given configurations of generator and discriminator; a change of settings is recommended only if the file
/// fits the changed configurations.
pub(crate) fn advice(
    report: &LoadReport,
    g: &GeneratorConfig,
    d: &DiscriminatorConfig,
    fits: &dyn Fn(&GeneratorConfig, &DiscriminatorConfig) -> bool,
) -> Vec<String> {
    let mut advice = Vec::new();
    let (mut g, mut d) = (g.clone(), d.clone());
    let mut flags = Vec::new();
    let mut others = Vec::new();
    let mut seen = BTreeSet::new();
    for network in &report.networks {
        let is_d = network.key == "D";
        for difference in &network.settings {
            match fix(difference, is_d, &mut g, &mut d) {
                Some(Fix::Flag(flag)) if seen.insert(flag.clone()) => flags.push(flag),
                Some(Fix::Other(text)) if seen.insert(text.clone()) => others.push(text),
                _ => {}
            }
        }
    }
    if !seen.is_empty() && fits(&g, &d) {
        if !flags.is_empty() {
            others.insert(0, format!("use `{}`", flags.join(" ")));
        }
        advice.push(others.join(" and "));
    }
    let counts = report.networks.iter().map(|network| {
        let tensors = &network.tensors;
        let (n_fit, n) = (tensors.loaded.len(), tensors.n_wanted());
        format!("{n_fit} of {n} of {}", network.key)
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    advice.push(format!(
        "`--allow-partial` loads the tensors that fit ({counts}) and leaves the others random"
    ));
    advice
}

enum Fix {
    /// A command-line flag with its value.
    Flag(String),
    /// Another action of the user, as a phrase.
    Other(String),
}

/// Adapts one setting that differs between the file and the run: sets it to the file's value in `g` and `d`, the
/// configurations of the run, and returns what the user must do to get this value. `is_d` is whether the difference is
/// in the discriminator. Returns `None`, with nothing changed, for a setting that the user cannot change.
fn fix(
    difference: &Difference,
    is_d: bool,
    g: &mut GeneratorConfig,
    d: &mut DiscriminatorConfig,
) -> Option<Fix> {
    let file = size(&difference.ours)?;
    let flag = |name: &str| Some(Fix::Flag(format!("{name} {file}")));
    match difference.setting.as_str() {
        "mapping.num_layers" if !is_d => {
            g.mapping.num_layers = file;
            flag("--map-layers")
        }
        "channel_base" => {
            (g.channel_base, d.channel_base) = (file, file);
            flag("--cbase")
        }
        "channel_max" => {
            (g.channel_max, d.channel_max) = (file, file);
            flag("--cmax")
        }
        "img_resolution" => {
            (g.img_resolution, d.img_resolution) = (file, file);
            Some(Fix::Other(format!("prepare the dataset at {file} px")))
        }
        "img_channels" => {
            (g.img_channels, d.img_channels) = (file, file);
            let text = format!("prepare the dataset with {file} channels");
            Some(Fix::Other(text))
        }
        "c_dim" if file == 0 => {
            (g.c_dim, d.c_dim, d.cmap_dim) = (0, 0, 0);
            Some(Fix::Other("leave out `--cond`".into()))
        }
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|value| value.try_into().ok())
}
