//! Elementwise steps after a convolution: addition of a bias or of another tensor, and ReLU.

use crate::simd::{Simd, dispatch, isa};

// Inlined into `dispatch!`'s functions, so the compiler vectorizes the loops for the instruction set of `S`.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn add_bias_body<S: Simd>(values: &mut [f32], bias: f32, is_rectified: bool) {
    if is_rectified {
        for value in values {
            *value = (*value + bias).max(0.0);
        }
    } else {
        for value in values {
            *value += bias;
        }
    }
}
dispatch!(unsafe fn add_bias_task(values: &mut [f32], bias: f32, is_rectified: bool) = add_bias_body);

/// Adds `bias` to each value, in place, and applies ReLU when `is_rectified`.
pub fn add_bias(values: &mut [f32], bias: f32, is_rectified: bool) {
    // SAFETY: the body is safe code for slices.
    unsafe { add_bias_task(isa(), values, bias, is_rectified) }
}

#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn add_rectified_body<S: Simd>(values: &mut [f32], others: &[f32]) {
    for (value, other) in values.iter_mut().zip(others) {
        *value = (*value + other).max(0.0);
    }
}
dispatch!(unsafe fn add_rectified_task(values: &mut [f32], others: &[f32]) = add_rectified_body);

/// Adds `others` to `values` element by element, in place, and applies ReLU.
///
/// Stops at the end of the shorter slice.
pub fn add_rectified(values: &mut [f32], others: &[f32]) {
    // SAFETY: the body is safe code for slices.
    unsafe { add_rectified_task(isa(), values, others) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    #[test]
    fn sums_are_rectified_when_asked() {
        let values: Vec<f32> = (-20..21).map(|v| v as f32).collect();
        for isa in Isa::available() {
            let (mut plain, mut rectified) = (values.clone(), values.clone());
            // SAFETY: as above.
            unsafe {
                add_bias_task(isa, &mut plain, 0.5, false);
                add_bias_task(isa, &mut rectified, 0.5, true);
            }
            let mut sums = values.clone();
            // SAFETY: as above.
            unsafe { add_rectified_task(isa, &mut sums, &[1.5; 41]) };
            let expected = values.iter().map(|value| (value + 1.5).max(0.0));
            assert!(expected.eq(sums));
            for ((value, plain), rectified) in values.iter().zip(plain).zip(rectified) {
                assert_eq!((plain, rectified), (value + 0.5, (value + 0.5).max(0.0)));
            }
        }
    }
}
