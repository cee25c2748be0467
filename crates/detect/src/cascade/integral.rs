//! Integral images (summed-area tables), from which the sum over a rectangle takes four reads.
//!
//! There are three kinds: of pixels, of squared pixels, and of pixels in rectangles tilted by 45 degrees. A table has
//! one row and one column more than the image. Its rows begin `stride` values apart, the same for all scales, so that
//! windows of every scale use the same offsets. Sums wrap at 32 bits; the sum over a window is correct as long as this
//! sum itself fits in 32 bits.

/// Fills `table[y][x]` with the sum of the pixels in rows above `y` and columns left of `x`, or of their squares if
/// `squared`.
///
/// `size` is the width and height of the image.
pub(super) fn upright(
    pixels: &[u8],
    size: (usize, usize),
    stride: usize,
    table: &mut [u32],
    squared: bool,
) {
    let (width, height) = size;
    table[..=width].fill(0);
    for y in 0..height {
        let row = &pixels[y * width..][..width];
        let (above, current) = table[y * stride..].split_at_mut(stride);
        let (above, current) = (&above[..=width], &mut current[..=width]);
        let mut sum = 0u32;
        current[0] = 0;
        for ((value, &pixel), &above) in current[1..].iter_mut().zip(row).zip(&above[1..]) {
            let pixel = u32::from(pixel);
            sum = sum.wrapping_add(if squared { pixel * pixel } else { pixel });
            *value = above.wrapping_add(sum);
        }
    }
}

/// Fills `table[y][x]` with the sum of the pixels in the triangle above `y` whose lower corner is at column `x - 1`:
/// rows `v < y`, columns `u` with `|u - (x - 1)| <= y - 1 - v`.
pub(super) fn tilted(pixels: &[u8], size: (usize, usize), stride: usize, table: &mut [u32]) {
    let (width, height) = size;
    table[..=width].fill(0);
    let pixel = |x: usize, y: usize| u32::from(pixels[y * width + x]);
    for y in 1..=height {
        for x in 0..=width {
            let value = if x == 0 {
                // The corner is outside the image; the part inside equals the triangle of x = 1 one row higher.
                if width > 0 {
                    table[(y - 1) * stride + 1]
                } else {
                    0
                }
            } else {
                let mut value = pixel(x - 1, y - 1).wrapping_add(table[(y - 1) * stride + x - 1]);
                if y > 1 {
                    value = value.wrapping_add(pixel(x - 1, y - 2));
                    if x < width {
                        value = value
                            .wrapping_add(table[(y - 1) * stride + x + 1])
                            .wrapping_sub(table[(y - 2) * stride + x]);
                    }
                }
                value
            };
            table[y * stride + x] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: usize, height: usize) -> Vec<u8> {
        (0..width * height)
            .map(|i| (i * i * 31 % 253) as u8)
            .collect()
    }

    #[test]
    fn upright_tables_hold_sums() {
        let (width, height, stride) = (7, 5, 11);
        let pixels = drawn(width, height);
        for squared in [false, true] {
            let mut table = vec![99; stride * (height + 1)];
            upright(&pixels, (width, height), stride, &mut table, squared);
            for y in 0..=height {
                for x in 0..=width {
                    let mut sum = 0;
                    for v in 0..y {
                        for u in 0..x {
                            sum +=
                                u32::from(pixels[v * width + u]).pow(if squared { 2 } else { 1 });
                        }
                    }
                    assert_eq!(table[y * stride + x], sum);
                }
            }
        }
    }

    #[test]
    fn tilted_tables_hold_sums_over_triangles() {
        for (width, height, stride) in [(7, 5, 11), (3, 9, 4), (1, 4, 2)] {
            let pixels = drawn(width, height);
            let mut table = vec![99; stride * (height + 1)];
            tilted(&pixels, (width, height), stride, &mut table);
            for y in 0..=height {
                for x in 0..=width {
                    let mut sum = 0;
                    for v in 0..y {
                        for u in 0..width {
                            if (u as i32 - x as i32 + 1).abs() < y as i32 - v as i32 {
                                sum += u32::from(pixels[v * width + u]);
                            }
                        }
                    }
                    assert_eq!(table[y * stride + x], sum, "{width} x {height} at {x}, {y}");
                }
            }
        }
    }
}
