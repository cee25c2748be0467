//! Transfer learning: weights of a file copied by name into the networks of a new run.

use architecture::{
    DiscriminatorConfig, GeneratorConfig, LoadReport, NetworkConfig, NetworkDefinition,
    NetworkReport,
};
use candle_core::{Device, Tensor};
use networks::{Discriminator, Generator, NormalSource, Parameters};

use crate::advice::advice;
use crate::error::{Error, Result};
use crate::opened::Opened;
use crate::refusal::Refusal;

/// Options of a transfer of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferOptions {
    /// Whether tensors that do not fit keep their random weights. Otherwise a file that does not fit is an error.
    pub allow_partial: bool,
}

/// The networks that a run starts with.
pub struct InitialNetworks {
    /// Generator, with gradients.
    pub g: Generator,
    /// Discriminator, with gradients.
    pub d: Discriminator,
    /// Moving average of the generator, without gradients.
    pub g_ema: Generator,
    /// The tensors that were loaded and those that did not fit.
    pub report: LoadReport,
}

/// Creates networks of the given architecture with the weights of a file: parameters and buffers (`w_avg`, `noise_const`) are
/// copied by name, to `G` and `G_ema` each from the network of that name. Where the file has only one of them, both get its
/// weights. Tensors that do not fit keep the random weights drawn from `random`. Frozen layers of the file are copied like
/// others; the run has its own setting for frozen layers.
///
/// # Errors
/// `Refused` when something does not fit and [`TransferOptions::allow_partial`] is not set; `Architecture` when the
/// settings are impossible.
pub fn init_from(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
    options: &TransferOptions,
    random: &mut dyn NormalSource,
    device: &Device,
) -> Result<InitialNetworks> {
    // Before any memory is allocated.
    accept(opened, g_config, d_config, options)?;
    let g = Generator::new(g_config, random, device)?;
    let d = Discriminator::new(d_config, random, device)?;
    let g_ema = g.deep_copy()?;
    let report = load_into(opened, &g, &d, &g_ema, options)?;
    Ok(InitialNetworks {
        g,
        d,
        g_ema,
        report,
    })
}

/// As [`init_from`], for existing networks.
///
/// # Errors
/// `Refused` as there; no weight is changed then.
pub fn load_into(
    opened: &Opened,
    g: &Generator,
    d: &Discriminator,
    g_ema: &Generator,
    options: &TransferOptions,
) -> Result<LoadReport> {
    let report = accept(opened, g.config(), d.config(), options)?;
    let targets = [g.parameters(), d.parameters(), g_ema.parameters()];
    for (network, target) in report.networks.iter().zip(targets) {
        if let Some(source) = network.source.and_then(|key| parameters(opened, key)) {
            copy(source, target, &network.tensors.loaded)?;
        }
    }
    Ok(report)
}

/// The report of [`init_from`], without creating networks.
///
/// # Errors
/// `Architecture` when the settings are impossible.
pub fn check(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
) -> Result<LoadReport> {
    g_config.validate()?;
    d_config.validate()?;
    let g_config = NetworkConfig::Generator(g_config.clone());
    let d_config = NetworkConfig::Discriminator(d_config.clone());
    let mut report = LoadReport::default();
    for (key, instead, config) in [
        ("G", Some("G_ema"), &g_config),
        ("D", None, &d_config),
        ("G_ema", Some("G"), &g_config),
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
        let source = source.and_then(|key| Some((key, config_of(opened, key)?)));
        let held = source.iter().flat_map(|(key, _)| shapes(opened, key));
        let held: Vec<(&str, &[usize])> = held.collect();
        let source = source.as_ref().map(|(key, config)| (*key, config));
        report
            .networks
            .push(NetworkReport::new(key, source, &held, config));
    }
    Ok(report)
}

fn accept(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
    options: &TransferOptions,
) -> Result<LoadReport> {
    let report = check(opened, g_config, d_config)?;
    if report.fits() || options.allow_partial {
        return Ok(report);
    }
    tracing::debug!("{}: {report:#}", opened.provenance.source);
    let fits = |g: &GeneratorConfig, d: &DiscriminatorConfig| {
        check(opened, g, d).is_ok_and(|report| report.fits())
    };
    Err(Error::Refused(Box::new(Refusal {
        file: opened.provenance.source.clone(),
        advice: advice(&report, g_config, d_config, &fits),
        report,
    })))
}

fn copy(source: &Parameters, target: &Parameters, names: &[String]) -> Result<()> {
    for name in names {
        // The report lists only tensors that both networks have.
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

/// The configuration of a network of the file.
fn config_of(opened: &Opened, key: &str) -> Option<NetworkConfig> {
    let networks = &opened.networks;
    let generator = match key {
        "D" => return networks.d.as_ref().map(|d| d.config().clone().into()),
        "G" => networks.g.as_ref(),
        _ => networks.g_ema.as_ref(),
    };
    generator.map(|g| g.config().clone().into())
}

/// Names and shapes of the tensors of a network of the file, without resampling filters.
fn shapes<'o>(
    opened: &'o Opened,
    key: &str,
) -> impl Iterator<Item = (&'o str, &'o [usize])> + use<'o> {
    let tensors = parameters(opened, key)
        .into_iter()
        .flat_map(Parameters::iter);
    tensors
        .filter(|(name, ..)| !name.ends_with("resample_filter"))
        .map(|(name, var, _)| (name, var.dims()))
}
