//! A comparison within a suite.

/// One comparison.
pub(super) struct Case {
    pub name: String,
    pub worst: f64,
    pub tolerance: f64,
}

impl Case {
    /// A comparison that allows no difference.
    pub fn exact(name: impl Into<String>, differences: usize) -> Self {
        Self {
            name: name.into(),
            worst: differences as f64,
            tolerance: 0.0,
        }
    }
}
