//! Reads strips and tiles to samples: decompresses them, undoes predictors, unpacks bits and interleaves planes.

use super::compression::{self, Compression, Shape};
use super::directory::{Directory, broken, cut, unsupported};
use super::layout::{Color, Layout};
use super::work::Work;
use crate::{DecodeError, DecodeOptions};
use half::f16;
use std::borrow::Cow;

/// Samples of an image, `[height, width, samples]`, with the values of the file, not scaled to full range.
pub enum Samples {
    /// Samples of up to 8 bits.
    Bytes(Vec<u8>),
    /// Samples of 9 to 16 bits, and the upper 16 bits of longer ones.
    Words(Vec<u16>),
    /// Floating-point samples of 16, 32 or 64 bits.
    Floats(Vec<f32>),
    /// RGB values decoded from JPEG: `[height, width, 3]`, also where the tags give another number of samples.
    Rgb(Vec<u8>),
}

/// Reads all samples of the image.
pub fn read(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    options: &DecodeOptions,
) -> Result<Samples, DecodeError> {
    if layout.compression == Compression::OldJpeg {
        return old_jpeg(bytes, directory, layout, options);
    }
    // The bits of the whole file are reversed once, as any number of strips may share the same bytes.
    let reverses = layout.reverses_bits && layout.compression != Compression::Jpeg;
    let bytes: Cow<'_, [u8]> = match reverses {
        true => bytes.iter().map(|byte| byte.reverse_bits()).collect(),
        false => Cow::Borrowed(bytes),
    };
    let reader = Reader {
        bytes: &bytes,
        directory,
        layout,
        options,
        work: Work::new(bytes.len(), layout),
    };
    let size = layout.width * layout.height * layout.samples;
    if layout.compression == Compression::Jpeg {
        if layout.bits != 8 || layout.samples > 3 && !layout.is_planar {
            return Err(unsupported(format!(
                "JPEG compression of {} samples of {} bits",
                layout.samples, layout.bits
            )));
        }
        let is_gray = layout.is_planar || layout.samples == 1;
        let mut out = vec![0; size];
        reader.each_chunk(|chunk, data| {
            let rgb = reader.jpeg(&chunk, data)?;
            let values: Cow<'_, [u8]> = if is_gray {
                rgb.iter().copied().step_by(3).collect()
            } else if layout.samples == 3 {
                Cow::Borrowed(&rgb)
            } else {
                return Err(unsupported("JPEG compression of two samples"));
            };
            chunk.place(&values, &mut out, layout);
            Ok(())
        })?;
        // The JPEG decoder has converted colors to RGB, unless each sample has a plane of its own.
        return Ok(if is_gray {
            Samples::Bytes(out)
        } else {
            Samples::Rgb(out)
        });
    }
    if layout.is_float {
        let mut out = vec![0.0; size];
        reader.each_chunk(|chunk, data| {
            let values = reader.expand(&chunk, data)?;
            let size = layout.bits / 8;
            let numbers: Vec<f32> = values
                .chunks_exact(size)
                .map(|number| match *number {
                    [a, b] => f16::from_bits(u16::from_ne_bytes([a, b])).to_f32(),
                    [a, b, c, d] => f32::from_ne_bytes([a, b, c, d]),
                    [a, b, c, d, e, f, g, h] => f64::from_ne_bytes([a, b, c, d, e, f, g, h]) as f32,
                    _ => f32::NAN,
                })
                .collect();
            chunk.place(&numbers, &mut out, layout);
            Ok(())
        })?;
        return Ok(Samples::Floats(out));
    }
    if layout.bits <= 8 {
        let mut out = vec![0; size];
        reader.each_chunk(|chunk, data| {
            let values = reader.expand(&chunk, data)?;
            let values = match layout.bits {
                8 => values,
                bits => unpack(&values, chunk.row_values(layout), bits)
                    .map(|v| v as u8)
                    .collect(),
            };
            chunk.place(&values, &mut out, layout);
            Ok(())
        })?;
        return Ok(Samples::Bytes(out));
    }
    let mut out = vec![0; size];
    reader.each_chunk(|chunk, data| {
        let values = reader.expand(&chunk, data)?;
        let words: Vec<u16> = match layout.bits {
            16 => values
                .chunks_exact(2)
                .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
                .collect(),
            32 => values
                .chunks_exact(4)
                .map(|four| (u32::from_ne_bytes([four[0], four[1], four[2], four[3]]) >> 16) as u16)
                .collect(),
            bits => unpack(&values, chunk.row_values(layout), bits)
                .map(|v| (v >> bits.saturating_sub(16)) as u16)
                .collect(),
        };
        chunk.place(&words, &mut out, layout);
        Ok(())
    })?;
    Ok(Samples::Words(out))
}

/// A strip or tile: the position of its upper left corner in the image, and its size, in pixels.
struct Chunk {
    x: usize,
    y: usize,
    /// Index of its sample in planar images, else 0.
    plane: usize,
    /// Includes the part of a tile that is outside of the image.
    width: usize,
    height: usize,
}

impl Chunk {
    fn row_values(&self, layout: &Layout) -> usize {
        self.width * if layout.is_planar { 1 } else { layout.samples }
    }

    /// Copies the values inside of the image to their positions in `out`, which is `[height, width, samples]`.
    fn place<T: Copy>(&self, values: &[T], out: &mut [T], layout: &Layout) {
        let samples = layout.samples;
        let columns = self.width.min(layout.width - self.x);
        let rows = self.height.min(layout.height - self.y);
        let row_values = self.row_values(layout);
        for (row, values) in values.chunks_exact(row_values).take(rows).enumerate() {
            let start = ((self.y + row) * layout.width + self.x) * samples;
            let target = &mut out[start..start + columns * samples];
            if layout.is_planar {
                for (pixel, &value) in target.chunks_exact_mut(samples).zip(values) {
                    pixel[self.plane] = value;
                }
            } else {
                target.copy_from_slice(&values[..columns * samples]);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    directory: &'a Directory<'a>,
    layout: &'a Layout,
    options: &'a DecodeOptions,
    work: Work,
}

impl<'a> Reader<'a> {
    fn each_chunk(
        &self,
        mut visit: impl FnMut(Chunk, &'a [u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let layout = self.layout;
        let n_planes = if layout.is_planar { layout.samples } else { 1 };
        let (across, down) = (layout.n_across(), layout.n_down());
        for i in 0..across * down * n_planes {
            let (plane, row, column) = (i / (across * down), i / across % down, i % across);
            let y = row * layout.chunk_height;
            let height = if layout.is_tiled {
                layout.chunk_height
            } else {
                layout.chunk_height.min(layout.height - y)
            };
            let chunk = Chunk {
                x: column * layout.chunk_width,
                y,
                plane,
                width: layout.chunk_width,
                height,
            };
            if layout.compression != Compression::Jpeg {
                self.work
                    .spend_pixels(chunk.width as u64 * chunk.height as u64)?;
            }
            let data = self.data(i, self.n_bytes(&chunk))?;
            visit(chunk, data)?;
        }
        Ok(())
    }

    /// Number of bytes of a strip or tile after decompression.
    fn n_bytes(&self, chunk: &Chunk) -> usize {
        match self.layout.subsampling {
            (1, 1) => (chunk.row_values(self.layout) * self.layout.bits).div_ceil(8) * chunk.height,
            (h, v) => chunk.width.div_ceil(h) * chunk.height.div_ceil(v) * (h * v + 2),
        }
    }

    /// The compressed bytes of strip or tile `i`, which has `n_bytes` after decompression.
    fn data(&self, i: usize, n_bytes: usize) -> Result<&'a [u8], DecodeError> {
        let missing = || cut("the pixels do");
        let start = usize::try_from(self.layout.offsets[i]).map_err(|_| missing())?;
        let rest = self
            .bytes
            .get(start..)
            .filter(|rest| !rest.is_empty())
            .ok_or_else(missing)?;
        if start == 0 {
            return Err(broken(format!("strip or tile {i} is not in the file")));
        }
        if self.layout.compression == Compression::None {
            // Its length is known; some programs write a wrong one to the file.
            return rest.get(..n_bytes).ok_or_else(missing);
        }
        let length = self.layout.lengths.as_ref().and_then(|l| l.get(i).copied());
        match length {
            // Without a length, a strip or tile ends where the next one begins.
            None | Some(0) => {
                let next = self.work.next_offset(self.layout.offsets[i]);
                let length = next.and_then(|next| usize::try_from(next).ok()?.checked_sub(start));
                Ok(&rest[..length.map_or(rest.len(), |length| length.min(rest.len()))])
            }
            Some(length) => {
                let length = usize::try_from(length).map_err(|_| missing())?;
                rest.get(..length).ok_or_else(missing)
            }
        }
        .and_then(|data| {
            self.work.spend_bytes(data.len())?;
            Ok(data)
        })
    }

    /// Decompresses a strip or tile and undoes its predictor and chroma subsampling. Samples of 16, 32 and 64 bits are
    /// returned in native byte order.
    fn expand(&self, chunk: &Chunk, data: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let layout = self.layout;
        let shape = Shape {
            width: chunk.width,
            height: chunk.height,
            samples: if layout.is_planar { 1 } else { layout.samples },
            n_bytes: self.n_bytes(chunk),
        };
        let mut values = compression::expand(data, layout.compression, &shape)
            .ok_or_else(|| broken("a strip or tile with too little data, or damaged data"))?;
        if layout.subsampling != (1, 1) {
            return Ok(full_chroma(&values, chunk, layout.subsampling));
        }
        let size = layout.bits / 8;
        if matches!(layout.bits, 16 | 32 | 64) {
            let row_bytes = chunk.row_values(layout) * size;
            if layout.predictor == 3 {
                for row in values.chunks_exact_mut(row_bytes) {
                    undo_float_differences(row, size, shape.samples);
                }
                return Ok(values);
            }
            if self.directory.is_big_endian() != cfg!(target_endian = "big") {
                values.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
        }
        if layout.bits == 24 && !self.directory.is_big_endian() {
            values.chunks_exact_mut(3).for_each(<[u8]>::reverse);
        }
        if layout.predictor == 2 {
            let row_bytes = chunk.row_values(layout) * size;
            for row in values.chunks_exact_mut(row_bytes) {
                undo_differences(row, size, shape.samples);
            }
        }
        Ok(values)
    }

    fn jpeg(&self, chunk: &Chunk, data: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let layout = self.layout;
        let shape = Shape {
            width: chunk.width,
            height: chunk.height,
            samples: 3,
            n_bytes: chunk.width * chunk.height * 3,
        };
        let transform = match layout.color {
            _ if layout.is_planar || layout.samples < 3 => None,
            Color::YCbCr => Some(1),
            _ => Some(0),
        };
        let tables = self.directory.bytes(347)?;
        let (rgb, n_pixels) = compression::jpeg(data, tables, transform, &shape, self.options)?;
        self.work.spend_pixels(n_pixels)?;
        Ok(rgb)
    }
}

/// Decodes an image in the JPEG compression of TIFF 6.0 (number 6), if it is one whole JPEG inside of the file.
fn old_jpeg(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    options: &DecodeOptions,
) -> Result<Samples, DecodeError> {
    let stream = match directory.number(513)? {
        Some(start) => usize::try_from(start)
            .ok()
            .and_then(|start| bytes.get(start..)),
        // Some programs leave out tag 513 and store the JPEG as the only strip.
        None => usize::try_from(layout.offsets[0])
            .ok()
            .and_then(|start| bytes.get(start..)),
    };
    let stream = stream.ok_or_else(|| cut("the pixels do"))?;
    if !stream.starts_with(b"\xff\xd8\xff") {
        return Err(unsupported(
            "old JPEG compression without a whole JPEG in it",
        ));
    }
    let image = crate::jpeg::decode(stream, options)?.image;
    if (image.width() as usize, image.height() as usize) != (layout.width, layout.height) {
        return Err(unsupported("old JPEG compression in several pieces"));
    }
    Ok(Samples::Rgb(image.into_raw()))
}

/// Unpacks rows of `row_values` numbers of `bits` bits each; each row starts at a byte boundary.
fn unpack(values: &[u8], row_values: usize, bits: usize) -> impl Iterator<Item = u32> {
    let row_bytes = (row_values * bits).div_ceil(8);
    values.chunks_exact(row_bytes.max(1)).flat_map(move |row| {
        (0..row_values).map(move |i| {
            let (first, last) = (i * bits / 8, ((i + 1) * bits).div_ceil(8));
            let all = row[first..last]
                .iter()
                .fold(0u64, |all, &byte| all << 8 | u64::from(byte));
            let behind = last * 8 - (i + 1) * bits;
            (all >> behind & ((1 << bits) - 1)) as u32
        })
    })
}

/// Undoes horizontal differencing (predictor 2) in a row: adds to each sample the corresponding sample of the pixel
/// before it. `size` is the number of bytes per sample, `samples` the number of samples per pixel.
fn undo_differences(row: &mut [u8], size: usize, samples: usize) {
    for at in (samples * size..row.len()).step_by(size) {
        let before = at - samples * size;
        match size {
            1 => row[at] = row[at].wrapping_add(row[before]),
            2 => {
                let sum = [before, at].map(|i| u16::from_ne_bytes([row[i], row[i + 1]]));
                let sum = sum[0].wrapping_add(sum[1]);
                row[at..at + 2].copy_from_slice(&sum.to_ne_bytes());
            }
            _ => {
                // In either byte order, the carry runs from the low byte to the high one.
                let mut carry = 0u16;
                for k in 0..size {
                    let k = if cfg!(target_endian = "big") {
                        size - 1 - k
                    } else {
                        k
                    };
                    carry += u16::from(row[at + k]) + u16::from(row[before + k]);
                    row[at + k] = carry as u8;
                    carry >>= 8;
                }
            }
        }
    }
}

/// Undoes floating-point horizontal differencing (predictor 3) in a row: adds up the differences of bytes, and joins
/// the bytes of each number, which the row stores in `size` planes (all highest bytes first). `size` is the number of
/// bytes per number, `samples` the number of samples per pixel.
fn undo_float_differences(row: &mut [u8], size: usize, samples: usize) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
    let planes = row.to_vec();
    let n = row.len() / size;
    for (i, number) in row.chunks_exact_mut(size).enumerate() {
        for (k, byte) in number.iter_mut().enumerate() {
            // The plane of the highest bytes comes first.
            let plane = if cfg!(target_endian = "big") {
                k
            } else {
                size - 1 - k
            };
            *byte = planes[plane * n + i];
        }
    }
}

/// Converts blocks of `h * v` luma samples and one pair of chroma samples to three samples (Y, Cb, Cr) for each pixel.
fn full_chroma(values: &[u8], chunk: &Chunk, (h, v): (usize, usize)) -> Vec<u8> {
    let mut out = vec![0; chunk.width * chunk.height * 3];
    let blocks_across = chunk.width.div_ceil(h);
    for (i, block) in values.chunks_exact(h * v + 2).enumerate() {
        let (x, y) = (i % blocks_across * h, i / blocks_across * v);
        for (k, &luma) in block[..h * v].iter().enumerate() {
            let (x, y) = (x + k % h, y + k / h);
            if x < chunk.width && y < chunk.height {
                let at = (y * chunk.width + x) * 3;
                out[at..at + 3].copy_from_slice(&[luma, block[h * v], block[h * v + 1]]);
            }
        }
    }
    out
}
