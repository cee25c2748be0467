//! Dense linear algebra for symmetric matrices in f64, with the crate faer.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par, Side};

use crate::error::{Error, Result};

/// A matrix of f64; symmetric ones may be valid in the lower triangle only.
pub(crate) type Matrix = Mat<f64>;

fn par() -> Par {
    Par::rayon(0)
}

/// Adds `rows^T rows` to the lower triangle of `into`, `[dim, dim]`; `rows` is a row-major `[n, dim]` matrix.
pub(crate) fn add_gram(into: &mut Matrix, rows: &[f64]) {
    let dim = into.nrows();
    let x = MatRef::from_row_major_slice(rows, rows.len() / dim, dim);
    triangular::matmul(
        into.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        x.transpose(),
        BlockStructure::Rectangular,
        x,
        BlockStructure::Rectangular,
        1.0,
        par(),
    );
}

/// Copies the lower triangle to the upper one.
pub(crate) fn mirror(a: &mut Matrix) {
    let n = a.nrows();
    for j in 0..n {
        for i in j + 1..n {
            a[(j, i)] = a[(i, j)];
        }
    }
}

/// A factor `b`, `[n, rank]`, with `a = b b^T`, for a symmetric positive semidefinite `a`, `[n, n]`.
///
/// # Errors
/// `NotFinite` when `a` contains NaN or infinity.
pub(crate) fn factor(a: &Matrix) -> Result<Matrix> {
    const WHAT: &str = "square root of a covariance";
    check(a, WHAT)?;
    let eigen = a
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::NotFinite(WHAT))?;
    let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
    let limit = threshold(&values);
    let kept: Vec<usize> = (0..values.len()).filter(|&i| values[i] > limit).collect();
    let vectors = eigen.U();
    Ok(Mat::from_fn(a.nrows(), kept.len(), |i, j| {
        vectors[(i, kept[j])] * values[kept[j]].sqrt()
    }))
}

/// `tr((b b^T a)^(1/2))` for a symmetric positive semidefinite `a`. It is computed as the sum of the square roots of
/// the eigenvalues of `b^T a b`; this matrix is symmetric, so that no complex numbers appear.
///
/// # Errors
/// `NotFinite` when `a` contains NaN or infinity.
pub(crate) fn trace_sqrt(b: &Matrix, a: &Matrix) -> Result<f64> {
    const WHAT: &str = "square root of a product of covariances";
    check(a, WHAT)?;
    if b.ncols() == 0 {
        return Ok(0.0);
    }
    let mut ab = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut ab, Accum::Replace, a, b, 1.0, par());
    let mut product = Mat::zeros(b.ncols(), b.ncols());
    triangular::matmul(
        product.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        b.transpose(),
        BlockStructure::Rectangular,
        &ab,
        BlockStructure::Rectangular,
        1.0,
        par(),
    );
    let values = product
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| Error::NotFinite(WHAT))?;
    let limit = threshold(&values);
    Ok(values
        .iter()
        .filter(|&&v| v > limit)
        .map(|v| v.sqrt())
        .sum())
}

/// Dot product of each row of `rows`, `[n, dim]`, with each row of `columns`, `[m, dim]`. Both matrices and the result,
/// `[n, m]`, are row-major.
pub(crate) fn products(rows: &[f32], columns: &[f32], dim: usize) -> Vec<f32> {
    let (n, m) = (rows.len() / dim, columns.len() / dim);
    // The result is computed as its transpose `[m, n]`, which is column-major and so has its values in the wanted
    // order.
    let mut out = Mat::<f32>::zeros(m, n);
    let x = MatRef::from_row_major_slice(rows, n, dim);
    let y = MatRef::from_row_major_slice(columns, m, dim);
    matmul(&mut out, Accum::Replace, y, x.transpose(), 1.0, Par::Seq);
    let mut values = Vec::with_capacity(n * m);
    for i in 0..n {
        values.extend(out.col(i).iter());
    }
    values
}

/// Like [`products`], in f64, with the result as a column-major matrix `[n, m]`.
pub(crate) fn products_f64(rows: &[f64], columns: &[f64], dim: usize) -> Matrix {
    let (n, m) = (rows.len() / dim, columns.len() / dim);
    let mut out = Mat::zeros(n, m);
    let x = MatRef::from_row_major_slice(rows, n, dim);
    let y = MatRef::from_row_major_slice(columns, m, dim);
    matmul(&mut out, Accum::Replace, x, y.transpose(), 1.0, par());
    out
}

fn check(a: &Matrix, what: &'static str) -> Result<()> {
    if a.col_iter().all(|c| c.iter().all(|v| v.is_finite())) {
        Ok(())
    } else {
        Err(Error::NotFinite(what))
    }
}

/// Eigenvalues up to this threshold are rounding errors and count as 0; `values` are all eigenvalues.
fn threshold(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    largest * values.len() as f64 * f64::EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gram_and_products_agree_with_loops() {
        let rows: Vec<f64> = (0..15).map(|i| ((i * 7) % 11) as f64 - 4.0).collect();
        let mut gram = Matrix::zeros(3, 3);
        add_gram(&mut gram, &rows[..9]);
        add_gram(&mut gram, &rows[9..]);
        mirror(&mut gram);
        for i in 0..3 {
            for j in 0..3 {
                let want: f64 = (0..5).map(|n| rows[n * 3 + i] * rows[n * 3 + j]).sum();
                assert_eq!(gram[(i, j)], want);
            }
        }
        let single: Vec<f32> = rows.iter().map(|&v| v as f32).collect();
        let inner = products(&single, &single[3..], 3);
        assert_eq!(inner.len(), 5 * 4);
        let want: f32 = (0..3).map(|k| single[2 * 3 + k] * single[4 * 3 + k]).sum();
        assert_eq!(inner[2 * 4 + 3], want);
        assert_eq!(f64::from(want), products_f64(&rows, &rows[3..], 3)[(2, 3)]);
    }

    #[test]
    fn the_square_root_of_commuting_matrices() {
        // diag(4, 9, 0) and diag(25, 1, 3): the square root of the product has the trace 10 + 3 + 0.
        let diagonal = |d: [f64; 3]| Mat::from_fn(3, 3, |i, j| if i == j { d[i] } else { 0.0 });
        let b = factor(&diagonal([4.0, 9.0, 0.0])).unwrap();
        assert_eq!(b.ncols(), 2);
        let trace = trace_sqrt(&b, &diagonal([25.0, 1.0, 3.0])).unwrap();
        assert!((trace - 13.0).abs() < 1e-12, "{trace}");
        assert!(factor(&diagonal([1.0, f64::NAN, 1.0])).is_err());
    }
}
