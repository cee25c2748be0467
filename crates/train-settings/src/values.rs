//! Parses and writes values of settings, in the formats of the command line and of settings files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::augment_mode::AugmentMode;

/// Parses the size of a grid, such as `12x8`, to columns and rows. A grid has at most 4096 images.
///
/// # Errors
/// For any other text, with a message for the user.
pub fn parse_grid(text: &str) -> Result<[usize; 2], String> {
    let parts = text.split_once('x').and_then(|(columns, rows)| {
        let (columns, rows) = (columns.parse().ok()?, rows.parse().ok()?);
        ((1..=4096).contains(&columns) && (1..=4096 / columns).contains(&rows))
            .then_some([columns, rows])
    });
    parts.ok_or_else(|| "columns and rows are wanted, as 12x8, at most 4096 images".to_owned())
}

/// Parses a number; `none` gives infinity.
pub(crate) fn parse_limit(text: &str) -> Result<f64, String> {
    match text {
        "none" => Ok(f64::INFINITY),
        text => text
            .parse()
            .map_err(|_| "a number or 'none' is wanted".to_owned()),
    }
}

/// Parses an augmentation mode: `ada`, `noaug` or `fixed`.
pub(crate) fn parse_mode(text: &str) -> Result<AugmentMode, String> {
    let modes = [AugmentMode::Ada, AugmentMode::Noaug, AugmentMode::Fixed];
    let mode = modes.into_iter().find(|mode| mode.name() == text);
    mode.ok_or_else(|| "there are ada, noaug and fixed".to_owned())
}

/// A value in a settings file, either of its own type or as text in the format of the command line.
#[derive(Deserialize)]
#[serde(untagged)]
enum OrText<T> {
    Value(T),
    Text(String),
}

/// Deserializes a list of names, or a text of names separated by commas.
pub(crate) fn names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let value = Option::<OrText<Vec<String>>>::deserialize(deserializer)?;
    Ok(value.map(|value| match value {
        OrText::Value(names) => names,
        OrText::Text(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    }))
}

/// Deserializes columns and rows, from `[12, 8]` or `"12x8"`.
pub(crate) fn columns_and_rows<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    let value = Option::<OrText<[usize; 2]>>::deserialize(deserializer)?;
    let Some(value) = value else { return Ok(None) };
    let size = match value {
        OrText::Value(size) => Some(size),
        OrText::Text(text) => text.split_once('x').and_then(|(columns, rows)| {
            Some([columns.trim().parse().ok()?, rows.trim().parse().ok()?])
        }),
    };
    let wanted = || serde::de::Error::custom("columns and rows are wanted, as \"12x8\" or [12, 8]");
    size.map(Some).ok_or_else(wanted)
}

/// Deserializes a number; the text `none` gives infinity.
pub(crate) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<OrText<f64>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(OrText::Value(value)) => Ok(Some(value)),
        Some(OrText::Text(text)) if text == "none" => Ok(Some(f64::INFINITY)),
        Some(OrText::Text(text)) => Err(serde::de::Error::custom(format!(
            "'{text}' is neither a number nor 'none'"
        ))),
    }
}

/// Serializes a limit so that [`limit`] can read it; infinity becomes `none`.
pub(crate) fn write_limit<S: Serializer>(
    limit: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match limit {
        // JSON has no infinity.
        Some(limit) if limit.is_infinite() => serializer.serialize_str("none"),
        limit => limit.serialize(serializer),
    }
}
