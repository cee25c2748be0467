//! Formats numbers as text.

/// Formats a number as C's `%g` and Python's `:g` do: with `digits` significant digits, without trailing zeros, with an
/// exponent for very small and very large numbers.
pub fn format_number(value: f64, digits: u8) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let digits = i32::from(digits.max(1));
    let scientific = format!("{value:.*e}", (digits - 1) as usize);
    let (mantissa, exponent) = scientific
        .split_once('e')
        .and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)))
        .unwrap_or((&scientific, 0));
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if !(-4..digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    trim(&format!("{value:.*}", (digits - 1 - exponent) as usize))
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
            assert_eq!(format_number(value, 6), text);
        }
        // f"{x:.4g}"
        for (value, text) in [(4.0213, "4.021"), (344.2345, "344.2"), (0.0, "0")] {
            assert_eq!(format_number(value, 4), text);
        }
    }
}
