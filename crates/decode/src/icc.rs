//! Limits on color profiles.

/// Longer profiles are ignored: those of RGB devices have a few KB, and reading one takes time and memory.
const MAX_LENGTH: usize = 4 << 20;
/// The header alone has this many bytes (ICC.1:2022, 7.2).
const MIN_LENGTH: usize = 128;

/// Whether a profile has a length that is worth reading.
pub fn has_plausible_length(icc: &[u8]) -> bool {
    (MIN_LENGTH..=MAX_LENGTH).contains(&icc.len())
}
