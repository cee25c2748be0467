//! Instruction sets, and the choice of one for the kernels of this process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust without intrinsics, 8 lanes; the compiler uses the features that the target has by default.
    Portable,
    /// AVX2 and FMA, 8 lanes.
    Avx2,
    /// AVX-512 (F, VL, DQ, BW) and FMA, 16 lanes.
    Avx512,
}

impl Isa {
    /// All instruction sets that this machine supports, the slowest first.
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter(|isa| isa.is_supported())
            .collect()
    }

    /// Number of f32 values in a vector; also the number of channels in a block of the kernels' scratch layouts.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2 | Isa::Portable => 8,
        }
    }

    /// Whether this machine supports the instruction set.
    pub fn is_supported(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = match std::env::var("KAOGAN_SIMD").as_deref() {
                Ok("portable") => Isa::Portable,
                Ok("avx2") => Isa::Avx2,
                _ => Isa::Avx512,
            };
            [wanted, Isa::Avx2, Isa::Portable]
                .into_iter()
                .find(|isa| isa.is_supported())
                .unwrap_or(Isa::Portable)
        })
    }
}

static FORCED: AtomicU8 = AtomicU8::new(0);

/// The instruction set that the kernels of this process use.
///
/// This is the one set by [`force_isa`], if any, otherwise the one that the environment variable `KAOGAN_SIMD` names
/// (`portable`, `avx2` or `avx512`), otherwise the best one that this machine supports. If the variable names an
/// instruction set that this machine lacks, the best supported one below it is used.
pub fn isa() -> Isa {
    match FORCED.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => Isa::best(),
    }
}

/// Makes all kernels of this process use `isa` from now on; `None` restores the default.
///
/// # Panics
/// When this machine does not support `isa`.
pub fn force_isa(isa: Option<Isa>) {
    let code = match isa {
        None => 0,
        Some(isa) => {
            assert!(isa.is_supported(), "this machine cannot run {isa:?}");
            isa as u8 + 1
        }
    };
    FORCED.store(code, Ordering::Relaxed);
}
