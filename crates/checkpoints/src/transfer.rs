//! Transfer learning: copies the weights of a file by name into the networks of a new training run.

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

/// Options of [`init_from`] and [`load_into`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferOptions {
    /// Whether to use a file of which only a part fits. The tensors of the run that get no weights from the file then
    /// keep the weights that they had before. If `false`, such a file is an error.
    pub allow_partial: bool,
}

/// The networks at the start of a training run. Returned by [`init_from`].
pub struct InitialNetworks {
    /// The generator, trainable.
    pub g: Generator,
    /// The discriminator, trainable.
    pub d: Discriminator,
    /// The exponential moving average of the generator, not trained by gradients.
    pub g_ema: Generator,
    /// The tensors that were copied from the file, and those that did not fit.
    pub report: LoadReport,
}

/// Creates the networks of a training run on `device` with the weights of a file. Parameters and buffers (`w_avg`,
/// `noise_const`) are copied by name.
///
/// `G` and `G_ema` are each copied from the network of that name; if the file has only one of them, both are copied
/// from it. With [`TransferOptions::allow_partial`], tensors that do not fit keep the random weights drawn from
/// `random`. Layers that were frozen in the file are copied like others; `d_config` says which layers of the new run
/// are frozen.
///
/// # Errors
/// `Refused` when something does not fit and [`TransferOptions::allow_partial`] is not set; `Architecture` when
/// `g_config` or `d_config` is impossible; `Networks` when a network cannot be built on the device.
pub fn init_from(
    opened: &Opened,
    g_config: &GeneratorConfig,
    d_config: &DiscriminatorConfig,
    options: &TransferOptions,
    random: &mut dyn NormalSource,
    device: &Device,
) -> Result<InitialNetworks> {
    // Check before any memory is allocated.
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

/// Copies the weights of a file into existing networks, as [`init_from`] does, and returns which tensors fit.
///
/// # Errors
/// `Refused` when something does not fit and [`TransferOptions::allow_partial`] is not set; then no weight is changed.
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

/// Compares the networks of a file with the configurations of a run, as [`init_from`] does, without creating networks.
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

/// The configuration of the network `key` of a file; `None` if the file does not have it.
fn config_of(opened: &Opened, key: &str) -> Option<NetworkConfig> {
    let networks = &opened.networks;
    let generator = match key {
        "D" => return networks.d.as_ref().map(|d| d.config().clone().into()),
        "G" => networks.g.as_ref(),
        _ => networks.g_ema.as_ref(),
    };
    generator.map(|g| g.config().clone().into())
}

/// Names and shapes of the tensors of the network `key` of a file, without resampling filters.
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
