//! CPU kernels on slices, without tensors. Convolutions and the SIMD and thread helpers are in the crate `kernels`.

// The loops index register tiles by row and column, and the kernels take each buffer as an argument.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]
// `dispatch!` makes functions generic over the instruction set, even those whose loops never mention it.
#![allow(clippy::extra_unused_type_parameters)]

pub(crate) mod activation;
pub(crate) mod channels;
pub(crate) mod grid_sample;
pub(crate) mod normal;
pub(crate) mod update;
pub(crate) mod upfirdn;

pub(crate) use kernels::{conv, parallel, scratch, simd};
