//! Limits on the shape of a tensor, both in the file and in shape inference.

/// Largest number of dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// Largest number of elements of a tensor, such that offsets fit in the 32 bits of the runtime's convolutions.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
