//! The vector types that the CPU kernels are written against, and the choice between them at run time.
//!
//! A kernel is one generic function over [`Simd`]; [`dispatch!`] compiles it for AVX-512, for AVX2 and portably and
//! calls the best that the machine has. `KAOGAN_SIMD=avx512|avx2|portable` or [`force_isa`] choose by hand.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust; the compiler uses what the target has by default.
    Portable,
    /// AVX2 with FMA, 8 lanes.
    Avx2,
    /// AVX-512 (F, VL, DQ, BW), 16 lanes.
    Avx512,
}

impl Isa {
    /// All instruction sets that this machine can run, the slowest first.
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter(|isa| isa.is_supported())
            .collect()
    }

    /// f32 values in a vector; also the channel block of the kernels' scratch layouts.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2 | Isa::Portable => 8,
        }
    }

    /// Whether this machine can run it.
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

/// The instruction set in use.
pub fn isa() -> Isa {
    match FORCED.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => Isa::best(),
    }
}

/// Uses `isa` for every kernel of this process from now on; `None` goes back to the best.
///
/// # Panics
/// When the machine cannot run it.
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

/// 8 values in plain Rust.
#[derive(Clone, Copy)]
pub struct Portable;

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    const ISA: Isa = Isa::Portable;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller promises 8 readable values.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::V) {
        // SAFETY: the caller promises 8 writable values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..8 {
            for column in 0..8 {
                // SAFETY: the caller promises both 8x8 blocks.
                unsafe {
                    *to.add(column * to_stride + row) = *from.add(row * from_stride + column)
                };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Isa, Simd};
    use std::arch::x86_64::*;

    /// 8 values in a register.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    // SAFETY (whole impl): the caller enables AVX2 and FMA and passes valid pointers, as `Simd` demands.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const REGISTERS: usize = 16;
        const ISA: Isa = Isa::Avx2;

        #[inline(always)]
        unsafe fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
            unsafe {
                let mut r = [_mm256_setzero_ps(); 8];
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm256_loadu_ps(from.add(i * from_stride));
                }
                let mut t = r;
                for i in 0..4 {
                    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
                }
                for i in 0..2 {
                    r[4 * i] = _mm256_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
                    r[4 * i + 1] = _mm256_shuffle_ps::<0xEE>(t[4 * i], t[4 * i + 2]);
                    r[4 * i + 2] = _mm256_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
                    r[4 * i + 3] = _mm256_shuffle_ps::<0xEE>(t[4 * i + 1], t[4 * i + 3]);
                }
                for i in 0..4 {
                    _mm256_storeu_ps(
                        to.add(i * to_stride),
                        _mm256_permute2f128_ps::<0x20>(r[i], r[i + 4]),
                    );
                    _mm256_storeu_ps(
                        to.add((i + 4) * to_stride),
                        _mm256_permute2f128_ps::<0x31>(r[i], r[i + 4]),
                    );
                }
            }
        }
    }

    /// 16 values in a register.
    #[derive(Clone, Copy)]
    pub struct Avx512;

    // SAFETY (whole impl): the caller enables AVX-512 and passes valid pointers, as `Simd` demands.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const REGISTERS: usize = 32;
        const ISA: Isa = Isa::Avx512;

        #[inline(always)]
        unsafe fn zero() -> __m512 {
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(to, value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
            unsafe {
                let mut r = [_mm512_setzero_ps(); 16];
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm512_loadu_ps(from.add(i * from_stride));
                }
                let mut t = r;
                for i in 0..8 {
                    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
                }
                for i in 0..4 {
                    r[4 * i] = _mm512_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
                    r[4 * i + 1] = _mm512_shuffle_ps::<0xEE>(t[4 * i], t[4 * i + 2]);
                    r[4 * i + 2] = _mm512_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
                    r[4 * i + 3] = _mm512_shuffle_ps::<0xEE>(t[4 * i + 1], t[4 * i + 3]);
                }
                for i in 0..4 {
                    let (a, b, c, d) = (r[i], r[i + 4], r[i + 8], r[i + 12]);
                    let (p, q) = (
                        _mm512_shuffle_f32x4::<0x88>(a, b),
                        _mm512_shuffle_f32x4::<0x88>(c, d),
                    );
                    let (s, u) = (
                        _mm512_shuffle_f32x4::<0xDD>(a, b),
                        _mm512_shuffle_f32x4::<0xDD>(c, d),
                    );
                    _mm512_storeu_ps(to.add(i * to_stride), _mm512_shuffle_f32x4::<0x88>(p, q));
                    _mm512_storeu_ps(
                        to.add((i + 4) * to_stride),
                        _mm512_shuffle_f32x4::<0x88>(s, u),
                    );
                    _mm512_storeu_ps(
                        to.add((i + 8) * to_stride),
                        _mm512_shuffle_f32x4::<0xDD>(p, q),
                    );
                    _mm512_storeu_ps(
                        to.add((i + 12) * to_stride),
                        _mm512_shuffle_f32x4::<0xDD>(s, u),
                    );
                }
            }
        }
    }
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
