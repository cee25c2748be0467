//! The tensors of a golden checkpoint by name.

use std::collections::BTreeMap;

use interop::Tensor;

pub(super) type Weights = BTreeMap<String, Tensor>;
