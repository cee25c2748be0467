//! The error for a file that does not fit the networks of a run.

use std::fmt;

use architecture::{Difference, LoadReport};

/// A file that does not fit the networks of a run, with the differences and advice.
///
/// Displayed as one line with the reason, a table of the settings that differ, and the advice. Tensor names are in
/// [`Refusal::report`].
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// The tensors that fit and those that do not.
    pub report: LoadReport,
    /// Advice for the user, best first.
    pub advice: Vec<String>,
}

/// Rows of a table: networks, setting, value in the file, value here.
type Rows<'r> = Vec<(Vec<&'static str>, &'r Difference)>;

impl Refusal {
    /// The settings that differ, each once for all networks in which it differs in the same way.
    fn rows(&self) -> Rows<'_> {
        let mut rows: Rows<'_> = Vec::new();
        for network in &self.report.networks {
            for difference in &network.settings {
                match rows.iter_mut().find(|(_, known)| *known == difference) {
                    Some((keys, _)) => keys.push(network.key),
                    None => rows.push((vec![network.key], difference)),
                }
            }
        }
        rows
    }

    /// The first line, without the name of the file.
    fn reason(&self, rows: &Rows<'_>) -> String {
        let mut reasons = Vec::new();
        if let Some((_, first)) = rows.first() {
            let rest = match rows.len() {
                1 => String::new(),
                2 => " (and 1 more setting, below)".to_owned(),
                n => format!(" (and {} more settings, below)", n - 1),
            };
            reasons.push(format!(
                "{} {} instead of {}{rest}",
                first.setting, first.ours, first.theirs
            ));
        }
        for network in &self.report.networks {
            if network.source.is_none() {
                reasons.push(format!("it has no {}", network.key));
            } else if rows.is_empty() && !network.fits() {
                let n_fit = network.tensors.loaded.len();
                let n = network.tensors.n_wanted();
                reasons.push(format!(
                    "only {n_fit} of {n} tensors of {} fit",
                    network.key
                ));
            }
        }
        reasons.join("; ")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let reason = self.reason(&rows);
        write!(f, "{} cannot be used here: {reason}", self.file)?;
        if rows.len() > 1 {
            let header = ["setting", "file", "here", "networks"].map(str::to_owned);
            let cells = rows.iter().map(|(keys, d)| {
                let (file, here) = (d.ours.to_string(), d.theirs.to_string());
                [d.setting.clone(), file, here, keys.join(", ")]
            });
            let cells: Vec<[String; 4]> = std::iter::once(header).chain(cells).collect();
            let width = |at: usize| cells.iter().map(|row| row[at].len()).max().unwrap_or(0);
            let [a, b, c] = [0, 1, 2].map(width);
            for [setting, file, here, networks] in &cells {
                write!(f, "\n  {setting:<a$}  {file:>b$}  {here:>c$}  {networks}")?;
            }
        }
        for advice in &self.advice {
            write!(f, "\n{advice}")?;
        }
        Ok(())
    }
}
