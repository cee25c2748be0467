//! SIMD vectors for the CPU kernels, and the choice of instruction set at run time.
//!
//! A kernel is one function that is generic over [`Simd`]. [`dispatch!`] compiles three versions of it, for AVX-512,
//! for AVX2 and for any CPU, and defines a function whose first argument selects the version. This argument is usually
//! [`isa()`], the best instruction set that the machine supports, unless the environment variable
//! `KAOGAN_SIMD=avx512|avx2|portable` or [`force_isa`] selects another.

mod isa;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use self::isa::{Isa, force_isa, isa};
pub use self::portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use self::x86::{Avx2, Avx512};

/// Operations on vectors of `LANES` f32 values with one instruction set.
///
/// # Safety
/// The caller of any function must run on a CPU with the instruction set of the implementor and be compiled for it;
/// pointers must be valid for `LANES` values.
// The safety contract of all functions is stated above.
#[allow(clippy::missing_safety_doc)]
pub trait Simd: Copy {
    /// A vector of [`Self::LANES`] values.
    type V: Copy;
    /// Number of values in a vector; also the number of channels in a block of the scratch layouts.
    const LANES: usize;
    /// Number of vector registers.
    const REGISTERS: usize;
    /// The instruction set of the implementor.
    const ISA: Isa;

    /// A vector of zeros.
    unsafe fn zero() -> Self::V;
    /// A vector with `value` in every lane.
    unsafe fn splat(value: f32) -> Self::V;
    /// Reads a vector from `from`, which need not be aligned.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes a vector to `to`, which need not be aligned.
    unsafe fn store(to: *mut f32, value: Self::V);
    /// `a + b` in each lane.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b` in each lane.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b` in each lane.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c` in each lane; rounded once where the instruction set has fused multiply-add.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Transposes the `LANES x LANES` block at `from`, whose rows are `from_stride` values apart, into the one at `to`,
    /// whose rows are `to_stride` values apart.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);
}

/// Defines `unsafe fn name(isa, args)`, which calls `inner::<S>(args)` compiled for the instruction set `isa`.
///
/// Used as `dispatch!(unsafe fn name(args) = inner)`. `inner` must be generic over [`Simd`](crate::simd::Simd) and
/// `#[inline(always)]`, so that its body is compiled with the CPU features enabled here.
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
