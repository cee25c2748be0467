//! Limits on the length of ICC profiles.

/// Largest length of a profile in bytes; longer ones are ignored. Profiles of RGB devices have a few KB, and reading a
/// long one takes time and memory.
const MAX_LENGTH: usize = 4 << 20;
/// Length of the profile header in bytes (ICC.1:2022, 7.2); no profile is shorter.
const MIN_LENGTH: usize = 128;

/// Whether the length of a profile is within `MIN_LENGTH..=MAX_LENGTH`; other profiles are ignored.
pub fn has_plausible_length(icc: &[u8]) -> bool {
    (MIN_LENGTH..=MAX_LENGTH).contains(&icc.len())
}
