//! Where generators and metrics meet: the images that a network is judged by, inside a run and later.
//!
//! [`FakeImages`] makes them, [`probe_diversity`] takes a cheap look at how much they differ.

mod fake_images;
mod paths;
mod streams;

pub use fake_images::{Error, FakeImages, Result, probe_diversity, to_u8};
