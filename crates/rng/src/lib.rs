//! numpy's legacy `RandomState`: the same seed gives the same numbers, and the state can be saved.
//!
//! Latents of published seeds, dataset order and snapshot grids all hang on these streams. Public: [`RandomState`] and
//! its saved form [`SavedState`]. Absent on purpose: the newer `Generator` API, and distributions nobody draws from.

mod mt19937;
mod random_state;

pub use mt19937::SavedState;
pub use random_state::RandomState;
