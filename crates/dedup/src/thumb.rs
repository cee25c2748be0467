//! The thumb: an image reduced to 96 x 96 RGB by exact integer area averaging, so that the bytes are the same on every
//! machine.

/// Width and height of a [`Thumb`] in pixels.
pub const THUMB_SIDE: usize = 96;
/// Number of bytes of a [`Thumb`]: 96 x 96 pixels of 3 bytes.
pub const THUMB_BYTES: usize = THUMB_SIDE * THUMB_SIDE * 3;

/// An image resized to 96 x 96 RGB, 8 bits per channel, without regard to its aspect ratio.
#[derive(Clone, PartialEq, Eq)]
pub struct Thumb(Box<[u8]>);

impl std::fmt::Debug for Thumb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Thumb(mean {:?})", self.mean_rgb())
    }
}

impl Thumb {
    /// The thumb of an RGB image `[height, width, 3]`, row-major.
    ///
    /// # Panics
    /// When `width` or `height` is 0, or `rgb` has a length other than `height * width * 3`.
    pub fn new(rgb: &[u8], width: usize, height: usize) -> Self {
        Self(area_average(rgb, width, height, THUMB_SIDE, THUMB_SIDE).into_boxed_slice())
    }

    /// The thumb with these pixels, `[96, 96, 3]`; `None` when there are not exactly [`THUMB_BYTES`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == THUMB_BYTES).then(|| Self(bytes.into()))
    }

    /// The pixels, RGB `[96, 96, 3]`, row-major.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The thumb with left and right swapped.
    pub fn mirrored(&self) -> Self {
        let mut pixels = self.0.clone();
        for row in pixels.chunks_exact_mut(THUMB_SIDE * 3) {
            for x in 0..THUMB_SIDE / 2 {
                for c in 0..3 {
                    row.swap(x * 3 + c, (THUMB_SIDE - 1 - x) * 3 + c);
                }
            }
        }
        Self(pixels)
    }

    /// Mean of each channel, rounded to nearest.
    pub fn mean_rgb(&self) -> [u8; 3] {
        let mut sum = [0u32; 3];
        for pixel in self.0.chunks_exact(3) {
            for c in 0..3 {
                sum[c] += u32::from(pixel[c]);
            }
        }
        let n = (THUMB_SIDE * THUMB_SIDE) as u32;
        sum.map(|s| ((s + n / 2) / n) as u8)
    }

    /// Rec. 601 luma (the Y of JPEG) averaged over equal blocks to `[side, side]`; `side` must divide 96.
    pub(crate) fn luma(&self, side: usize) -> Vec<u8> {
        debug_assert!(THUMB_SIDE.is_multiple_of(side));
        let block = THUMB_SIDE / side;
        let mut sums = vec![0u32; side * side];
        for y in 0..THUMB_SIDE {
            for x in 0..THUMB_SIDE {
                let p = &self.0[(y * THUMB_SIDE + x) * 3..][..3];
                sums[y / block * side + x / block] +=
                    299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]);
            }
        }
        let weight = (block * block * 1000) as u32;
        sums.into_iter()
            .map(|s| ((s + weight / 2) / weight) as u8)
            .collect()
    }

    /// Rec. 601 luma of four 92 x 92 windows of the thumb, each averaged to `[16, 16]`.
    ///
    /// The windows start at (left, top) = (1, 1), (3, 1), (1, 3) and (3, 3).
    pub(crate) fn trimmed_lumas(&self) -> [Vec<u8>; 4] {
        const INNER: usize = THUMB_SIDE - 4;
        let luma = |p: &[u8]| {
            (299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000
        };
        [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(left, top)| {
            let window = View {
                rgb: &self.0[(top * THUMB_SIDE + left) * 3..],
                width: INNER,
                height: INNER,
                stride: THUMB_SIDE * 3,
            };
            let small = window.average(16, 16);
            small.chunks_exact(3).map(|p| luma(p) as u8).collect()
        })
    }
}

/// Resizes an RGB image `[height, width, 3]` to `[out_height, out_width, 3]` by area averaging, rounded to nearest.
///
/// The arithmetic is exact, in integers. A source pixel that overlaps several output pixels counts in each of them by
/// the share of its area that lies there.
///
/// # Panics
/// When a width or height is 0, or `rgb` has a length other than `height * width * 3`.
pub fn area_average(
    rgb: &[u8],
    width: usize,
    height: usize,
    out_width: usize,
    out_height: usize,
) -> Vec<u8> {
    assert!(
        width > 0 && height > 0 && out_width > 0 && out_height > 0,
        "a side is 0"
    );
    assert_eq!(rgb.len(), width * height * 3, "length of an RGB image");
    let view = View {
        rgb,
        width,
        height,
        stride: width * 3,
    };
    view.average(out_width, out_height)
}

/// A rectangle of an RGB image; `rgb` begins at its first pixel, and its rows begin `stride` bytes apart.
struct View<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl View<'_> {
    fn average(&self, out_width: usize, out_height: usize) -> Vec<u8> {
        // Along an axis of `size` source pixels and `out` output pixels, lengths are counted in units of 1/out of a
        // source pixel: source pixel i covers [i*out, (i+1)*out), output pixel j covers [j*size, (j+1)*size).
        let row_len = self.width * 3;
        let columns = spans(self.width, out_width);
        let mut out = Vec::with_capacity(out_width * out_height * 3);
        let mut column_sums = vec![0u32; row_len];
        let total = self.width as u64 * self.height as u64;
        for (start, weights) in spans(self.height, out_height) {
            column_sums.fill(0);
            for (i, &weight) in weights.iter().enumerate() {
                let row = &self.rgb[(start + i) * self.stride..][..row_len];
                add_weighted(&mut column_sums, row, weight);
            }
            for (start, weights) in &columns {
                let mut sum = [0u64; 3];
                for (pixel, &weight) in column_sums[start * 3..].chunks_exact(3).zip(weights) {
                    for c in 0..3 {
                        sum[c] += u64::from(pixel[c]) * u64::from(weight);
                    }
                }
                out.extend(sum.map(|s| ((s + total / 2) / total) as u8));
            }
        }
        out
    }
}

/// Adds `weight * row` to `sums`, element by element.
fn add_weighted(sums: &mut [u32], row: &[u8], weight: u32) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature that the function is compiled for was just detected.
        return unsafe { add_weighted_avx2(sums, row, weight) };
    }
    add_weighted_plain(sums, row, weight);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_weighted_avx2(sums: &mut [u32], row: &[u8], weight: u32) {
    add_weighted_plain(sums, row, weight);
}

#[inline(always)]
fn add_weighted_plain(sums: &mut [u32], row: &[u8], weight: u32) {
    for (sum, &v) in sums.iter_mut().zip(row) {
        *sum += weight * u32::from(v);
    }
}

/// Computes, for each of `out` output pixels along an axis of `size` source pixels, the index of the first source pixel
/// that it overlaps, and the weights of this source pixel and the following ones. The weights sum to `size`.
fn spans(size: usize, out: usize) -> Vec<(usize, Vec<u32>)> {
    (0..out)
        .map(|j| {
            let (from, to) = (j * size, (j + 1) * size);
            let first = from / out;
            let last = (to - 1) / out;
            let weights = (first..=last)
                .map(|i| (to.min((i + 1) * out) - from.max(i * out)) as u32)
                .collect();
            (first, weights)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Area averaging by its definition, one output pixel at a time.
    fn slow(rgb: &[u8], width: usize, height: usize, ow: usize, oh: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for oy in 0..oh {
            for ox in 0..ow {
                for c in 0..3 {
                    let (mut sum, mut area) = (0u64, 0u64);
                    for y in 0..height {
                        for x in 0..width {
                            let overlap = |i: usize, o: usize, size: usize, j: usize| {
                                ((j + 1) * size)
                                    .min((i + 1) * o)
                                    .saturating_sub((j * size).max(i * o))
                                    as u64
                            };
                            let w = overlap(x, ow, width, ox) * overlap(y, oh, height, oy);
                            sum += w * u64::from(rgb[(y * width + x) * 3 + c]);
                            area += w;
                        }
                    }
                    out.push(((sum + area / 2) / area) as u8);
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for (w, h, ow, oh) in [
            (7, 5, 3, 2),
            (5, 3, 5, 3),
            (3, 2, 7, 5),
            (16, 9, 4, 4),
            (1, 1, 2, 3),
            (10, 1, 3, 1),
        ] {
            let rgb: Vec<u8> = (0..w * h * 3).map(|i| (i * 97 % 251) as u8).collect();
            assert_eq!(
                area_average(&rgb, w, h, ow, oh),
                slow(&rgb, w, h, ow, oh),
                "{w}x{h} -> {ow}x{oh}"
            );
        }
    }

    #[test]
    fn mirrored_twice_is_the_same() {
        let rgb: Vec<u8> = (0..120 * 80 * 3).map(|i| (i * 31 % 256) as u8).collect();
        let thumb = Thumb::new(&rgb, 120, 80);
        assert_ne!(thumb, thumb.mirrored());
        assert_eq!(thumb, thumb.mirrored().mirrored());
    }

    #[test]
    fn luma_is_rec601() {
        let red = Thumb::new(&[255, 0, 0], 1, 1);
        assert_eq!(red.luma(16), vec![76; 256]);
        let green = Thumb::new(&[0, 255, 0], 1, 1);
        assert_eq!(green.luma(32), vec![150; 1024]);
    }
}
