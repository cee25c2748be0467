//! Checks whether augmentations have leaked into a generator.
//!
//! A leak means that some generated images ("fakes") look like augmented images, although no plain real image does. To
//! find leaks, real images are augmented with one [`Category`] at a time. A linear discriminant (one class for each
//! category and one for plain images, with shared covariance) is trained on their descriptors and then applied to the
//! fakes. Held-out real images give its error rates.

mod category;
mod descriptors;
mod error;
mod meter;
mod rgb;
mod transforms;

pub use category::Category;
pub use error::{Error, Result};
pub use meter::{CategoryLeak, LeakMeter};
