//! The transposing kernel between channels first and channels last, compiled for the CPU.

use super::*;

fn transposed<T: Number + PartialEq>(suffix: &str, [n, rows, columns]: [usize; 3], shift: usize) {
    let number = |i: usize| T::of((i % 2039) as f32);
    // With a `shift` the array starts at an address that is not aligned for reading four numbers at once.
    let memory: Vec<T> = (0..n * rows * columns + shift).map(number).collect();
    let x = &memory[shift..];
    let mut y = vec![T::of(UNTOUCHED); x.len()];
    let params = Params::transposing(n, rows, columns).unwrap();
    let from = [x.as_ptr().cast()];
    run("transpose", suffix, &from, y.as_mut_ptr().cast(), params);
    for image in 0..n {
        for row in 0..rows {
            for column in 0..columns {
                let from = x[(image * rows + row) * columns + column];
                let to = y[(image * columns + column) * rows + row];
                assert!(from == to, "{n} {rows} {columns}: {row}, {column}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(host_cxx), ignore = "needs a C++ compiler with _Float16 (CXX)")]
fn rows_become_columns() {
    for shape in [
        [1, 1, 1],
        [2, 3, 5],
        [3, 4, 4],
        [2, 8, 36],
        [1, 16, 32],
        [2, 17, 33],
        [1, 70, 130],
        [2, 64, 9],
        [1, 9, 64],
    ] {
        for shift in [0, 1] {
            transposed::<f32>("f32", shape, shift);
            transposed::<f16>("f16", shape, shift);
        }
    }
}

#[test]
fn more_than_a_launch_is_an_error() {
    assert!(Params::transposing(1, 1 << 32, 4).is_err());
    assert!(Params::transposing(1 << 20, 1 << 14, 1 << 14).is_err());
}
