//! The functions of cuBLAS that candle calls: products of column-major matrices, computed on the CPU.

use std::ffi::{c_int, c_longlong, c_void};

use rayon::prelude::*;

use crate::complain;
use crate::memory;
use crate::numbers::{Kind, factor, load, store};

const SUCCESS: u32 = 0;
const INVALID_VALUE: u32 = 7;
const NOT_SUPPORTED: u32 = 15;

/// One matrix of a product, or a batch of them: address, number type, leading dimension, and the distance from one
/// matrix of the batch to the next; both distances are in elements.
#[derive(Clone, Copy)]
struct Matrix {
    address: u64,
    kind: Kind,
    leading: usize,
    stride: i64,
}

/// The sizes of a product: an `m` by `n` result, `k` terms per element, and the number of products.
#[derive(Clone, Copy)]
struct Sizes {
    m: usize,
    n: usize,
    k: usize,
    batch: usize,
}

fn kind(code: u32) -> Option<Kind> {
    match code {
        0 => Some(Kind::F32),
        1 => Some(Kind::F64),
        2 => Some(Kind::F16),
        14 => Some(Kind::Bf16),
        _ => None,
    }
}

/// The number type of the factors alpha and beta and of the sums, by its `cublasComputeType_t` code.
fn compute_kind(code: u32) -> Option<Kind> {
    match code {
        64 | 65 => Some(Kind::F16),
        68 | 69 | 74 | 75 | 77 => Some(Kind::F32),
        70 | 71 => Some(Kind::F64),
        _ => None,
    }
}

/// Matrix `at` of a batch, as `rows` times `columns` values in column-major order, transposed if requested; `None`,
/// with a message on stderr, when it is not inside one allocation.
fn dense(
    matrix: &Matrix,
    at: usize,
    transposed: bool,
    rows: usize,
    columns: usize,
) -> Option<Vec<f64>> {
    let (height, width) = if transposed {
        (columns, rows)
    } else {
        (rows, columns)
    };
    if matrix.leading < height.max(1) {
        complain(&format!(
            "cuBLAS: a leading dimension of {} for {height} rows",
            matrix.leading
        ));
        return None;
    }
    if height * width == 0 {
        return Some(Vec::new());
    }
    let offset = matrix.stride * at as i64 * matrix.kind.size() as i64;
    let start = matrix.address.wrapping_add_signed(offset);
    let len = matrix.leading * (width - 1) + height;
    let Some(stored) = load(start, len, matrix.kind) else {
        complain(&format!(
            "cuBLAS: a {height}x{width} matrix at {start:#x} leaves its allocation"
        ));
        return None;
    };
    let value = |row: usize, column: usize| match transposed {
        true => stored[row * matrix.leading + column],
        false => stored[column * matrix.leading + row],
    };
    Some(
        (0..columns)
            .flat_map(|column| (0..rows).map(move |row| (row, column)))
            .map(|(r, c)| value(r, c))
            .collect(),
    )
}

fn product(
    sizes: Sizes,
    transposed: [bool; 2],
    factors: [f64; 2],
    a: Matrix,
    b: Matrix,
    c: Matrix,
    sums: Kind,
) -> u32 {
    let Sizes { m, n, k, batch } = sizes;
    let [alpha, beta] = factors;
    for at in 0..batch {
        let (Some(left), Some(right)) = (
            dense(&a, at, transposed[0], m, k),
            dense(&b, at, transposed[1], k, n),
        ) else {
            return INVALID_VALUE;
        };
        let columns: Vec<Vec<f64>> = (0..n)
            .into_par_iter()
            .map(|column| match sums {
                Kind::F64 => {
                    let mut sum = vec![0f64; m];
                    for p in 0..k {
                        let factor = right[column * k + p];
                        let terms = sum.iter_mut().zip(&left[p * m..][..m]);
                        terms.for_each(|(sum, value)| *sum += value * factor);
                    }
                    sum
                }
                _ => {
                    let mut sum = vec![0f32; m];
                    for p in 0..k {
                        let factor = right[column * k + p] as f32;
                        let terms = sum.iter_mut().zip(&left[p * m..][..m]);
                        terms.for_each(|(sum, value)| *sum += *value as f32 * factor);
                    }
                    sum.into_iter().map(f64::from).collect()
                }
            })
            .collect();
        let offset = c.stride * at as i64 * c.kind.size() as i64;
        let start = c.address.wrapping_add_signed(offset);
        if m * n == 0 {
            continue;
        }
        let len = c.leading * (n - 1) + m;
        let old = match beta {
            0.0 => None,
            _ => load(start, len, c.kind),
        };
        let Some(bytes) = memory::write(start, len * c.kind.size()) else {
            complain(&format!(
                "cuBLAS: a {m}x{n} result at {start:#x} leaves its allocation"
            ));
            return INVALID_VALUE;
        };
        for (j, column) in columns.iter().enumerate() {
            for (i, sum) in column.iter().enumerate() {
                let place = j * c.leading + i;
                let kept = old.as_ref().map_or(0.0, |old| beta * old[place]);
                store(bytes, place, c.kind, alpha * sum + kept);
            }
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasCreate_v2(handle: *mut usize) -> u32 {
    // SAFETY: the caller gives a pointer to a handle.
    unsafe { handle.write(1) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasDestroy_v2(_handle: usize) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasSetStream_v2(_handle: usize, _stream: usize) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasSetMathMode(_handle: usize, _mode: u32) -> u32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cublasGemmStridedBatchedEx(
    _handle: usize,
    transposed_a: u32,
    transposed_b: u32,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    kind_a: u32,
    leading_a: c_int,
    stride_a: c_longlong,
    b: u64,
    kind_b: u32,
    leading_b: c_int,
    stride_b: c_longlong,
    beta: *const c_void,
    c: u64,
    kind_c: u32,
    leading_c: c_int,
    stride_c: c_longlong,
    batch: c_int,
    compute: u32,
    _algorithm: u32,
) -> u32 {
    let (Some(kind_a), Some(kind_b), Some(kind_c), Some(sums)) = (
        kind(kind_a),
        kind(kind_b),
        kind(kind_c),
        compute_kind(compute),
    ) else {
        complain(&format!(
            "cuBLAS: types {kind_a}, {kind_b}, {kind_c} with sums of {compute}"
        ));
        return NOT_SUPPORTED;
    };
    if m < 0
        || n < 0
        || k < 0
        || batch < 0
        || leading_a < 1
        || leading_b < 1
        || leading_c < m.max(1)
    {
        complain(&format!(
            "cuBLAS: {m}x{n}x{k} with leading dimensions {leading_a}, {leading_b}, {leading_c}"
        ));
        return INVALID_VALUE;
    }
    let matrix = |address, kind, leading: c_int, stride| Matrix {
        address,
        kind,
        leading: leading as usize,
        stride,
    };
    let sizes = Sizes {
        m: m as usize,
        n: n as usize,
        k: k as usize,
        batch: batch as usize,
    };
    product(
        sizes,
        [transposed_a != 0, transposed_b != 0],
        [factor(alpha, sums), factor(beta, sums)],
        matrix(a, kind_a, leading_a, stride_a),
        matrix(b, kind_b, leading_b, stride_b),
        matrix(c, kind_c, leading_c, stride_c),
        sums,
    )
}

#[unsafe(no_mangle)]
extern "C" fn cublasGemmEx(
    handle: usize,
    transposed_a: u32,
    transposed_b: u32,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    kind_a: u32,
    leading_a: c_int,
    b: u64,
    kind_b: u32,
    leading_b: c_int,
    beta: *const c_void,
    c: u64,
    kind_c: u32,
    leading_c: c_int,
    compute: u32,
    algorithm: u32,
) -> u32 {
    cublasGemmStridedBatchedEx(
        handle,
        transposed_a,
        transposed_b,
        m,
        n,
        k,
        alpha,
        a,
        kind_a,
        leading_a,
        0,
        b,
        kind_b,
        leading_b,
        0,
        beta,
        c,
        kind_c,
        leading_c,
        0,
        1,
        compute,
        algorithm,
    )
}

macro_rules! plain {
    ($batched:ident, $single:ident, $kind:literal, $compute:literal) => {
        #[unsafe(no_mangle)]
        extern "C" fn $batched(
            handle: usize,
            transposed_a: u32,
            transposed_b: u32,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: *const c_void,
            a: u64,
            leading_a: c_int,
            stride_a: c_longlong,
            b: u64,
            leading_b: c_int,
            stride_b: c_longlong,
            beta: *const c_void,
            c: u64,
            leading_c: c_int,
            stride_c: c_longlong,
            batch: c_int,
        ) -> u32 {
            cublasGemmStridedBatchedEx(
                handle,
                transposed_a,
                transposed_b,
                m,
                n,
                k,
                alpha,
                a,
                $kind,
                leading_a,
                stride_a,
                b,
                $kind,
                leading_b,
                stride_b,
                beta,
                c,
                $kind,
                leading_c,
                stride_c,
                batch,
                $compute,
                0,
            )
        }

        #[unsafe(no_mangle)]
        extern "C" fn $single(
            handle: usize,
            transposed_a: u32,
            transposed_b: u32,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: *const c_void,
            a: u64,
            leading_a: c_int,
            b: u64,
            leading_b: c_int,
            beta: *const c_void,
            c: u64,
            leading_c: c_int,
        ) -> u32 {
            $batched(
                handle,
                transposed_a,
                transposed_b,
                m,
                n,
                k,
                alpha,
                a,
                leading_a,
                0,
                b,
                leading_b,
                0,
                beta,
                c,
                leading_c,
                0,
                1,
            )
        }
    };
}
plain!(cublasSgemmStridedBatched, cublasSgemm_v2, 0, 68);
plain!(cublasDgemmStridedBatched, cublasDgemm_v2, 1, 70);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_plain_loops() {
        let (m, n, k) = (3, 4, 5);
        let value = |i: usize| (i as f64 * 0.37).sin();
        for kind in [Kind::F32, Kind::F16, Kind::Bf16, Kind::F64] {
            let put = |len: usize, seed: usize| {
                let at = memory::allocate(len * kind.size()).unwrap();
                let bytes = memory::write(at, len * kind.size()).unwrap();
                (0..len).for_each(|i| store(bytes, i, kind, value(i + seed)));
                at
            };
            let (a, b, c) = (put(2 * m * k, 1), put(2 * k * n, 50), put(2 * m * n, 99));
            let [left, right, old] = [(a, m * k), (b, k * n), (c, m * n)]
                .map(|(at, len)| load(at, 2 * len, kind).unwrap());
            let (code, sums) = match kind {
                Kind::F32 => (0, 68),
                Kind::F64 => (1, 70),
                Kind::F16 => (2, 68),
                Kind::Bf16 => (14, 68),
            };
            let (alpha, beta) = (2f32, 0.5f32);
            let (wide_alpha, wide_beta) = (2f64, 0.5f64);
            let pick = |narrow: &f32, wide: &f64| -> *const c_void {
                match kind {
                    Kind::F64 => std::ptr::from_ref(wide).cast(),
                    _ => std::ptr::from_ref(narrow).cast(),
                }
            };
            // A is stored as its transpose.
            let code = cublasGemmStridedBatchedEx(
                1,
                1,
                0,
                3,
                4,
                5,
                pick(&alpha, &wide_alpha),
                a,
                code,
                5,
                15,
                b,
                code,
                5,
                20,
                pick(&beta, &wide_beta),
                c,
                code,
                3,
                12,
                2,
                sums,
                0,
            );
            assert_eq!(code, SUCCESS);
            let new = load(c, 2 * m * n, kind).unwrap();
            for (at, j, i) in
                (0..2).flat_map(|at| (0..n).flat_map(move |j| (0..m).map(move |i| (at, j, i))))
            {
                let sum: f64 = (0..k)
                    .map(|p| left[at * m * k + i * k + p] * right[at * k * n + j * k + p])
                    .sum();
                let expected = 2.0 * sum + 0.5 * old[at * m * n + j * m + i];
                let error = (new[at * m * n + j * m + i] - expected).abs();
                assert!(
                    error
                        < match kind {
                            Kind::F64 => 1e-12,
                            Kind::F32 => 1e-6,
                            Kind::F16 => 3e-3,
                            Kind::Bf16 => 3e-2,
                        }
                );
            }
            let outside = cublasSgemm_v2(
                1,
                0,
                0,
                30,
                40,
                50,
                pick(&alpha, &wide_alpha),
                a,
                30,
                b,
                50,
                pick(&beta, &wide_beta),
                c,
                30,
            );
            assert_eq!(outside, INVALID_VALUE);
        }
    }
}
