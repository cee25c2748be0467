//! Weights of a golden checkpoint.

use std::collections::BTreeMap;

use interop::Tensor;

pub(super) type Weights = BTreeMap<String, Tensor>;
