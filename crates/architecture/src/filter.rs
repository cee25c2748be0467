//! Resampling filters: default taps, and the buffer that layers keep.

/// Default taps of the resampling filters of generators and discriminators, before normalization.
pub const DEFAULT_FILTER: [f64; 4] = [1.0, 3.0, 3.0, 1.0];

/// Returns the shape and the values of the buffer `resample_filter` for a one-dimensional filter. The values sum to 1.
///
/// # Shapes
/// `[n, n]` for `n < 8` taps: the outer product of the taps, row-major. `[n]` for 8 taps or more.
pub fn filter_buffer(taps: &[f64]) -> (Vec<usize>, Vec<f32>) {
    let n = taps.len();
    let taps: Vec<f32> = taps.iter().map(|&t| t as f32).collect();
    if n >= 8 {
        let sum: f32 = taps.iter().sum();
        return (vec![n], taps.iter().map(|t| t / sum).collect());
    }
    let outer: Vec<f32> = taps
        .iter()
        .flat_map(|a| taps.iter().map(move |b| a * b))
        .collect();
    let sum: f32 = outer.iter().sum();
    (vec![n, n], outer.iter().map(|v| v / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_filter_is_exact() {
        let (shape, values) = filter_buffer(&DEFAULT_FILTER);
        assert_eq!(shape, [4, 4]);
        assert_eq!(
            values[..4],
            [1.0 / 64.0, 3.0 / 64.0, 3.0 / 64.0, 1.0 / 64.0]
        );
        assert_eq!(values.iter().sum::<f32>(), 1.0);
    }
}
