//! Which flags make a run fit a file.

use std::collections::BTreeSet;

use interop::Difference;
use networks::Generator;

use crate::opened::Opened;
use crate::transfer::LoadReport;

/// Ways out of a misfit, best first.
pub(crate) fn advice(opened: &Opened, report: &LoadReport) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut flags = Vec::new();
    let mut words = Vec::new();
    let mut is_preset = false;
    for difference in report.networks.iter().flat_map(|n| &n.settings) {
        if !seen.insert(difference.setting.as_str()) {
            continue;
        }
        is_preset |= matches!(
            difference.setting.as_str(),
            "mapping.num_layers" | "channel_base"
        );
        match fix(difference) {
            Fix::Flag(flag) => flags.push(flag),
            Fix::Words(text) => words.push(text),
        }
    }
    let mut advice = Vec::new();
    if !flags.is_empty() {
        let flags = flags.join(" ");
        let cfg = if is_preset { cfg_for(opened) } else { None };
        advice.push(match cfg {
            Some(cfg) => format!("use `--cfg {cfg}` or `{flags}`"),
            None => format!("use `{flags}`"),
        });
    }
    advice.extend(words);
    for network in report.networks.iter().filter(|n| n.source.is_none()) {
        advice.push(format!("the file has no {}", network.key));
    }
    advice.push("`--allow-partial` loads what fits and leaves the rest random".into());
    advice
}

enum Fix {
    Flag(String),
    Words(String),
}

fn fix(difference: &Difference) -> Fix {
    let (file, run) = (&difference.ours, &difference.theirs);
    match difference.setting.as_str() {
        "mapping.num_layers" => Fix::Flag(format!("--map-layers {file}")),
        "channel_base" => Fix::Flag(format!("--cbase {file}")),
        "channel_max" => Fix::Flag(format!("--cmax {file}")),
        "img_resolution" => Fix::Words(format!(
            "prepare the dataset at {file} px, or start from a network for {run} px"
        )),
        "img_channels" => Fix::Words(format!(
            "the dataset has {run} channels, the file is for {file}: prepare the dataset anew"
        )),
        "c_dim" if file == 0 => Fix::Words("leave out `--cond`: the file knows no labels".into()),
        "c_dim" if run == 0 => Fix::Words(format!(
            "train with `--cond` on a dataset with {file} labels"
        )),
        "c_dim" => Fix::Words(format!(
            "the dataset has {run} labels, the file knows {file}"
        )),
        setting => Fix::Words(format!("no flag makes `{setting}` {file}")),
    }
}

/// The official configuration with the architecture of a file.
fn cfg_for(opened: &Opened) -> Option<&'static str> {
    if let Some(preset) = opened.preset {
        return preset.cfgs.first().copied();
    }
    let networks = &opened.networks;
    let g = networks.g.as_ref().or(networks.g_ema.as_ref());
    let g = g.map(Generator::config)?;
    let auto_base = if g.img_resolution >= 512 {
        32768
    } else {
        16384
    };
    if g.channel_max != 512 || (g.z_dim, g.w_dim) != (512, 512) {
        return None;
    }
    match (g.mapping.num_layers, g.channel_base, g.img_resolution) {
        (8, 32768, 512) => Some("paper512"),
        (8, 32768, 1024) => Some("paper1024"),
        (8, 32768, _) => Some("stylegan2"),
        (8, 16384, _) => Some("paper256"),
        (2, base, _) if base == auto_base => Some("auto"),
        _ => None,
    }
}
