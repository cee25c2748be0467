//! The vector types of the CPU kernels, and the choice of instruction set at run time.
//!
//! A kernel is one generic function over [`Simd`]; [`dispatch!`] compiles it for AVX-512, for AVX2 and portably and
//! calls the best one that the machine supports. `KAOGAN_SIMD=avx512|avx2|portable` and [`force_isa`] override it.

mod isa;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use self::isa::{Isa, force_isa, isa};
pub use self::portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use self::x86::{Avx2, Avx512};

/// A vector of `LANES` f32 values.
///
/// # Safety
/// Every function must be called where the instruction set of the implementor is enabled, and pointers must be valid
/// for `LANES` values.
// One contract for all functions, above.
#[allow(clippy::missing_safety_doc)]
pub trait Simd: Copy {
    /// The register type.
    type V: Copy;
    /// Values in a vector; also the channel block of the scratch layouts.
    const LANES: usize;
    /// Vector registers of the machine.
    const REGISTERS: usize;
    /// The instruction set.
    const ISA: Isa;

    /// Zeros.
    unsafe fn zero() -> Self::V;
    /// One value in every lane.
    unsafe fn splat(value: f32) -> Self::V;
    /// The values at `from`, aligned or not.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes to `to`, aligned or not.
    unsafe fn store(to: *mut f32, value: Self::V);
    /// `a + b`
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Writes the transpose of the `LANES x LANES` block at `from` (rows `from_stride` apart) to `to`.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
}

/// Defines `fn name(isa, args)` that runs the generic `unsafe fn inner::<S>(args)` compiled for `isa`.
///
/// `inner` must be `#[inline(always)]` so that its body is compiled with the features enabled here.
#[macro_export]
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident $(<$g:ident: $bound:path>)? ($($arg:ident: $ty:ty),* $(,)?) = $inner:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name $(<$g: $bound>)? (isa: $crate::simd::Isa, $($arg: $ty),*) {
            use $crate::simd::{Isa, Portable};
            #[cfg(target_arch = "x86_64")]
            use $crate::simd::{Avx2, Avx512};

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn with_avx512 $(<$g: $bound>)? ($($arg: $ty),*) {
                // SAFETY: passed on from the caller; the features are enabled here.
                unsafe { $inner::<Avx512 $(, $g)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn with_avx2 $(<$g: $bound>)? ($($arg: $ty),*) {
                // SAFETY: passed on from the caller; the features are enabled here.
                unsafe { $inner::<Avx2 $(, $g)?>($($arg),*) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` in use is one that the machine supports; the rest is the caller's promise.
                Isa::Avx512 => unsafe { with_avx512 $(::<$g>)? ($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Isa::Avx2 => unsafe { with_avx2 $(::<$g>)? ($($arg),*) },
                // SAFETY: the portable code needs no feature; the rest is the caller's promise.
                _ => unsafe { $inner::<Portable $(, $g)?>($($arg),*) },
            }
        }
    };
}
pub use dispatch;

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    unsafe fn transpose_block<S: Simd>(from: *const f32, to: *mut f32) {
        // SAFETY: both blocks hold LANES x LANES values.
        unsafe { S::transpose(from, S::LANES, to, S::LANES) }
    }
    dispatch!(unsafe fn transpose(from: *const f32, to: *mut f32) = transpose_block);

    #[test]
    fn transposes_with_every_instruction_set() {
        for isa in Isa::available() {
            let n = isa.lanes();
            let from: Vec<f32> = (0..n * n).map(|i| i as f32).collect();
            let mut to = vec![0.0; n * n];
            // SAFETY: both hold n * n values.
            unsafe { transpose(isa, from.as_ptr(), to.as_mut_ptr()) };
            for row in 0..n {
                for column in 0..n {
                    assert_eq!(
                        to[column * n + row],
                        from[row * n + column],
                        "{isa:?} {row} {column}"
                    );
                }
            }
        }
    }
}
