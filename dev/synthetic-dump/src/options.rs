//! The options of a dump.

use crate::style::Style;

/// Options of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpOptions {
    /// Seed of all random choices.
    pub seed: u32,
    /// Number of originals; the numbers of the other files grow in proportion.
    pub n_works: usize,
    /// The drawing style.
    pub style: Style,
    /// Seed of one character that all images show; `None` for different characters.
    pub character: Option<u32>,
}
