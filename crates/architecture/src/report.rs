//! Reports which tensors and settings of a checkpoint file fit the networks of a training run.

use std::collections::HashMap;
use std::fmt;

use crate::compare::Difference;
use crate::modules::{Init, TensorSpec};
use crate::network::NetworkConfig;

/// The result of comparing the tensors of a file with the tensors of a network, by name and shape.
///
/// Resampling filters of the network are not compared, because they follow from its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorReport {
    /// Names of the tensors that the file and the network have with the same shape.
    pub loaded: Vec<String>,
    /// Names of the tensors that only the network has. They keep their random initial values.
    pub missing: Vec<String>,
    /// Tensors whose shapes differ: name, shape in the file, shape in the network. They keep their random initial
    /// values.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Names of the tensors that only the file has.
    pub unused: Vec<String>,
}

impl TensorReport {
    /// Compares the tensors of a file (`held`: name and shape of each) with the tensors of a network (`wanted`).
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

    /// Whether the file and the network have the same tensors with the same shapes.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unused.is_empty()
    }

    /// Number of tensors of the network, without resampling filters.
    pub fn n_wanted(&self) -> usize {
        self.loaded.len() + self.missing.len() + self.mismatched.len()
    }
}

/// The result of comparing a file with one network of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkReport {
    /// The network of the run: `G`, `D` or `G_ema`.
    pub key: &'static str,
    /// The network of the file from which the network of the run gets its weights: `G`, `D` or `G_ema`; `None` when the
    /// file has no suitable network.
    pub source: Option<&'static str>,
    /// The comparison of the tensors.
    pub tensors: TensorReport,
    /// Settings that differ although they should be equal. [`Difference::ours`] is the value in the file,
    /// [`Difference::theirs`] that of the run.
    pub settings: Vec<Difference>,
    /// Settings that differ and are free to do so ([`Difference::is_free`]). As in `settings`, [`Difference::ours`] is
    /// the value in the file.
    pub free_settings: Vec<Difference>,
}

impl NetworkReport {
    /// Compares a network of a file with the network `key` of a run.
    ///
    /// `source` is the key and configuration of the network of the file (`None` if there is none), `held` the name and
    /// shape of each of its tensors, `wanted` the configuration of the network of the run.
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

    /// Whether the file has a network for this network of the run, with the same tensors and with equal values of all
    /// settings that change the output ([`Difference::is_function`]).
    pub fn fits(&self) -> bool {
        self.source.is_some()
            && self.tensors.is_complete()
            && !self.settings.iter().any(Difference::is_function)
    }
}

/// The result of comparing a file with all networks of a training run. The `Display` text has one line per network and
/// note.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// One report each for `G`, `D` and `G_ema` of the run.
    pub networks: Vec<NetworkReport>,
    /// Remarks for the user, for example that `G` gets the weights of `G_ema` because the file has no `G`.
    pub notes: Vec<String>,
}

impl LoadReport {
    /// Whether every network fits; see [`NetworkReport::fits`].
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

/// One line such as `G: 27 of 93 tensors loaded; 2 not in the file (a, b); ...; mapping.num_layers is 8 in the file, 2
/// here`. It lists at most 4 tensor names of each kind; the alternate format `{:#}` lists all.
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

/// Joins the first 4 names, or all of them if `is_whole`, with commas; adds the number of the others.
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
