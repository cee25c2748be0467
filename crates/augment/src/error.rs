//! Errors of this crate.

use thiserror::Error;

/// Error of the augment pipe.
#[derive(Debug, Error)]
pub enum AugmentError {
    /// A word that is neither a category nor a transform.
    #[error("'{name}' in augpipe '{text}' is no category or transform; valid: {valid}")]
    Name {
        /// The word.
        name: String,
        /// The whole text.
        text: String,
        /// All valid words.
        valid: String,
    },
    /// A strength that is not a number of at least 0.
    #[error(
        "strength '{strength}' of '{item}' in augpipe is no number >= 0; write e.g. {item}=0.5"
    )]
    Strength {
        /// The category or transform.
        item: String,
        /// The text of the strength.
        strength: String,
    },
    /// A probability that is negative or not a number.
    #[error("augmentation probability {0} must be a number >= 0")]
    Probability(f64),
    /// A percentile outside 0 to 1.
    #[error("augmentation percentile {0} must be a number from 0 to 1")]
    Percentile(f64),
    /// Color transforms on images that are neither gray nor RGB.
    #[error("color transforms need images of 1 or 3 channels, not {0}; leave out color")]
    Channels(usize),
    /// Images too small to reflect.
    #[error("images of {width}x{height} are too small to augment; at least 2x2 is needed")]
    TooSmall {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
    },
    /// Recorded numbers that do not match the draw.
    #[error(
        "recorded draw {index} is {found}, but {expected} is drawn; was it recorded with another augpipe?"
    )]
    Replay {
        /// Position in the recording.
        index: usize,
        /// The recorded distribution and count.
        found: String,
        /// The drawn distribution and count.
        expected: String,
    },
}
