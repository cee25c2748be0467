//! Golden data: numbers of the reference implementation, and how far ours are from them.

pub mod pickle;

/// One comparison with golden data.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// Folder of the golden data.
    pub suite: String,
    /// What was compared.
    pub case: String,
    /// The largest deviation found.
    pub worst: f64,
    /// The largest deviation allowed.
    pub tolerance: f64,
}

impl CaseResult {
    /// Whether the deviation is within the tolerance; NaN is not.
    pub fn passed(&self) -> bool {
        self.worst <= self.tolerance
    }
}
