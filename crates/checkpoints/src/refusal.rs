//! The error for a file whose networks do not fit those of a training run.

use std::fmt;

use architecture::{Difference, LoadReport};

/// The reasons why the networks of a file do not fit those of a training run, with advice for the user.
///
/// The `Display` text is one line with the reason, a table of the settings that differ (if more than one), and the
/// advice. The names of the tensors that do not fit are in [`Refusal::report`].
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Name of the file, without folders.
    pub file: String,
    /// The comparison of the file with the networks of the run.
    pub report: LoadReport,
    /// Sentences of advice for the user, best first.
    pub advice: Vec<String>,
}

/// Rows of the table of settings. Each row is one setting with its values in the file and in the run, after the keys of
/// the networks in which it differs.
type Rows<'r> = Vec<(Vec<&'static str>, &'r Difference)>;

impl Refusal {
    /// The settings that differ. Networks in which a setting differs in the same way share one row.
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

    /// The reason in the first line of the message.
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
