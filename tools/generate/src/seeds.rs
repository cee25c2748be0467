//! Parses lists of numbers on the command line.

use std::str::FromStr;

/// Largest number of entries in a list; a longer one is probably a typing error.
const MOST: usize = 1_000_000;

/// A list of seeds such as `85`, `0-99` or `1,5,7-9`, in the given order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u32>);

/// A list of layer indices from 0, such as `0-6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers(pub Vec<usize>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(Self)
    }
}

impl FromStr for Layers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let layers = parse(text)?;
        Ok(Self(layers.into_iter().map(|n| n as usize).collect()))
    }
}

fn parse(text: &str) -> Result<Vec<u32>, String> {
    let number = |text: &str| {
        text.trim().parse::<u32>().map_err(|_| {
            format!(
                "'{}' is not a whole number from 0 to {}",
                text.trim(),
                u32::MAX
            )
        })
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        // A leading minus sign does not make a range.
        let (first, last) = match part.trim().split_once('-') {
            Some((first, last)) if !first.is_empty() => (number(first)?, number(last)?),
            _ => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(format!("'{}' goes backwards", part.trim()));
        }
        if (last - first) as usize >= MOST - all.len().min(MOST) {
            return Err(format!("more than {MOST} numbers: use several runs"));
        }
        all.extend(first..=last);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        let seeds = |text: &str| text.parse::<Seeds>().map(|s| s.0);
        assert_eq!(seeds("85").unwrap(), [85]);
        assert_eq!(seeds("7, 0-3,5-5").unwrap(), [7, 0, 1, 2, 3, 5]);
        assert_eq!(seeds("4294967295").unwrap(), [u32::MAX]);
        for bad in [
            "",
            "a",
            "-1",
            "3-1",
            "1-",
            "4294967296",
            "1,,2",
            "0-4294967295",
        ] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
        assert!(seeds("0-999998,5").is_ok() && seeds("0-999999,5").is_err());
        assert_eq!("0-2".parse::<Layers>().unwrap().0, [0, 1, 2]);
    }
}
