//! numpy's legacy `RandomState`: the same seed gives the same numbers, and the state can be saved.
//!
//! The latents of a seed, the order of the dataset and the choice of images for the snapshot grid are drawn from a
//! [`RandomState`], so that they are the same as with numpy. [`SavedState`] is its saved form. numpy's newer
//! `Generator` API and the distributions that this project does not use are not implemented.

mod mt19937;
mod random_state;

pub use mt19937::SavedState;
pub use random_state::RandomState;
