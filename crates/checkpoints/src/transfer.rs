//! Weights of a file in networks of another run, copied by name.

use std::collections::HashMap;
use std::fmt;

use candle_core::{Device, Tensor};
use interop::Difference;
use networks::{
    Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, NetworkConfig, NormalSource,
    Parameters, TensorSlot,
};

use crate::advice::advice;
use crate::convert::to_interop_config;
use crate::error::{Error, Refusal, Result};
use crate::opened::Opened;

/// Settings that change no weight and not what the weights mean: a run may choose them anew.
const FREE: [&str; 5] = [
    "num_fp16_res",
    "conv_clamp",
    "mapping.w_avg_beta",
    "mbstd_group_size",
    "freeze_layers",
];

/// How much of a misfit is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferOptions {
    /// Load what fits, leave the rest random; without it, any misfit is refused.
    pub allow_partial: bool,
}

/// Networks to start a run with.
pub struct Start {
    /// To be trained, with gradients.
    pub g: Generator,
    /// To be trained, with gradients.
    pub d: Discriminator,
    /// The moving average, without.
    pub g_ema: Generator,
    /// What was loaded.
    pub report: LoadReport,
}

/// What of a file fits the networks of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// `G`, `D`, `G_ema`.
    pub networks: Vec<NetworkReport>,
    /// Remarks: a network that another takes the place of.
    pub notes: Vec<String>,
}

/// What of a file fits one network. Resampling filters follow from the settings and are not counted.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkReport {
    /// `G`, `D` or `G_ema` of the run.
    pub key: &'static str,
    /// The network of the file that it starts from; `None` when the file has none.
    pub source: Option<&'static str>,
    /// Tensors by name.
    pub tensors: interop::LoadReport,
    /// Settings that give the weights another meaning. `ours` is the file, `theirs` the run.
    pub settings: Vec<Difference>,
    /// Settings that differ and that a run may choose freely.
    pub free_settings: Vec<Difference>,
}

impl LoadReport {
    /// Whether everything fits.
    pub fn fits(&self) -> bool {
        self.networks.iter().all(NetworkReport::fits)
    }
}

impl NetworkReport {
    /// Whether every tensor of the network is in the file, no tensor of the file is left over, and they mean the same.
    pub fn fits(&self) -> bool {
        self.source.is_some()
            && self.tensors.is_complete()
            && !self.settings.iter().any(|d| is_function(&d.setting))
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, network) in self.networks.iter().enumerate() {
            write!(f, "{}{network}", if i == 0 { "" } else { "\n" })?;
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

/// `G: 27 of 93 tensors loaded; 2 missing (a, b); ...; mapping.num_layers is 8 in the file, 2 here`.
impl fmt::Display for NetworkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.tensors;
        let wanted = t.loaded.len() + t.missing.len() + t.mismatched.len();
        write!(f, "{}: ", self.key)?;
        if self.source.is_none() {
            return write!(f, "not in the file, {wanted} tensors stay random");
        }
        write!(f, "{} of {wanted} tensors loaded", t.loaded.len())?;
        if !t.missing.is_empty() {
            let names = some(&t.missing);
            write!(f, "; {} not in the file ({names})", t.missing.len())?;
        }
        if !t.mismatched.is_empty() {
            let shapes: Vec<String> = t
                .mismatched
                .iter()
                .map(|(name, file, run)| format!("{name} is {file:?}, not {run:?}"))
                .collect();
            let shapes = some(&shapes);
            write!(f, "; {} of another shape ({shapes})", t.mismatched.len())?;
        }
        if !t.unused.is_empty() {
            let names = some(&t.unused);
            write!(
                f,
                "; {} of the file without a place ({names})",
                t.unused.len()
            )?;
        }
        for Difference {
            setting,
            ours,
            theirs,
        } in &self.settings
        {
            write!(f, "; {setting} is {ours} in the file, {theirs} here")?;
        }
        Ok(())
    }
}

/// The first few names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// New networks of the given architecture that start from a file: parameters and buffers (`w_avg`, `noise_const`) by
/// name, `G` and `G_ema` each from their own. Frozen layers of the file are ordinary weights here; which layers the run
/// freezes is its own setting. What does not fit keeps the random start that `random` gives.
///
/// A file with only one of `G` and `G_ema` starts both from it.
///
/// # Errors
/// `Refused` when something does not fit and [`TransferOptions::allow_partial`] is not set; `Networks` when the settings
/// are impossible.
pub fn init_from(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
    options: &TransferOptions,
    random: &mut dyn NormalSource,
    device: &Device,
) -> Result<Start> {
    // Refuse before anything large is made.
    accept(opened, check(opened, g_config, d_config)?, options)?;
    let g = Generator::new(g_config, random, device)?;
    let d = Discriminator::new(d_config, random, device)?;
    let g_ema = g.deep_copy()?;
    let report = load_into(opened, &g, &d, &g_ema, options)?;
    Ok(Start {
        g,
        d,
        g_ema,
        report,
    })
}

/// As [`init_from`], into networks that exist.
///
/// # Errors
/// `Refused` as there; nothing is changed then.
pub fn load_into(
    opened: &Opened,
    g: &Generator,
    d: &Discriminator,
    g_ema: &Generator,
    options: &TransferOptions,
) -> Result<LoadReport> {
    let report = accept(opened, check(opened, g.config(), d.config())?, options)?;
    let targets = [g.parameters(), d.parameters(), g_ema.parameters()];
    for (network, target) in report.networks.iter().zip(targets) {
        if let Some(source) = network.source.and_then(|key| parameters(opened, key)) {
            copy(source, target, &network.tensors.loaded)?;
        }
    }
    Ok(report)
}

/// What [`init_from`] would load, without making networks.
///
/// # Errors
/// `Networks` when the settings are impossible.
pub fn check(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
) -> Result<LoadReport> {
    let g_slots = Generator::layout(g_config)?;
    let d_slots = Discriminator::layout(d_config)?;
    let g_config = NetworkConfig::Generator(g_config.clone());
    let d_config = NetworkConfig::Discriminator(d_config.clone());
    let mut report = LoadReport::default();
    for (key, instead, slots, config) in [
        ("G", Some("G_ema"), &g_slots, &g_config),
        ("D", None, &d_slots, &d_config),
        ("G_ema", Some("G"), &g_slots, &g_config),
    ] {
        let source = [Some(key), instead]
            .into_iter()
            .flatten()
            .find(|key| parameters(opened, key).is_some());
        if let Some(source) = source.filter(|source| *source != key) {
            report
                .notes
                .push(format!("the file has no {key}: it starts from {source}"));
        }
        report
            .networks
            .push(compare(opened, key, source, slots, config)?);
    }
    Ok(report)
}

fn accept(opened: &Opened, report: LoadReport, options: &TransferOptions) -> Result<LoadReport> {
    if report.fits() || options.allow_partial {
        return Ok(report);
    }
    Err(Error::Refused(Box::new(Refusal {
        file: opened.provenance.source.clone(),
        advice: advice(opened, &report),
        report,
    })))
}

fn compare(
    opened: &Opened,
    key: &'static str,
    source: Option<&'static str>,
    slots: &[TensorSlot],
    config: &NetworkConfig,
) -> Result<NetworkReport> {
    let mut held: Vec<(&str, &[usize])> = Vec::new();
    let (mut settings, mut free_settings) = (Vec::new(), Vec::new());
    if let Some(source) = source {
        let parameters = parameters(opened, source).into_iter();
        held = parameters
            .flat_map(Parameters::iter)
            .map(|(name, var, _)| (name, var.dims()))
            .filter(|(name, _)| !is_filter(name))
            .collect();
        let theirs = to_interop_config(key, config)?;
        let ours = to_interop_config(source, &config_of(opened, source, config))?;
        (free_settings, settings) = ours
            .differences(&theirs, false)
            .into_iter()
            .filter(|d| !is_idle(&d.setting, config, &config_of(opened, source, config)))
            .partition(|d| FREE.contains(&d.setting.as_str()));
    }
    let shapes: HashMap<&str, &[usize]> = held.iter().copied().collect();
    let mut tensors = interop::LoadReport::default();
    for slot in slots.iter().filter(|slot| !is_filter(&slot.name)) {
        let name = slot.name.clone();
        match shapes.get(slot.name.as_str()) {
            Some(shape) if *shape == slot.shape => tensors.loaded.push(name),
            Some(shape) => {
                let shapes = (name, shape.to_vec(), slot.shape.clone());
                tensors.mismatched.push(shapes);
            }
            None => tensors.missing.push(name),
        }
    }
    tensors.unused = held
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !slots.iter().any(|slot| slot.name == *name))
        .map(str::to_owned)
        .collect();
    Ok(NetworkReport {
        key,
        source,
        tensors,
        settings,
        free_settings,
    })
}

/// Settings that change no tensor's shape, but what the network computes from it.
fn is_function(setting: &str) -> bool {
    setting.ends_with("activation")
        || matches!(setting, "mapping.lr_multiplier" | "resample_filter")
}

/// Settings that neither network uses.
fn is_idle(setting: &str, a: &NetworkConfig, b: &NetworkConfig) -> bool {
    let unlabelled = |config: &NetworkConfig| match config {
        NetworkConfig::Generator(g) => g.c_dim == 0,
        NetworkConfig::Discriminator(d) => d.c_dim == 0,
    };
    let is_d = matches!(a, NetworkConfig::Discriminator(_));
    unlabelled(a)
        && unlabelled(b)
        && (setting == "mapping.embed_features"
            || (is_d && (setting == "cmap_dim" || setting.starts_with("mapping."))))
}

fn is_filter(name: &str) -> bool {
    name.ends_with("resample_filter")
}

fn copy(source: &Parameters, target: &Parameters, names: &[String]) -> Result<()> {
    for name in names {
        // Both sides have what the report calls loaded.
        if let (Some(from), Some(to)) = (source.get(name), target.get(name)) {
            let value: Tensor = from
                .as_detached_tensor()
                .to_device(to.device())?
                .to_dtype(to.dtype())?;
            to.set(&value.copy()?)?;
        }
    }
    Ok(())
}

fn parameters<'o>(opened: &'o Opened, key: &str) -> Option<&'o Parameters> {
    let networks = &opened.networks;
    match key {
        "G" => networks.g.as_ref().map(Generator::parameters),
        "D" => networks.d.as_ref().map(Discriminator::parameters),
        _ => networks.g_ema.as_ref().map(Generator::parameters),
    }
}

/// The settings of a network of the file; `none` when it is not there.
fn config_of(opened: &Opened, key: &str, none: &NetworkConfig) -> NetworkConfig {
    let networks = &opened.networks;
    let generator = |g: &Generator| NetworkConfig::Generator(g.config().clone());
    let config = match key {
        "G" => networks.g.as_ref().map(generator),
        "D" => networks
            .d
            .as_ref()
            .map(|d| NetworkConfig::Discriminator(d.config().clone())),
        _ => networks.g_ema.as_ref().map(generator),
    };
    config.unwrap_or_else(|| none.clone())
}
