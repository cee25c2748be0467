//! The functions of cuDNN that kaogan calls: convolutions of the legacy API, computed on the CPU with sums in f32.

mod algorithms;

use std::ffi::{c_int, c_void};

use rayon::prelude::*;

use self::algorithms::{Pass, Performance, heuristics, launched, room};
use crate::numbers::{Kind, factor, load, store};
use crate::{complain, memory};

const SUCCESS: u32 = 0;
const BAD_PARAM: u32 = 2000;
const NOT_SUPPORTED: u32 = 3000;
const EXECUTION_FAILED: u32 = 5000;

/// The description of a tensor or of weights: number type, four sizes, and four strides in elements.
#[derive(Clone, Copy)]
struct Array {
    kind: Kind,
    sizes: [usize; 4],
    strides: [usize; 4],
}

#[derive(Clone, Copy, Default)]
struct Convolution {
    padding: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    flipped: bool,
}

fn kind(code: c_int) -> Option<Kind> {
    match code {
        0 => Some(Kind::F32),
        2 => Some(Kind::F16),
        9 => Some(Kind::Bf16),
        _ => None,
    }
}

fn failed(code: u32, what: &str) -> u32 {
    complain(&format!("cuDNN: {what}"));
    code
}

/// Creates a descriptor with an initial value and writes its handle to `to`.
fn create<T>(to: *mut *mut c_void, value: T) -> u32 {
    // SAFETY: the caller gives a pointer to a handle.
    unsafe { to.write(Box::into_raw(Box::new(value)).cast()) };
    SUCCESS
}

fn destroy<T>(handle: *mut c_void) -> u32 {
    if handle.is_null() {
        return BAD_PARAM;
    }
    // SAFETY: the handle is from `create` of this type, and this is its last use.
    drop(unsafe { Box::from_raw(handle.cast::<T>()) });
    SUCCESS
}

/// The descriptor behind a handle; `None` for null.
fn get<'a, T>(handle: *mut c_void) -> Option<&'a mut T> {
    // SAFETY: the handle is from `create` of this type, or null.
    unsafe { handle.cast::<T>().as_mut() }
}

#[unsafe(no_mangle)]
extern "C" fn cudnnCreate(handle: *mut *mut c_void) -> u32 {
    create(handle, ())
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroy(_handle: *mut c_void) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetStream(_handle: *mut c_void, _stream: *mut c_void) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetVersion() -> usize {
    92_100
}

#[unsafe(no_mangle)]
extern "C" fn cudnnCreateTensorDescriptor(tensor: *mut *mut c_void) -> u32 {
    create(tensor, None::<Array>)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyTensorDescriptor(tensor: *mut c_void) -> u32 {
    destroy::<Option<Array>>(tensor)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnCreateFilterDescriptor(filter: *mut *mut c_void) -> u32 {
    create(filter, None::<Array>)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyFilterDescriptor(filter: *mut c_void) -> u32 {
    destroy::<Option<Array>>(filter)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnCreateConvolutionDescriptor(convolution: *mut *mut c_void) -> u32 {
    create(convolution, Convolution::default())
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyConvolutionDescriptor(convolution: *mut c_void) -> u32 {
    destroy::<Convolution>(convolution)
}

fn describe(handle: *mut c_void, format: c_int, code: c_int, sizes: [c_int; 4]) -> u32 {
    let (Some(array), Some(kind)) = (get::<Option<Array>>(handle), kind(code)) else {
        return failed(NOT_SUPPORTED, &format!("the type {code}"));
    };
    if sizes.iter().any(|&size| size < 1) {
        return failed(BAD_PARAM, &format!("a tensor of {sizes:?}"));
    }
    let sizes = sizes.map(|size| size as usize);
    let [_, c, h, w] = sizes;
    let strides = match format {
        0 => [c * h * w, h * w, w, 1],
        1 => [c * h * w, 1, w * c, c],
        _ => return failed(NOT_SUPPORTED, &format!("the layout {format}")),
    };
    *array = Some(Array {
        kind,
        sizes,
        strides,
    });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetTensor4dDescriptor(
    tensor: *mut c_void,
    format: c_int,
    kind: c_int,
    n: c_int,
    c: c_int,
    h: c_int,
    w: c_int,
) -> u32 {
    describe(tensor, format, kind, [n, c, h, w])
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetFilter4dDescriptor(
    filter: *mut c_void,
    kind: c_int,
    format: c_int,
    k: c_int,
    c: c_int,
    h: c_int,
    w: c_int,
) -> u32 {
    describe(filter, format, kind, [k, c, h, w])
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolution2dDescriptor(
    convolution: *mut c_void,
    pad_h: c_int,
    pad_w: c_int,
    stride_h: c_int,
    stride_w: c_int,
    dilation_h: c_int,
    dilation_w: c_int,
    mode: c_int,
    compute: c_int,
) -> u32 {
    let Some(convolution) = get::<Convolution>(convolution) else {
        return BAD_PARAM;
    };
    let positive = [stride_h, stride_w, dilation_h, dilation_w]
        .iter()
        .all(|&n| n > 0);
    if !positive || pad_h < 0 || pad_w < 0 || compute != 0 {
        return failed(
            BAD_PARAM,
            "a convolution with wrong strides or sums that are not f32",
        );
    }
    *convolution = Convolution {
        padding: [pad_h as usize, pad_w as usize],
        stride: [stride_h as usize, stride_w as usize],
        dilation: [dilation_h as usize, dilation_w as usize],
        groups: 1,
        flipped: mode == 0,
    };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolutionGroupCount(convolution: *mut c_void, groups: c_int) -> u32 {
    match get::<Convolution>(convolution) {
        Some(convolution) if groups > 0 => {
            convolution.groups = groups as usize;
            SUCCESS
        }
        _ => BAD_PARAM,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolutionMathType(convolution: *mut c_void, math: c_int) -> u32 {
    match get::<Convolution>(convolution) {
        Some(_) if (0..=3).contains(&math) => SUCCESS,
        _ => BAD_PARAM,
    }
}

/// A convolution with the descriptors of input, weights and result, whose sizes and types match.
struct Fitted {
    x: Array,
    w: Array,
    y: Array,
    convolution: Convolution,
}

fn fitted(
    x: *mut c_void,
    w: *mut c_void,
    y: *mut c_void,
    convolution: *mut c_void,
) -> Result<Fitted, u32> {
    let array = |handle| get::<Option<Array>>(handle).and_then(|array| *array);
    let (Some(x), Some(w), Some(y), Some(convolution)) = (
        array(x),
        array(w),
        array(y),
        get::<Convolution>(convolution),
    ) else {
        return Err(failed(BAD_PARAM, "a description was not filled in"));
    };
    let ([n, ci, h, wide], [co, cg, kh, kw]) = (x.sizes, w.sizes);
    let Convolution {
        padding,
        stride,
        dilation,
        groups,
        ..
    } = *convolution;
    let size = |input: usize, taps: usize, axis: usize| {
        let room = (input + 2 * padding[axis]).checked_sub(dilation[axis] * (taps - 1) + 1)?;
        Some(room / stride[axis] + 1)
    };
    let (Some(oh), Some(ow)) = (size(h, kh, 0), size(wide, kw, 1)) else {
        return Err(failed(BAD_PARAM, "the weights are larger than the image"));
    };
    let same = x.kind == w.kind && x.kind == y.kind;
    if y.sizes != [n, co, oh, ow] || ci != cg * groups || !co.is_multiple_of(groups) || !same {
        let Array { sizes, .. } = y;
        return Err(failed(
            BAD_PARAM,
            &format!(
                "x {:?}, w {:?}, {groups} groups do not give y {sizes:?}",
                x.sizes, w.sizes
            ),
        ));
    }
    Ok(Fitted {
        x,
        w,
        y,
        convolution: *convolution,
    })
}

impl Array {
    fn len(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The offset, in elements, of the element with the row-major index `at`.
    fn place(&self, at: usize) -> usize {
        let [_, c, h, w] = self.sizes;
        let index = [at / (c * h * w), at / (h * w) % c, at / w % h, at % w];
        index.iter().zip(self.strides).map(|(i, s)| i * s).sum()
    }

    fn read(&self, address: u64) -> Result<Vec<f32>, u32> {
        let Some(stored) = load(address, self.len(), self.kind) else {
            let what = format!(
                "{:?} numbers at {address:#x} leave their allocation",
                self.sizes
            );
            return Err(failed(EXECUTION_FAILED, &what));
        };
        Ok((0..self.len())
            .map(|at| stored[self.place(at)] as f32)
            .collect())
    }

    fn write(&self, address: u64, values: &[f32], alpha: f64, beta: f64) -> Result<(), u32> {
        let old = match beta {
            0.0 => None,
            _ => Some(self.read(address)?),
        };
        let Some(bytes) = memory::write(address, self.len() * self.kind.size()) else {
            let what = format!(
                "{:?} results at {address:#x} leave their allocation",
                self.sizes
            );
            return Err(failed(EXECUTION_FAILED, &what));
        };
        for (at, value) in values.iter().enumerate() {
            let kept = old.as_ref().map_or(0.0, |old| beta * f64::from(old[at]));
            store(
                bytes,
                self.place(at),
                self.kind,
                alpha * f64::from(*value) + kept,
            );
        }
        Ok(())
    }
}

impl Fitted {
    /// Whether input, weights and result are all stored channels first. Arrays with one channel or one pixel count as
    /// such, as both layouts are the same for them.
    fn is_channels_first(&self) -> bool {
        [&self.x, &self.w, &self.y].iter().all(|array| {
            let [_, c, h, w] = array.sizes;
            c == 1 || h * w == 1 || array.strides[3] == 1
        })
    }

    /// Calls `each(ky, y, oy)` for every row `ky` of taps, input row `y` and output row `oy` that the taps connect.
    fn rows(&self, mut each: impl FnMut(usize, usize, usize)) {
        let ([.., h, _], [.., kh, _], [.., oh, _]) = (self.x.sizes, self.w.sizes, self.y.sizes);
        let c = &self.convolution;
        for ky in 0..kh {
            for oy in 0..oh {
                let y = (oy * c.stride[0] + ky * c.dilation[0]).wrapping_sub(c.padding[0]);
                if y < h {
                    each(ky, y, oy);
                }
            }
        }
    }

    /// The output columns that read an input pixel through tap `kx`, and the input column of the first of them.
    fn columns(&self, kx: usize) -> (std::ops::Range<usize>, usize) {
        let c = &self.convolution;
        let (wide, ow) = (self.x.sizes[3], self.y.sizes[3]);
        let (shift, stride) = (kx * c.dilation[1], c.stride[1]);
        let first = c.padding[1].saturating_sub(shift).div_ceil(stride);
        let last = (wide + c.padding[1])
            .saturating_sub(shift)
            .div_ceil(stride)
            .min(ow);
        let first = first.min(last);
        (
            first..last,
            (first * stride + shift).wrapping_sub(c.padding[1]),
        )
    }

    fn tap(&self, ky: usize, kx: usize) -> usize {
        let [_, _, kh, kw] = self.w.sizes;
        match self.convolution.flipped {
            true => (kh - 1 - ky) * kw + kw - 1 - kx,
            false => ky * kw + kx,
        }
    }

    fn forward(&self, x: &[f32], w: &[f32]) -> Vec<f32> {
        let ([_, ci, h, wide], [co, cg, kh, kw], [.., oh, ow]) =
            (self.x.sizes, self.w.sizes, self.y.sizes);
        let per_group = co / self.convolution.groups;
        let stride = self.convolution.stride[1];
        let mut y = vec![0f32; self.y.len()];
        y.par_chunks_mut(oh * ow)
            .enumerate()
            .for_each(|(plane, y)| {
                let (image, out) = (plane / co, plane % co);
                for inner in 0..cg {
                    let channel = out / per_group * cg + inner;
                    let x = &x[(image * ci + channel) * h * wide..][..h * wide];
                    let w = &w[(out * cg + inner) * kh * kw..][..kh * kw];
                    self.rows(|ky, iy, oy| {
                        for kx in 0..kw {
                            let (columns, first) = self.columns(kx);
                            let (weight, count) = (w[self.tap(ky, kx)], columns.len());
                            let y = &mut y[oy * ow..][columns];
                            for i in 0..count {
                                y[i] += weight * x[iy * wide + first + i * stride];
                            }
                        }
                    });
                }
            });
        y
    }

    fn input_gradient(&self, w: &[f32], dy: &[f32]) -> Vec<f32> {
        let ([_, ci, h, wide], [co, cg, kh, kw], [.., oh, ow]) =
            (self.x.sizes, self.w.sizes, self.y.sizes);
        let per_group = co / self.convolution.groups;
        let stride = self.convolution.stride[1];
        let mut dx = vec![0f32; self.x.len()];
        dx.par_chunks_mut(h * wide)
            .enumerate()
            .for_each(|(plane, dx)| {
                let (image, channel) = (plane / ci, plane % ci);
                let (group, inner) = (channel / cg, channel % cg);
                for out in group * per_group..(group + 1) * per_group {
                    let dy = &dy[(image * co + out) * oh * ow..][..oh * ow];
                    let w = &w[(out * cg + inner) * kh * kw..][..kh * kw];
                    self.rows(|ky, iy, oy| {
                        for kx in 0..kw {
                            let (columns, first) = self.columns(kx);
                            let weight = w[self.tap(ky, kx)];
                            for (i, ox) in columns.enumerate() {
                                dx[iy * wide + first + i * stride] += weight * dy[oy * ow + ox];
                            }
                        }
                    });
                }
            });
        dx
    }

    fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let ([n, ci, h, wide], [co, cg, kh, kw], [.., oh, ow]) =
            (self.x.sizes, self.w.sizes, self.y.sizes);
        let per_group = co / self.convolution.groups;
        let stride = self.convolution.stride[1];
        let mut dw = vec![0f32; self.w.len()];
        dw.par_chunks_mut(kh * kw)
            .enumerate()
            .for_each(|(pair, dw)| {
                let (out, inner) = (pair / cg, pair % cg);
                let channel = out / per_group * cg + inner;
                for image in 0..n {
                    let x = &x[(image * ci + channel) * h * wide..][..h * wide];
                    let dy = &dy[(image * co + out) * oh * ow..][..oh * ow];
                    self.rows(|ky, iy, oy| {
                        for kx in 0..kw {
                            let (columns, first) = self.columns(kx);
                            let terms = columns.enumerate();
                            let sum: f32 = terms
                                .map(|(i, ox)| x[iy * wide + first + i * stride] * dy[oy * ow + ox])
                                .sum();
                            dw[self.tap(ky, kx)] += sum;
                        }
                    });
                }
            });
        dw
    }
}

/// Checks the workspace and overwrites all of it, so that a wrong address or size is detected.
fn work(wanted: usize, workspace: u64, size: usize) -> Result<(), u32> {
    if size < wanted {
        return Err(failed(
            BAD_PARAM,
            &format!("a workspace of {size} bytes, {wanted} are needed"),
        ));
    }
    if size == 0 {
        return Ok(());
    }
    match memory::write(workspace, size) {
        Some(bytes) => bytes.fill(0xFF),
        None => {
            return Err(failed(
                EXECUTION_FAILED,
                "the workspace leaves its allocation",
            ));
        }
    }
    Ok(())
}

fn factors(alpha: *const c_void, beta: *const c_void) -> (f64, f64) {
    (factor(alpha, Kind::F32), factor(beta, Kind::F32))
}

fn status(result: Result<(), u32>) -> u32 {
    result.err().unwrap_or(SUCCESS)
}

fn workspace_size(
    fitted: Result<Fitted, u32>,
    pass: Pass,
    algorithm: c_int,
    size: *mut usize,
) -> u32 {
    let room = fitted.and_then(|fitted| room(&fitted, pass, algorithm));
    // SAFETY: the caller gives a pointer to a size.
    status(room.map(|room| unsafe { size.write(room) }))
}

type Handle = *mut c_void;

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionForwardAlgorithm_v7(
    _h: Handle,
    x: Handle,
    w: Handle,
    c: Handle,
    y: Handle,
    wanted: c_int,
    count: *mut c_int,
    results: *mut Performance,
) -> u32 {
    heuristics(fitted(x, w, y, c), Pass::Forward, wanted, count, results)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionBackwardDataAlgorithm_v7(
    _h: Handle,
    w: Handle,
    dy: Handle,
    c: Handle,
    dx: Handle,
    wanted: c_int,
    count: *mut c_int,
    results: *mut Performance,
) -> u32 {
    heuristics(
        fitted(dx, w, dy, c),
        Pass::InputGradient,
        wanted,
        count,
        results,
    )
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    _h: Handle,
    x: Handle,
    dy: Handle,
    c: Handle,
    dw: Handle,
    wanted: c_int,
    count: *mut c_int,
    results: *mut Performance,
) -> u32 {
    heuristics(
        fitted(x, dw, dy, c),
        Pass::WeightGradient,
        wanted,
        count,
        results,
    )
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionForwardWorkspaceSize(
    _h: Handle,
    x: Handle,
    w: Handle,
    c: Handle,
    y: Handle,
    algorithm: c_int,
    size: *mut usize,
) -> u32 {
    workspace_size(fitted(x, w, y, c), Pass::Forward, algorithm, size)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionBackwardDataWorkspaceSize(
    _h: Handle,
    w: Handle,
    dy: Handle,
    c: Handle,
    dx: Handle,
    algorithm: c_int,
    size: *mut usize,
) -> u32 {
    workspace_size(fitted(dx, w, dy, c), Pass::InputGradient, algorithm, size)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetConvolutionBackwardFilterWorkspaceSize(
    _h: Handle,
    x: Handle,
    dy: Handle,
    c: Handle,
    dw: Handle,
    algorithm: c_int,
    size: *mut usize,
) -> u32 {
    workspace_size(fitted(x, dw, dy, c), Pass::WeightGradient, algorithm, size)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnConvolutionForward(
    _h: Handle,
    alpha: *const c_void,
    x_shape: Handle,
    x: u64,
    w_shape: Handle,
    w: u64,
    convolution: Handle,
    algorithm: c_int,
    workspace: u64,
    size: usize,
    beta: *const c_void,
    y_shape: Handle,
    y: u64,
) -> u32 {
    status(
        fitted(x_shape, w_shape, y_shape, convolution).and_then(|f| {
            work(launched(&f, Pass::Forward, algorithm)?, workspace, size)?;
            let (alpha, beta) = factors(alpha, beta);
            let result = f.forward(&f.x.read(x)?, &f.w.read(w)?);
            f.y.write(y, &result, alpha, beta)
        }),
    )
}

#[unsafe(no_mangle)]
extern "C" fn cudnnConvolutionBackwardData(
    _h: Handle,
    alpha: *const c_void,
    w_shape: Handle,
    w: u64,
    dy_shape: Handle,
    dy: u64,
    convolution: Handle,
    algorithm: c_int,
    workspace: u64,
    size: usize,
    beta: *const c_void,
    dx_shape: Handle,
    dx: u64,
) -> u32 {
    status(
        fitted(dx_shape, w_shape, dy_shape, convolution).and_then(|f| {
            work(
                launched(&f, Pass::InputGradient, algorithm)?,
                workspace,
                size,
            )?;
            let (alpha, beta) = factors(alpha, beta);
            let result = f.input_gradient(&f.w.read(w)?, &f.y.read(dy)?);
            f.x.write(dx, &result, alpha, beta)
        }),
    )
}

#[unsafe(no_mangle)]
extern "C" fn cudnnConvolutionBackwardFilter(
    _h: Handle,
    alpha: *const c_void,
    x_shape: Handle,
    x: u64,
    dy_shape: Handle,
    dy: u64,
    convolution: Handle,
    algorithm: c_int,
    workspace: u64,
    size: usize,
    beta: *const c_void,
    dw_shape: Handle,
    dw: u64,
) -> u32 {
    status(
        fitted(x_shape, dw_shape, dy_shape, convolution).and_then(|f| {
            work(
                launched(&f, Pass::WeightGradient, algorithm)?,
                workspace,
                size,
            )?;
            let (alpha, beta) = factors(alpha, beta);
            let result = f.weight_gradient(&f.x.read(x)?, &f.y.read(dy)?);
            f.w.write(dw, &result, alpha, beta)
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made<T>(make: extern "C" fn(*mut Handle) -> u32, set: impl Fn(Handle) -> u32) -> Handle {
        let mut handle = std::ptr::null_mut();
        assert_eq!(make(&mut handle) | set(handle), SUCCESS);
        assert!(get::<T>(handle).is_some());
        handle
    }

    fn numbers(len: usize, seed: f64) -> (u64, Vec<f64>) {
        let at = memory::allocate(len * 4).unwrap();
        let bytes = memory::write(at, len * 4).unwrap();
        (0..len).for_each(|i| store(bytes, i, Kind::F32, (i as f64 * 0.71 + seed).sin()));
        (at, load(at, len, Kind::F32).unwrap())
    }

    #[test]
    fn the_three_convolutions_are_those_of_plain_loops() {
        for (stride, padding, groups) in [(1, 1, 1), (2, 0, 2), (3, 2, 1)] {
            let (n, ci, co, h, w, kh, kw) = (2, 4, 6, 7, 8, 3, 2);
            let size = |input: usize, taps: usize| (input + 2 * padding - taps) / stride + 1;
            let (oh, ow, cg) = (size(h, kh), size(w, kw), ci / groups);
            let int = |v: usize| v as c_int;
            let tensor = |[a, b, c, d]: [usize; 4]| {
                made::<Option<Array>>(cudnnCreateTensorDescriptor, |t| {
                    cudnnSetTensor4dDescriptor(t, 0, 0, int(a), int(b), int(c), int(d))
                })
            };
            let (xs, ys) = (tensor([n, ci, h, w]), tensor([n, co, oh, ow]));
            let ws = made::<Option<Array>>(cudnnCreateFilterDescriptor, |f| {
                cudnnSetFilter4dDescriptor(f, 0, 0, int(co), int(cg), int(kh), int(kw))
            });
            let conv = made::<Convolution>(cudnnCreateConvolutionDescriptor, |c| {
                let (p, s) = (int(padding), int(stride));
                cudnnSetConvolution2dDescriptor(c, p, p, s, s, 1, 1, 1, 0)
                    | cudnnSetConvolutionGroupCount(c, int(groups))
            });
            let (x, x_values) = numbers(n * ci * h * w, 0.1);
            let (wt, w_values) = numbers(co * cg * kh * kw, 0.2);
            let (y, y_values) = numbers(n * co * oh * ow, 0.3);
            // The contribution of each product to each result, from the definition of a convolution.
            let mut expected = [
                vec![0.0; y_values.len()],
                vec![0.0; x_values.len()],
                vec![0.0; w_values.len()],
            ];
            for at in 0..y_values.len() {
                let (image, out, oy, ox) = (
                    at / (co * oh * ow),
                    at / (oh * ow) % co,
                    at / ow % oh,
                    at % ow,
                );
                for inner in 0..cg * kh * kw {
                    let (c, ky, kx) = (inner / (kh * kw), inner / kw % kh, inner % kw);
                    let iy = (oy * stride + ky).wrapping_sub(padding);
                    let ix = (ox * stride + kx).wrapping_sub(padding);
                    if iy < h && ix < w {
                        let channel = out / (co / groups) * cg + c;
                        let from = ((image * ci + channel) * h + iy) * w + ix;
                        let weight = out * cg * kh * kw + inner;
                        expected[0][at] += x_values[from] * w_values[weight];
                        expected[1][from] += y_values[at] * w_values[weight];
                        expected[2][weight] += y_values[at] * x_values[from];
                    }
                }
            }
            let room = memory::allocate(1000).unwrap();
            let (alpha, beta) = (2f32, 0.5f32);
            let (a, b) = (
                std::ptr::from_ref(&alpha).cast(),
                std::ptr::from_ref(&beta).cast(),
            );
            let none = std::ptr::null_mut();
            let close = |at: u64, old: &[f64], expected: &[f64]| {
                let found = load(at, old.len(), Kind::F32).unwrap();
                for ((found, old), expected) in found.iter().zip(old).zip(expected) {
                    assert!((found - (2.0 * expected + 0.5 * old)).abs() < 2e-5);
                }
                // Restore the result, for the next algorithm.
                let bytes = memory::write(at, old.len() * 4).unwrap();
                old.iter()
                    .enumerate()
                    .for_each(|(i, v)| store(bytes, i, Kind::F32, *v));
            };
            let size = 1000;
            assert_eq!(
                cudnnConvolutionForward(none, a, xs, x, ws, wt, conv, 1, room, size, b, ys, y),
                SUCCESS
            );
            close(y, &y_values, &expected[0]);
            assert_eq!(
                cudnnConvolutionBackwardData(none, a, ws, wt, ys, y, conv, 1, room, size, b, xs, x),
                SUCCESS
            );
            close(x, &x_values, &expected[1]);
            assert_eq!(
                cudnnConvolutionBackwardFilter(
                    none, a, xs, x, ys, y, conv, 1, room, size, b, ws, wt
                ),
                SUCCESS
            );
            close(wt, &w_values, &expected[2]);
            // Errors: a workspace that is too small, a result outside its allocation, tensors that do not match.
            assert_eq!(
                cudnnConvolutionForward(none, a, xs, x, ws, wt, conv, 1, room, 1, b, ys, y),
                BAD_PARAM
            );
            let wrong =
                cudnnConvolutionForward(none, a, xs, x, ws, wt, conv, 1, room, size, b, ys, y + 4);
            assert_eq!(wrong, EXECUTION_FAILED);
            assert_eq!(
                cudnnConvolutionForward(none, a, ys, y, ws, wt, conv, 1, room, size, b, xs, x),
                BAD_PARAM
            );
        }
    }
}
