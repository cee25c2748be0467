//! Fit of the tensors of a file to the networks of a run.

use std::collections::HashMap;
use std::fmt;

use crate::compare::Difference;
use crate::modules::{Init, TensorSpec};
use crate::network::NetworkConfig;

/// Fit of the tensors of a file to a network, by name and shape.
///
/// Resampling filters are not counted among the tensors of the network: they follow from its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorReport {
    /// Tensors that fit.
    pub loaded: Vec<String>,
    /// Tensors that the network has and the file has not: they stay random.
    pub missing: Vec<String>,
    /// Tensors of another shape: name, shape in the file, shape in the network.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors of the file that the network does not have.
    pub unused: Vec<String>,
}

impl TensorReport {
    /// Compares the tensors of a file, names and shapes, with those of a network.
    pub fn new(held: &[(&str, &[usize])], wanted: &[TensorSpec]) -> Self {
        let shapes: HashMap<&str, &[usize]> = held.iter().copied().collect();
        let mut report = Self::default();
        let learned = |spec: &&TensorSpec| !matches!(spec.init, Init::Fixed(_));
        for spec in wanted.iter().filter(learned) {
            let name = spec.name.clone();
            match shapes.get(spec.name.as_str()) {
                Some(shape) if *shape == spec.shape => report.loaded.push(name),
                Some(shape) => {
                    let shapes = (name, shape.to_vec(), spec.shape.clone());
                    report.mismatched.push(shapes);
                }
                None => report.missing.push(name),
            }
        }
        report.unused = held
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !wanted.iter().any(|spec| spec.name == *name))
            .map(str::to_owned)
            .collect();
        report
    }

    /// Whether everything fits.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unused.is_empty()
    }

    /// Number of tensors that the network needs.
    pub fn n_wanted(&self) -> usize {
        self.loaded.len() + self.missing.len() + self.mismatched.len()
    }
}

/// Fit of a file to one network of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkReport {
    /// `G`, `D` or `G_ema` of the run.
    pub key: &'static str,
    /// The network of the file that it starts from; `None` when the file has none.
    pub source: Option<&'static str>,
    /// Tensors by name.
    pub tensors: TensorReport,
    /// Settings that must be equal and are not. `ours` is the file, `theirs` the run.
    pub settings: Vec<Difference>,
    /// Settings that differ and that a run may choose freely.
    pub free_settings: Vec<Difference>,
}

impl NetworkReport {
    /// Compares a network of a file, its configuration and the names and shapes of its tensors, with a network of a
    /// run.
    pub fn new(
        key: &'static str,
        source: Option<(&'static str, &NetworkConfig)>,
        held: &[(&str, &[usize])],
        wanted: &NetworkConfig,
    ) -> Self {
        let differences = source.map(|(_, config)| config.differences(wanted));
        let (free_settings, settings) = differences
            .into_iter()
            .flatten()
            .partition(Difference::is_free);
        Self {
            key,
            source: source.map(|(key, _)| key),
            tensors: TensorReport::new(held, &wanted.state_dict()),
            settings,
            free_settings,
        }
    }

    /// Whether every tensor of the network is in the file, no tensor of the file is left over, and they mean the same.
    pub fn fits(&self) -> bool {
        self.source.is_some()
            && self.tensors.is_complete()
            && !self.settings.iter().any(Difference::is_function)
    }
}

/// Fit of a file to the networks of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// `G`, `D`, `G_ema`.
    pub networks: Vec<NetworkReport>,
    /// Remarks, such as a network that starts from another one.
    pub notes: Vec<String>,
}

impl LoadReport {
    /// Whether everything fits.
    pub fn fits(&self) -> bool {
        self.networks.iter().all(NetworkReport::fits)
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, network) in self.networks.iter().enumerate() {
            write!(f, "{}", if i == 0 { "" } else { "\n" })?;
            fmt::Display::fmt(network, f)?;
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

/// The first names of each kind, or with `{:#}` all of them:
/// `G: 27 of 93 tensors loaded; 2 missing (a, b); ...; mapping.num_layers is 8 in the file, 2 here`.
impl fmt::Display for NetworkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.tensors;
        let wanted = t.n_wanted();
        write!(f, "{}: ", self.key)?;
        if self.source.is_none() {
            return write!(f, "not in the file, {wanted} tensors stay random");
        }
        write!(f, "{} of {wanted} tensors loaded", t.loaded.len())?;
        if !t.missing.is_empty() {
            let listed = names(&t.missing, f.alternate());
            write!(f, "; {} not in the file ({listed})", t.missing.len())?;
        }
        if !t.mismatched.is_empty() {
            let shapes: Vec<String> = t
                .mismatched
                .iter()
                .map(|(name, file, run)| format!("{name} is {file:?}, not {run:?}"))
                .collect();
            let listed = names(&shapes, f.alternate());
            write!(f, "; {} of another shape ({listed})", t.mismatched.len())?;
        }
        if !t.unused.is_empty() {
            let listed = names(&t.unused, f.alternate());
            write!(
                f,
                "; {} of the file without a place ({listed})",
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

/// The first few names of a list, or all of them.
fn names(names: &[String], is_whole: bool) -> String {
    let n_shown = match is_whole {
        true => names.len(),
        false => names.len().min(4),
    };
    let shown = names[..n_shown].join(", ");
    match names.len() - n_shown {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
