//! Copies between NCHW tensors and blocked scratch `[row][column][lane]`, one block of `LANES` channels at a time.

use crate::simd::Simd;

/// The memory layout of one channel block of one image in an NCHW tensor.
#[derive(Clone, Copy)]
pub(crate) struct Plane {
    /// Number of values from one channel to the next.
    pub channel_stride: usize,
    /// Number of channels in the block, at most `LANES`; the remaining lanes of scratch are zero.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

/// A rectangle of the zero-padded image that is copied to scratch.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// First row, relative to the image; negative rows are padding.
    pub top: isize,
    pub rows: usize,
    /// First column, relative to the image; negative columns are padding.
    pub left: isize,
    pub columns: usize,
}

/// Copies `window` of the channel block at `src` to `dst` as `[rows][columns][LANES]`, with zeros outside the image.
///
/// `scale` is null or points to `LANES` factors, one for each channel.
///
/// # Safety
/// `src` must hold the block as described by `plane`; `dst` must have space for `rows * columns * LANES` values.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd>(
    src: *const f32,
    plane: Plane,
    window: Window,
    scale: *const f32,
    dst: *mut f32,
) {
    let Window {
        top,
        rows,
        left,
        columns,
    } = window;
    let (height, width) = (plane.height as isize, plane.width as isize);
    let lo = (-left).clamp(0, columns as isize) as usize;
    let hi = (width - left).clamp(lo as isize, columns as isize) as usize;
    for row in 0..rows {
        let y = top + row as isize;
        // SAFETY: every index below lies inside `window` for dst and inside the image for src.
        unsafe {
            let out = dst.add(row * columns * S::LANES);
            if y < 0 || y >= height {
                fill_zero::<S>(out, columns);
                continue;
            }
            fill_zero::<S>(out, lo);
            fill_zero::<S>(out.add(hi * S::LANES), columns - hi);
            let from = src.offset(y * width + left + lo as isize);
            transpose_in::<S>(from, plane, hi - lo, out.add(lo * S::LANES));
        }
    }
    if !scale.is_null() {
        // SAFETY: dst was just written; scale holds LANES values.
        unsafe {
            let factor = S::load(scale);
            for pixel in 0..rows * columns {
                let at = dst.add(pixel * S::LANES);
                S::store(at, S::mul(S::load(at), factor));
            }
        }
    }
}

#[inline(always)]
unsafe fn fill_zero<S: Simd>(dst: *mut f32, pixels: usize) {
    for pixel in 0..pixels {
        // SAFETY: the caller promises room for `pixels` vectors.
        unsafe { S::store(dst.add(pixel * S::LANES), S::zero()) };
    }
}

/// Copies `len` neighboring pixels of every channel of a block to `dst` as `[pixel][lane]`.
#[inline(always)]
unsafe fn transpose_in<S: Simd>(src: *const f32, plane: Plane, len: usize, dst: *mut f32) {
    // SAFETY: the caller promises `len` pixels in each of `channels` channels and room for `len` vectors.
    unsafe {
        if plane.channels == S::LANES && len >= S::LANES {
            let mut x = 0;
            while x + S::LANES <= len {
                S::transpose(
                    src.add(x),
                    plane.channel_stride,
                    dst.add(x * S::LANES),
                    S::LANES,
                );
                x += S::LANES;
            }
            if x < len {
                // The last step overlaps the one before it.
                let x = len - S::LANES;
                S::transpose(
                    src.add(x),
                    plane.channel_stride,
                    dst.add(x * S::LANES),
                    S::LANES,
                );
            }
            return;
        }
        for x in 0..len {
            for lane in 0..S::LANES {
                let value = if lane < plane.channels {
                    *src.add(lane * plane.channel_stride + x)
                } else {
                    0.0
                };
                *dst.add(x * S::LANES + lane) = value;
            }
        }
    }
}

/// Copies `len` pixels of scratch, `[pixel][lane]`, to `len` contiguous pixels in each channel of the block at `dst`.
///
/// # Safety
/// `src` must hold `len` vectors; `dst` must have space for `len` values in each of `channels` channels, which are
/// `channel_stride` values apart.
#[inline(always)]
pub(crate) unsafe fn unpack<S: Simd>(
    src: *const f32,
    len: usize,
    channels: usize,
    channel_stride: usize,
    dst: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if channels == S::LANES && len >= S::LANES {
            let mut x = 0;
            while x + S::LANES <= len {
                S::transpose(src.add(x * S::LANES), S::LANES, dst.add(x), channel_stride);
                x += S::LANES;
            }
            if x < len {
                let x = len - S::LANES;
                S::transpose(src.add(x * S::LANES), S::LANES, dst.add(x), channel_stride);
            }
            return;
        }
        for lane in 0..channels {
            for x in 0..len {
                *dst.add(lane * channel_stride + x) = *src.add(x * S::LANES + lane);
            }
        }
    }
}

/// Consecutive rows of one image.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub image: usize,
    pub first_row: usize,
    pub rows: usize,
}

/// Divides a range of rows, numbered consecutively across all images, into one segment for each image that it touches.
pub(crate) fn segments(range: std::ops::Range<usize>, rows_per_image: usize) -> Vec<Segment> {
    let mut out = Vec::new();
    let mut row = range.start;
    while row < range.end {
        let (image, first_row) = (row / rows_per_image, row % rows_per_image);
        let rows = (rows_per_image - first_row).min(range.end - row);
        out.push(Segment {
            image,
            first_row,
            rows,
        });
        row += rows;
    }
    out
}
