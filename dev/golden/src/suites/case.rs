//! The result of one comparison within a suite.

/// A comparison: its name, largest error and tolerance.
pub(super) struct Case {
    pub name: String,
    pub worst: f64,
    pub tolerance: f64,
}

impl Case {
    /// A comparison that allows no differences; `differences` is their number.
    pub fn exact(name: impl Into<String>, differences: usize) -> Self {
        Self {
            name: name.into(),
            worst: differences as f64,
            tolerance: 0.0,
        }
    }
}
