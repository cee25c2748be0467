//! Limits on the shape of a tensor, in the file and while shapes are inferred.

/// The most dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// The most elements of a tensor. Offsets stay far within the 32 bits of the runtime's convolutions.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
