//! Has an augmentation leaked into the generator?
//!
//! A leak means that some fakes look as only augmented reals do. So reals are augmented, one category at a time, and a
//! linear discriminant (shared covariance, one class for each category and one for plain reals) learns what each
//! category looks like; then it is asked about the fakes. Held-out reals say how often it is wrong.

mod category;
mod descriptors;
mod error;
mod meter;
mod rgb;
mod transforms;

pub use category::Category;
pub use error::{Error, Result};
pub use meter::{CategoryLeak, LeakMeter};
