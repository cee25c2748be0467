//! The convolution algorithm of the CPU.

use std::sync::atomic::{AtomicU8, Ordering};

/// The algorithm for 3x3 convolutions with stride 1; other shapes have one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ConvAlgorithm {
    /// A tap-by-tap product.
    Direct,
    /// Winograd F(2x2, 3x3): 2.25 times fewer multiplications, rounding as [`ConvAlgorithm::Direct`] (rms 3e-7).
    #[default]
    Winograd2,
    /// Winograd F(4x4, 3x3): 4 times fewer multiplications, rms error 1.6e-6, at most 2e-5 of the rms.
    Winograd4,
}

static CHOSEN: AtomicU8 = AtomicU8::new(1);

/// Chooses the algorithm for this process.
pub fn set_conv_algorithm(algorithm: ConvAlgorithm) {
    CHOSEN.store(algorithm as u8, Ordering::Relaxed);
}

/// The algorithm in use.
pub fn conv_algorithm() -> ConvAlgorithm {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => ConvAlgorithm::Direct,
        2 => ConvAlgorithm::Winograd4,
        _ => ConvAlgorithm::Winograd2,
    }
}
