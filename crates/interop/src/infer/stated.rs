//! Settings that a file states, compared with those that its tensors show.

use std::str::FromStr;

use architecture::Activation;
use serde::Serialize;
use serde_json::Value as Json;

use crate::error::{Error, Result, layout};

/// The settings that a file states: NVIDIA's constructor arguments as nested JSON. A setting is addressed by a path
/// such as `mapping_kwargs.num_layers`. `assumed` collects the settings that were not stated and got a default.
pub(crate) struct Stated<'s> {
    json: &'s Json,
    /// Whether the format of the file defines that a missing setting has the default of NVIDIA's code. Otherwise the
    /// default is recorded in `assumed`.
    defaults_hold: bool,
    pub(super) assumed: Vec<String>,
    /// Default of `mbstd_group_size` in the format of the file; `None` is the whole batch.
    pub mbstd_group_size: Option<usize>,
}

impl<'s> Stated<'s> {
    /// Creates the settings from constructor arguments; a missing argument has the default of NVIDIA's code.
    pub fn new(json: &'s Json) -> Self {
        Self {
            json,
            defaults_hold: true,
            assumed: Vec::new(),
            mbstd_group_size: Some(4),
        }
    }

    /// For a file without settings: each setting that its tensors do not determine gets its default, which is recorded
    /// as assumed.
    pub fn nothing() -> Self {
        Self {
            defaults_hold: false,
            ..Self::new(&Json::Null)
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&'s Json> {
        path.split('.')
            .try_fold(self.json, |json, key| json.get(key))
    }

    /// Returns `found`, the value that follows from the shapes.
    ///
    /// # Errors
    /// `Contradiction` when the file states another value.
    pub(super) fn check(&self, path: &str, found: usize) -> Result<usize> {
        match self.get(path) {
            None | Some(Json::Null) => Ok(found),
            Some(stated) if stated.as_f64() == Some(found as f64) => Ok(found),
            Some(stated) => Err(contradiction(path, stated, found.to_string())),
        }
    }

    /// Returns the value of the setting at `path`, which the tensor shapes do not determine: the stated value,
    /// converted by `read`, or `default` if the file does not state the setting.
    ///
    /// # Errors
    /// `Layout` when `read` returns `None` for the stated value.
    pub(super) fn take<T: Serialize>(
        &mut self,
        path: &str,
        default: T,
        read: impl Fn(&Json) -> Option<T>,
    ) -> Result<T> {
        match self.get(path) {
            None => {
                if !self.defaults_hold {
                    self.assumed
                        .push(format!("{path} = {}", serde_json::to_string(&default)?));
                }
                Ok(default)
            }
            Some(json) => read(json)
                .ok_or_else(|| layout!("the file states {path} = {json}, which cannot be used")),
        }
    }

    pub(super) fn activation(&mut self, path: &str) -> Result<Activation> {
        if let Some(Err(what)) = self
            .get(path)
            .and_then(Json::as_str)
            .map(Activation::from_str)
        {
            return Err(layout!("the file states {path}: {what}"));
        }
        self.take(path, Activation::Lrelu, |json| json.as_str()?.parse().ok())
    }
}

pub(super) fn contradiction(path: &str, stated: &Json, found: String) -> Error {
    Error::Contradiction {
        what: path.to_owned(),
        stated: stated.to_string(),
        found,
    }
}

pub(super) fn optional_number(json: &Json) -> Option<Option<f64>> {
    match json {
        Json::Null => Some(None),
        other => other.as_f64().map(Some),
    }
}

pub(super) fn size(json: &Json) -> Option<usize> {
    json.as_f64()
        .filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v))
        .map(|v| v as usize)
}

pub(super) fn optional_size(json: &Json) -> Option<Option<usize>> {
    match json {
        Json::Null => Some(None),
        other => size(other).map(Some),
    }
}
