//! The process-wide choice of convolution algorithm on the CPU.

use std::sync::atomic::{AtomicU8, Ordering};

/// The CPU algorithm for 3x3 convolutions with stride 1.
///
/// The setting has no effect on other convolutions. These use the direct algorithm, or a matrix product if they are 1x1
/// with stride 1 and no padding. The direct algorithm is also used for 3x3 convolutions with fewer than 8 input or
/// output channels per group, a result smaller than 4x4, a padding above 2, or
/// [`swapped`](crate::conv::ConvGeometry::swapped) weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ConvAlgorithm {
    /// Sums the products of inputs and kernel values without a transform.
    Direct,
    /// Winograd F(2x2, 3x3): 2.25 times fewer multiplications. The rms error, relative to the rms of the result, is
    /// 3e-7, as with [`ConvAlgorithm::Direct`].
    #[default]
    Winograd2,
    /// Winograd F(4x4, 3x3): 4 times fewer multiplications. Relative to the rms of the result, the rms error is 1.6e-6
    /// and the largest error 2e-5.
    Winograd4,
}

static CHOSEN: AtomicU8 = AtomicU8::new(1);

/// Sets the algorithm of this process. Weights that were prepared before are still used with the algorithm that they
/// were prepared for.
pub fn set_conv_algorithm(algorithm: ConvAlgorithm) {
    CHOSEN.store(algorithm as u8, Ordering::Relaxed);
}

/// The algorithm that this process uses; [`ConvAlgorithm::Winograd2`] unless set otherwise.
pub fn conv_algorithm() -> ConvAlgorithm {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => ConvAlgorithm::Direct,
        2 => ConvAlgorithm::Winograd4,
        _ => ConvAlgorithm::Winograd2,
    }
}
