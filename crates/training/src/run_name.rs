//! The name of a run: what tells it from others, as the official program writes it.

/// Grows by a part for each setting that was typed: `faces-mirror-paper512-gamma0.5`.
pub(crate) struct RunName(String);

impl RunName {
    /// Begins with the name of the dataset.
    pub fn new(dataset: &str) -> Self {
        Self(dataset.to_owned())
    }

    /// Adds a part.
    pub fn note(&mut self, part: &str) {
        self.0.push('-');
        self.0.push_str(part);
    }

    /// Adds a number behind its name.
    pub fn note_number(&mut self, name: &str, value: f64) {
        self.note(&format!("{name}{}", general(value)));
    }

    /// The name.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A number as C's `%g` and Python's `:g` write it: six significant digits, no trailing zeros.
fn general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)))
        .unwrap_or((&scientific, 0));
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.abs());
    }
    trim(&format!("{value:.*}", (5 - exponent) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        // f"{x:g}" in Python 3.12
        let cases = [
            (0.3, "0.3"),
            (6.5536, "6.5536"),
            (10.0, "10"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1234567.0, "1.23457e+06"),
            (0.0, "0"),
            (123456.7, "123457"),
        ];
        for (value, text) in cases {
            assert_eq!(general(value), text);
        }
    }
}
