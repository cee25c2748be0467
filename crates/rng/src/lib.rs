//! numpy's legacy `RandomState`: the same seed gives the same numbers, and the state can be saved.
//!
//! The latents of a published seed, the order of the dataset and the images of the snapshot grid are all drawn from
//! such streams. Public: [`RandomState`] and its saved form [`SavedState`]. Absent on purpose: numpy's newer
//! `Generator` API, and the distributions that this project does not use.

mod mt19937;
mod random_state;

pub use mt19937::SavedState;
pub use random_state::RandomState;
