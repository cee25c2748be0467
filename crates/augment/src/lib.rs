//! Adaptive discriminator augmentation (ADA, arXiv:2006.06676).
//!
//! [`AugPipe`] holds the strength of each transform (`--augpipe`). [`AugmentPipe::draw`] draws the random parameters of
//! a batch as plain data ([`AugmentParams`]). [`Augmentation::apply`] transforms the images as an [`ops::Dual`], so
//! that gradient penalties can be computed through the augmentation. [`AdaController`] adapts the augmentation
//! probability p.
//!
//! ```
//! use augment::{AugPipe, AugmentPipe, Augmentation, BatchShape, Ranges};
//! use candle_core::{DType, Device, Tensor};
//! use ops::Dual;
//!
//! let pipe = AugmentPipe {
//!     transforms: "blit,color".parse::<AugPipe>()?,
//!     ranges: Ranges::default(),
//! };
//! let images = Tensor::zeros((4, 3, 32, 32), DType::F32, &Device::Cpu)?;
//! let mut rng = rng::RandomState::new(0);
//! let params = pipe.draw(&mut rng, 0.6, BatchShape::of(&images)?)?;
//! let augmented = Augmentation::new(params)?.apply(&Dual::from(&images))?;
//! assert_eq!(augmented.primal.dims(), images.dims());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The parameters of the transforms cannot be learned: gradients are computed with respect to the images only.

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
