//! Limits on the shape of a tensor, in the file and while shapes are inferred.

/// Dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// Elements of a tensor. Offsets within it stay far inside the 32 bits that the runtime's convolutions compute in.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
