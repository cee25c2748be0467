//! The algorithms of cuDNN: which convolutions each supports, and its workspace. Here all of them compute the same
//! numbers.
//!
//! Support follows NVIDIA's documentation roughly: no direct convolution, FFT only for stride 1, Winograd only for
//! small kernels, and with channels last only implicit matrix products.

use std::cell::Cell;
use std::ffi::c_int;

use super::{BAD_PARAM, EXECUTION_FAILED, Fitted, NOT_SUPPORTED, SUCCESS, failed, status};

/// The kind of convolution that an algorithm computes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    InputGradient,
    WeightGradient,
}

/// The method of an algorithm, which decides what it supports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Matrices,
    /// Explicit matrix products: channels first only.
    WrittenOut,
    Transform,
    Winograd,
    Nothing,
}

thread_local! {
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

/// Makes algorithms fail in this thread when a convolution is launched, although they are reported as supported: bit
/// `i` of `algorithms` stands for algorithm `i`.
///
/// This function is not part of NVIDIA's API. Tests look it up by name in the library that is loaded as cuDNN.
#[unsafe(no_mangle)]
pub extern "C" fn emulated_gpu_refuse(algorithms: u32) {
    REFUSED.set(algorithms);
}

fn method(pass: Pass, algorithm: c_int) -> Method {
    use Method::{Matrices, Nothing, Transform, Winograd, WrittenOut};
    let methods: &[Method] = match pass {
        Pass::Forward => &[
            Matrices, Matrices, WrittenOut, Nothing, Transform, Transform, Winograd, Winograd,
        ],
        Pass::InputGradient => &[Matrices, Matrices, Transform, Transform, Winograd, Winograd],
        Pass::WeightGradient => &[
            Matrices, Matrices, Transform, WrittenOut, Nothing, Winograd, Transform,
        ],
    };
    let at = usize::try_from(algorithm).unwrap_or(usize::MAX);
    methods.get(at).copied().unwrap_or(Nothing)
}

/// The workspace of an algorithm in bytes, or an error code when the algorithm does not support the convolution. That
/// of algorithm 0 is empty, so that tests cover both cases.
pub(super) fn room(fitted: &Fitted, pass: Pass, algorithm: c_int) -> Result<usize, u32> {
    let [_, _, kh, kw] = fitted.w.sizes;
    let convolution = &fitted.convolution;
    let is_first = fitted.is_channels_first();
    let is_plain = convolution.stride == [1, 1] && convolution.dilation == [1, 1];
    let has = match method(pass, algorithm) {
        Method::Matrices => true,
        Method::WrittenOut => is_first,
        Method::Transform => is_first && is_plain && convolution.groups == 1,
        Method::Winograd => is_first && is_plain && kh == kw && (kh == 3 || kh == 5),
        Method::Nothing => false,
    };
    match has {
        // No message on stderr: callers ask in order to find out what is supported.
        false => Err(NOT_SUPPORTED),
        true => Ok(1000 * algorithm as usize),
    }
}

/// The workspace of an algorithm that is launched, in bytes; an error code when it is refused or not supported.
pub(super) fn launched(fitted: &Fitted, pass: Pass, algorithm: c_int) -> Result<usize, u32> {
    if (0..32).contains(&algorithm) && REFUSED.get() >> algorithm & 1 == 1 {
        return Err(EXECUTION_FAILED);
    }
    room(fitted, pass, algorithm).map_err(|code| {
        failed(
            code,
            &format!("algorithm {algorithm} does not do this convolution"),
        )
    })
}

/// A result of cuDNN's heuristics, with the layout of `cudnnConvolution*AlgoPerf_t`.
#[repr(C)]
pub(super) struct Performance {
    algorithm: c_int,
    status: u32,
    time: f32,
    memory: usize,
    determinism: c_int,
    math: c_int,
    reserved: [c_int; 3],
}

/// Answers a query of cuDNN's heuristics: writes one result, algorithm 1.
pub(super) fn heuristics(
    fitted: Result<Fitted, u32>,
    pass: Pass,
    wanted: c_int,
    count: *mut c_int,
    results: *mut Performance,
) -> u32 {
    status(fitted.and_then(|fitted| {
        if wanted < 1 {
            return Err(BAD_PARAM);
        }
        let fastest = Performance {
            algorithm: 1,
            status: SUCCESS,
            time: -1.0,
            memory: room(&fitted, pass, 1)?,
            determinism: 1,
            math: 0,
            reserved: [0; 3],
        };
        // SAFETY: the caller has room for `wanted` results.
        unsafe {
            count.write(1);
            results.write(fastest);
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{Array, Convolution};
    use super::*;
    use crate::numbers::Kind;

    /// A convolution with `sizes` of x, w and y, channels first or last.
    fn fitted(sizes: [[usize; 4]; 3], stride: usize, is_last: bool) -> Fitted {
        let [x, w, y] = sizes.map(|sizes| {
            let [_, c, h, w] = sizes;
            Array {
                kind: Kind::F32,
                sizes,
                strides: match is_last {
                    false => [c * h * w, h * w, w, 1],
                    true => [c * h * w, 1, w * c, c],
                },
            }
        });
        let convolution = Convolution {
            padding: [1; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            groups: 1,
            flipped: false,
        };
        Fitted {
            x,
            w,
            y,
            convolution,
        }
    }

    #[test]
    fn what_is_offered_depends_on_stride_kernel_and_layout() {
        let plain = [[1, 4, 8, 8], [4, 4, 3, 3], [1, 4, 8, 8]];
        let halved = [[1, 4, 8, 8], [4, 4, 3, 3], [1, 4, 4, 4]];
        let point = [[1, 4, 8, 8], [4, 4, 1, 1], [1, 4, 10, 10]];
        let offered = |fitted: &Fitted, pass| -> Vec<c_int> {
            (-1..10)
                .filter(|&a| room(fitted, pass, a).is_ok())
                .collect()
        };
        let (f, i, w) = (Pass::Forward, Pass::InputGradient, Pass::WeightGradient);
        let first = fitted(plain, 1, false);
        assert_eq!(offered(&first, f), [0, 1, 2, 4, 5, 6, 7]);
        assert_eq!(offered(&first, i), [0, 1, 2, 3, 4, 5]);
        assert_eq!(offered(&first, w), [0, 1, 2, 3, 5, 6]);
        for pass in [f, i, w] {
            assert_eq!(offered(&fitted(plain, 1, true), pass), [0, 1]);
        }
        assert_eq!(offered(&fitted(halved, 2, false), f), [0, 1, 2]);
        assert_eq!(offered(&fitted(point, 1, false), f), [0, 1, 2, 4, 5]);
        assert_eq!(room(&first, f, 0), Ok(0));
        assert!(room(&first, f, 6).unwrap() > room(&first, f, 1).unwrap());
    }

    #[test]
    fn what_is_refused_is_still_offered() {
        let first = fitted([[1, 4, 8, 8], [4, 4, 3, 3], [1, 4, 8, 8]], 1, false);
        emulated_gpu_refuse(1 << 6);
        assert_eq!(launched(&first, Pass::Forward, 6), Err(EXECUTION_FAILED));
        assert!(room(&first, Pass::Forward, 6).is_ok());
        assert!(launched(&first, Pass::Forward, 7).is_ok());
        emulated_gpu_refuse(0);
        assert!(launched(&first, Pass::Forward, 6).is_ok());
        assert_eq!(launched(&first, Pass::Forward, 3), Err(NOT_SUPPORTED));
    }
}
