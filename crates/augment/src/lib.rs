//! Adaptive discriminator augmentation (ADA, arXiv:2006.06676).
//!
//! [`AugPipe`] says which transforms are on (`--augpipe`), [`AugmentPipe::draw`] draws all random numbers for a batch as
//! plain data ([`AugmentParams`]), [`Augmentation::apply`] does to the images what was drawn, on [`ops::Dual`], so that
//! gradient penalties go through it; [`AdaController`] steers the probability p.
//!
//! Absent on purpose: learning the parameters of the transforms; gradients go to the images only.

mod ada;
mod augpipe;
mod color;
mod erfinv;
mod error;
mod filter;
mod geometry;
mod params;
mod pipe;
mod source;
mod warp;

pub use ada::{AdaController, AdaOptions, AdaUpdate};
pub use augpipe::{AugPipe, Transform};
pub use error::AugmentError;
pub use params::{AugmentParams, BatchShape, Draw, Ranges};
pub use pipe::{AugmentPipe, Augmentation};
pub use source::{Distribution, RandomSource, Recorded, Recorder, Replay};
