//! The errors of this crate.

use thiserror::Error;

/// An error of the augmentation pipe.
#[derive(Debug, Error)]
pub enum AugmentError {
    /// A name in the text form of a pipe is neither a category nor a transform.
    #[error("'{name}' in augpipe '{text}' is no category or transform; valid: {valid}")]
    Name {
        /// The unknown name.
        name: String,
        /// The text of the whole pipe.
        text: String,
        /// All valid names.
        valid: String,
    },
    /// A strength is not a number of at least 0.
    #[error(
        "strength '{strength}' of '{item}' in augpipe is no number >= 0; write e.g. {item}=0.5"
    )]
    Strength {
        /// The category or transform with that strength.
        item: String,
        /// The strength as it was written.
        strength: String,
    },
    /// A probability is negative or not finite.
    #[error("augmentation probability {0} must be a number >= 0")]
    Probability(f64),
    /// A percentile is outside 0 to 1.
    #[error("augmentation percentile {0} must be a number from 0 to 1")]
    Percentile(f64),
    /// A color transform is on, but the images have this number of channels, neither 1 nor 3.
    #[error("color transforms need images of 1 or 3 channels, not {0}; leave out color")]
    Channels(usize),
    /// The images are too small to be padded by reflection.
    #[error("images of {width}x{height} are too small to augment; at least 2x2 is needed")]
    TooSmall {
        /// The width of the images in pixels.
        width: usize,
        /// The height of the images in pixels.
        height: usize,
    },
    /// A recorded draw has another distribution or another number of values than the pipe draws.
    #[error(
        "recorded draw {index} is {found}, but {expected} is drawn; was it recorded with another augpipe?"
    )]
    Replay {
        /// The index of the draw in the recording.
        index: usize,
        /// The distribution and number of values in the recording.
        found: String,
        /// The distribution and number of values that the pipe draws.
        expected: String,
    },
}
