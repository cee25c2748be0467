//! The image filter: amplifies four frequency bands by random factors.

use std::sync::OnceLock;

use candle_core::WithDType;

use crate::{AugmentParams, Transform};

/// The number of frequency bands; band 0 is the lowest.
pub(crate) const BANDS: usize = 4;
/// The number of taps of each filter of the bank.
pub(crate) const TAPS: usize = 43;
/// The number of pixels by which the filter extends each side of the image, by reflection.
pub(crate) const PAD: usize = TAPS / 2;

/// The low-pass filter of Daubechies' symlet with two vanishing moments (`sym2`).
const SYM2: [f64; 4] = [
    -0.129_409_522_550_921_45,
    0.224_143_868_041_857_35,
    0.836_516_303_737_469,
    0.482_962_913_144_690_25,
];

/// The expected share of the power of images in each band; `1 / frequency`, as in natural images.
const EXPECTED_POWER: [f64; BANDS] = [10.0 / 13.0, 1.0 / 13.0, 1.0 / 13.0, 1.0 / 13.0];

fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; a.len() + b.len() - 1];
    for (i, a) in a.iter().enumerate() {
        for (j, b) in b.iter().enumerate() {
            c[i + j] += a * b;
        }
    }
    c
}

/// Returns the filter of each frequency band. Their sum is the unit impulse: adding all bands gives the image.
fn bank() -> &'static [[f64; TAPS]; BANDS] {
    static BANK: OnceLock<[[f64; TAPS]; BANDS]> = OnceLock::new();
    BANK.get_or_init(|| {
        let high: Vec<f64> = (0..4).map(|i| SYM2[i] * [1.0, -1.0][i % 2]).collect();
        // Analysis and synthesis filter combined, without decimation.
        let both = |filter: &[f64]| {
            let reversed: Vec<f64> = filter.iter().rev().copied().collect();
            let product = convolve(filter, &reversed);
            product.iter().map(|v| v / 2.0).collect::<Vec<_>>()
        };
        let (low, high) = (both(&SYM2), both(&high));
        let mut bank: Vec<Vec<f64>> = (0..BANDS)
            .map(|i| vec![f64::from(u8::from(i == 0))])
            .collect();
        for band in 1..BANDS {
            // One level down: stretch all filters by two, apply the low-pass, and add the high band as a new filter.
            for filter in &mut bank {
                let mut stretched: Vec<f64> = filter.iter().flat_map(|v| [*v, 0.0]).collect();
                stretched.pop();
                *filter = convolve(&stretched, &low);
            }
            let first = (bank[band].len() - high.len()) / 2;
            for (value, high) in bank[band][first..].iter_mut().zip(&high) {
                *value += high;
            }
        }
        std::array::from_fn(|band| std::array::from_fn(|tap| bank[band][tap]))
    })
}

/// The combined filter of each image; `None` for the identity.
pub(crate) fn filters(params: &AugmentParams) -> Vec<Option<[f64; TAPS]>> {
    let image = |image: usize| {
        let mut gains = [1.0_f64; BANDS];
        let draws = params.of(Transform::ImgFilter);
        for (band, draw) in draws.enumerate().take(BANDS) {
            // Amplify one band, then normalize all bands to the expected total power.
            let amplified = f64::from(draw.of(image)[0]);
            let gain = |i: usize| if i == band { amplified } else { 1.0 };
            let power: f64 = (0..BANDS)
                .map(|i| EXPECTED_POWER[i] * gain(i).powi(2))
                .sum();
            for (i, value) in gains.iter_mut().enumerate() {
                *value *= gain(i) / power.sqrt();
            }
        }
        (gains != [1.0; BANDS]).then(|| {
            let bank = bank();
            std::array::from_fn(|tap| (0..BANDS).map(|band| gains[band] * bank[band][tap]).sum())
        })
    };
    (0..params.shape.batch).map(image).collect()
}

/// The index in `0..len` of pixel `i` of a row that continues beyond both ends by reflection; edges are not repeated.
pub(crate) fn reflect(i: isize, len: usize) -> usize {
    let period = 2 * (len - 1);
    let i = i.rem_euclid(period as isize) as usize;
    i.min(period - i)
}

/// Filters a plane in place, along both axes, with reflection at the edges.
pub(crate) fn filter_plane<T: WithDType>(taps: &[f64; TAPS], plane: &mut [T], width: usize) {
    let height = plane.len() / width;
    let taps = taps.map(T::from_f64);

    // Along y.
    let mut columns = vec![T::zero(); plane.len()];
    for (y, out) in columns.chunks_exact_mut(width).enumerate() {
        for (t, tap) in taps.iter().enumerate() {
            let from = reflect((y + t) as isize - PAD as isize, height);
            let row = &plane[from * width..(from + 1) * width];
            for (out, value) in out.iter_mut().zip(row) {
                *out += *tap * *value;
            }
        }
    }

    // Along x.
    let mut padded = vec![T::zero(); width + TAPS - 1];
    for (row, out) in columns
        .chunks_exact(width)
        .zip(plane.chunks_exact_mut(width))
    {
        for (i, value) in padded.iter_mut().enumerate() {
            *value = row[reflect(i as isize - PAD as isize, width)];
        }
        out.fill(T::zero());
        for (t, tap) in taps.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&padded[t..]) {
                *out += *tap * *value;
            }
        }
    }
}

/// The adjoint of [`filter_plane`]: replaces the gradient with respect to its output, in `plane`, by the gradient with
/// respect to its input.
pub(crate) fn filter_plane_adjoint<T: WithDType>(
    taps: &[f64; TAPS],
    plane: &mut [T],
    width: usize,
) {
    let height = plane.len() / width;
    let taps = taps.map(T::from_f64);

    // Along x.
    let mut rows = vec![T::zero(); plane.len()];
    let mut padded = vec![T::zero(); width + TAPS - 1];
    for (gradient, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        padded.fill(T::zero());
        for (t, tap) in taps.iter().enumerate() {
            for (value, gradient) in padded[t..].iter_mut().zip(gradient) {
                *value += *tap * *gradient;
            }
        }
        for (i, value) in padded.iter().enumerate() {
            out[reflect(i as isize - PAD as isize, width)] += *value;
        }
    }

    // Along y.
    plane.fill(T::zero());
    for (y, gradient) in rows.chunks_exact(width).enumerate() {
        for (t, tap) in taps.iter().enumerate() {
            let to = reflect((y + t) as isize - PAD as isize, height);
            for (out, gradient) in plane[to * width..(to + 1) * width].iter_mut().zip(gradient) {
                *out += *tap * *gradient;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_add_up_to_the_image() {
        for tap in 0..TAPS {
            let sum: f64 = bank().iter().map(|band| band[tap]).sum();
            let expected = f64::from(u8::from(tap == PAD));
            assert!((sum - expected).abs() < 1e-11, "{tap} {sum}");
        }
        // Only the lowest band has a mean.
        for (band, filter) in bank().iter().enumerate() {
            let mean: f64 = filter.iter().sum();
            let expected = f64::from(u8::from(band == 0));
            assert!((mean - expected).abs() < 1e-11, "{band} {mean}");
        }
    }

    #[test]
    fn reflection_goes_on_for_ever() {
        let got: Vec<_> = (-6..8).map(|i| reflect(i, 3)).collect();
        assert_eq!(got, [2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(reflect(-2, 10), 2);
        assert_eq!(reflect(11, 10), 7);
    }
}
