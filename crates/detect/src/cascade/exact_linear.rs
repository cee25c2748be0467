//! Bilinear resize in fixed point, bit-identical to OpenCV's `INTER_LINEAR_EXACT` for 8-bit gray images.
//!
//! Also when it shrinks, each output pixel is interpolated from only the four nearest input pixels, without
//! antialiasing. OpenCV builds the image pyramid of a cascade with this method, so the detected boxes depend on it.

/// Position of an output sample between two neighboring inputs, of which `index` is the first; `weight` is the weight
/// of the second, in units of 1/256.
#[derive(Clone, Copy)]
struct Tap {
    index: usize,
    weight: u16,
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = 1.0 / (to as f64 / from as f64);
    let tap = |position: usize| {
        let place = scale * (position as f64 + 0.5) - 0.5;
        let index = place.floor();
        if index < 0.0 || from < 2 {
            return Tap {
                index: 0,
                weight: 0,
            };
        }
        if index as usize >= from - 1 {
            return Tap {
                index: from - 1,
                weight: 0,
            };
        }
        Tap {
            index: index as usize,
            weight: ((place - index) * 256.0).round_ties_even() as u16,
        }
    };
    (0..to).map(tap).collect()
}

/// Resizes a gray image of size `from` (width, height) to size `to`, into the first `to.0 * to.1` values of `target`.
///
/// Interpolates vertically first, so that whole rows are processed at a time. All products are exact, so interpolating
/// horizontally first would give the same result.
pub(super) fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), target: &mut [u8]) {
    let target = &mut target[..to.0 * to.1];
    if from == to {
        target.copy_from_slice(&pixels[..from.0 * from.1]);
        return;
    }
    let (columns, rows) = (taps(from.0, to.0), taps(from.1, to.1));
    // A row after vertical interpolation, in 8.8 fixed point; its last value is repeated, so that `index + 1` is always
    // valid.
    let mut line = vec![0u16; from.0 + 1];
    for (row, tap) in target.chunks_exact_mut(to.0).zip(&rows) {
        let above = &pixels[tap.index * from.0..][..from.0];
        let below = &pixels[(tap.index + 1).min(from.1 - 1) * from.0..][..from.0];
        for ((value, &a), &b) in line.iter_mut().zip(above).zip(below) {
            // At most 255 * 256.
            *value = u16::from(a) * (256 - tap.weight) + u16::from(b) * tap.weight;
        }
        line[from.0] = line[from.0 - 1];
        for (value, tap) in row.iter_mut().zip(&columns) {
            let (a, b) = (line[tap.index], line[tap.index + 1]);
            let weight = u32::from(tap.weight);
            *value =
                ((u32::from(a) * (256 - weight) + u32::from(b) * weight + (1 << 15)) >> 16) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values were computed by OpenCV 4.14 `resize(..., INTER_LINEAR_EXACT)`.
    #[test]
    fn as_opencv() {
        let source: Vec<u8> = (0..35u32).map(|i| (i * i * 7 % 251) as u8).collect();
        let mut target = [0; 64];
        resize(&source, (7, 5), (5, 3), &mut target);
        assert_eq!(
            target[..15],
            [
                38, 52, 108, 111, 72, 107, 49, 15, 12, 35, 159, 95, 140, 131, 81
            ]
        );
        resize(&source, (7, 5), (6, 4), &mut target);
        assert_eq!(
            target[..24],
            [
                13, 31, 52, 97, 143, 34, 105, 125, 85, 90, 22, 117, 92, 111, 83, 48, 123, 73, 192,
                98, 101, 154, 115, 67
            ]
        );
        resize(&source, (7, 5), (9, 7), &mut target);
        assert_eq!(
            target[..63],
            [
                0, 5, 16, 36, 63, 101, 147, 117, 1, 52, 94, 86, 69, 140, 110, 88, 86, 103, 99, 140,
                114, 76, 146, 87, 35, 51, 139, 117, 85, 54, 31, 15, 10, 13, 24, 39, 87, 102, 125,
                116, 16, 66, 123, 129, 70, 136, 126, 119, 113, 95, 116, 144, 132, 73, 217, 148, 74,
                64, 201, 154, 114, 82, 60
            ]
        );
    }
}
