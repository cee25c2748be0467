//! CPU kernels on slices; no tensors here. Convolutions, and what kernels are written with, are the crate `kernels`.

// Tiles of registers are indexed by row and column, and kernels take their buffers one by one.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]
// `dispatch!` names the instruction set even where plain loops are compiled for it.
#![allow(clippy::extra_unused_type_parameters)]

pub(crate) mod activation;
pub(crate) mod channels;
pub(crate) mod grid_sample;
pub(crate) mod normal;
pub(crate) mod update;
pub(crate) mod upfirdn;

pub(crate) use kernels::{conv, parallel, scratch, simd};
