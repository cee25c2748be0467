//! Where generators and metrics meet: the images that a network is judged by, inside a run and later.
//!
//! [`FakeImages`] makes them, [`probe_diversity`] takes a cheap look at how much they differ.

mod error;
mod fake_images;
mod paths;
mod streams;

pub use error::{Error, Result};
pub use fake_images::{FakeImages, probe_diversity, to_u8};
