//! The label of one sample.

use serde::{Deserialize, Serialize};

/// The label of a sample as `dataset.json` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// A class index; becomes a one-hot vector with as many entries as the largest class in the file plus one.
    Class(u32),
    /// A vector, used unchanged.
    Vector(Vec<f32>),
}
