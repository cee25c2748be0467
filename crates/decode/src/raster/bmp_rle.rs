//! Decodes the pixels of run-length encoded bitmaps (BI_RLE8 and BI_RLE4).

use super::cut;
use crate::DecodeError;

/// The size of palette indices in the encoded data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// One pixel in a byte.
    Bytes,
    /// Two pixels in a byte, the upper half first.
    HalfBytes,
}

/// Smallest number of zero bytes at the end of the data that counts as filler for missing data. (Two zero bytes are
/// also the code for the end of a row.)
const MIN_ZEROS: usize = 16;

/// Decodes the palette indices of an image: `width * height` values, rows from the bottom.
///
/// Pixels that are skipped have index 0: those after the code for the end of a row or of the image, and those that a
/// delta jumps over. A run stops at the end of its row; pixels in absolute mode continue in the next row, as in Pillow.
///
/// # Errors
/// [`DecodeError::Truncated`] when the data end before the image does, or are filled up with zeros.
pub fn read_indices(
    data: &[u8],
    (width, height): (usize, usize),
    codes: Codes,
) -> Result<Vec<u8>, DecodeError> {
    let mut indices = vec![0; width * height];
    let mut rest = data;
    // Number of pixels before the position, in the image and in its row.
    let (mut at, mut x) = (0, 0);
    while at < indices.len() {
        let &[count, value, ref after @ ..] = rest else {
            return Err(cut("BMP"));
        };
        rest = after;
        match (count, value) {
            // The end of a row, full or not.
            (0, 0) => {
                at = if x == 0 {
                    at + width
                } else {
                    at.next_multiple_of(width)
                };
                x = 0;
            }
            // The end of the image.
            (0, 1) => return Ok(indices),
            // A delta.
            (0, 2) => {
                let &[right, up, ref after @ ..] = rest else {
                    return Err(cut("BMP"));
                };
                rest = after;
                at += usize::from(right) + usize::from(up) * width;
                x = at % width;
            }
            // Absolute mode.
            (0, n) => {
                let n = usize::from(n);
                let out = &mut indices[at..];
                let n_fitting = n.min(out.len());
                let n_bytes = |n_pixels: usize| match codes {
                    Codes::Bytes => n_pixels,
                    Codes::HalfBytes => n_pixels.div_ceil(2),
                };
                let stored = rest.get(..n_bytes(n_fitting)).ok_or_else(|| cut("BMP"))?;
                match codes {
                    Codes::Bytes => out[..n_fitting].copy_from_slice(stored),
                    Codes::HalfBytes => {
                        let halves = stored.iter().flat_map(|&byte| [byte >> 4, byte & 15]);
                        out[..n_fitting]
                            .iter_mut()
                            .zip(halves)
                            .for_each(|(to, from)| *to = from);
                    }
                }
                // Padded to an even number of bytes.
                rest = rest
                    .get(n_bytes(n).next_multiple_of(2)..)
                    .unwrap_or_default();
                at += n;
                x += n;
            }
            // A run.
            (n, value) => {
                let n = usize::from(n).min(width.saturating_sub(x));
                let colors = match codes {
                    Codes::Bytes => [value; 2],
                    Codes::HalfBytes => [value >> 4, value & 15],
                };
                let run = indices[at..].iter_mut().take(n);
                run.zip(colors.into_iter().cycle())
                    .for_each(|(to, from)| *to = from);
                at += n;
                x += n;
            }
        }
    }
    let used = data.len() - rest.len();
    let end = &data[used.saturating_sub(MIN_ZEROS)..];
    if end.len() >= MIN_ZEROS && end.iter().all(|&byte| byte == 0) {
        return Err(DecodeError::Truncated(
            "BMP: the rows at the end of the file are zeros, as in an unfinished download"
                .to_owned(),
        ));
    }
    Ok(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeOptions, decode};
    use image::RgbImage;

    /// A file with three colors: index 0 green, index 1 red, index 2 blue.
    fn file((width, height): (u32, u32), codes: Codes, data: &[u8]) -> Vec<u8> {
        let (compression, bits) = match codes {
            Codes::Bytes => (1u32, 8u16),
            Codes::HalfBytes => (2, 4),
        };
        let palette = [[0, 200, 10, 0], [0, 0, 255, 0], [255, 0, 0, 0]].concat();
        let start = 54 + palette.len() as u32;
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let parts: [Vec<u8>; 6] = [
            b"BM".to_vec(),
            numbers(&[start + data.len() as u32, 0, start, 40, width, height]),
            [1u16.to_le_bytes(), bits.to_le_bytes()].concat(),
            numbers(&[compression, data.len() as u32, 0, 0, 3, 0]),
            palette,
            data.to_vec(),
        ];
        parts.concat()
    }

    /// `expected` has rows from the top, with a digit for each palette index.
    #[track_caller]
    fn assert_image(size: (u32, u32), codes: Codes, data: &[u8], expected: &[&str]) {
        let found = decode(&file(size, codes, data), &DecodeOptions::default());
        let colors = [[10, 200, 0], [255, 0, 0], [0, 0, 255]];
        let expected = RgbImage::from_fn(size.0, size.1, |x, y| {
            let digit = expected[y as usize].as_bytes()[x as usize] - b'0';
            image::Rgb(colors.get(usize::from(digit)).copied().unwrap_or_default())
        });
        assert_eq!(found.unwrap().image, expected);
    }

    /// The expected pixels are those of Pillow, OpenCV and ffmpeg.
    #[test]
    fn skipped_pixels_have_the_first_color() {
        // A row that ends early, an empty row, a delta over pixels and a row, and the end of the image.
        let data = [3, 1, 0, 0, 0, 0, 1, 2, 0, 2, 2, 1, 2, 1, 0, 1];
        let rows = ["000000", "000110", "200000", "000000", "111000"];
        assert_image((6, 5), Codes::Bytes, &data, &rows);
        let data = [3, 0x12, 0, 0, 0, 0, 1, 0x20, 0, 2, 2, 1, 2, 0x11, 0, 1];
        let rows = ["000000", "000110", "200000", "000000", "121000"];
        assert_image((6, 5), Codes::HalfBytes, &data, &rows);
        for codes in [Codes::Bytes, Codes::HalfBytes] {
            assert_image((4, 2), codes, &[0, 1], &["0000", "0000"]);
        }
    }

    #[test]
    fn absolute_mode_is_filled_up_to_words() {
        let data = [0, 3, 1, 2, 1, 0, 1, 2, 0, 0, 0, 4, 2, 1, 2, 1, 0, 1];
        assert_image((4, 2), Codes::Bytes, &data, &["2121", "1212"]);
        let data = [
            0, 5, 0x12, 0x12, 0x20, 0, 1, 0x10, 0, 0, 0, 3, 0x21, 0x20, 3, 0x12, 0, 1,
        ];
        assert_image((6, 2), Codes::HalfBytes, &data, &["212121", "121221"]);
    }

    #[test]
    fn runs_end_with_their_row() {
        let data = [9, 1, 0, 0, 4, 2, 0, 1];
        assert_image((4, 2), Codes::Bytes, &data, &["2222", "1111"]);
        let data = [9, 0x12, 0, 0, 4, 0x21, 0, 1];
        assert_image((4, 2), Codes::HalfBytes, &data, &["2121", "1212"]);
        // Without ends of rows, and a delta beyond the image.
        assert_image(
            (4, 2),
            Codes::Bytes,
            &[4, 1, 0, 4, 2, 1, 2, 1],
            &["2121", "1111"],
        );
        assert_image(
            (4, 2),
            Codes::Bytes,
            &[4, 1, 0, 0, 0, 2, 0, 9],
            &["0000", "1111"],
        );
    }

    #[test]
    fn cut_runs_are_truncated() {
        let row = [0, 5, 1, 2, 1, 2, 1, 0, 3, 2, 0, 0];
        let whole = [&row.repeat(20)[..], &[0, 1]].concat();
        let decode = |data: &[u8]| {
            decode(
                &file((8, 20), Codes::Bytes, data),
                &DecodeOptions::default(),
            )
        };
        assert!(decode(&whole).is_ok());
        // The pixels are there without the last end of a row and the end of the image.
        let n_needed = whole.len() - 4;
        for length in 0..=whole.len() {
            match decode(&whole[..length]) {
                Ok(_) => assert!(length >= n_needed, "{length} bytes"),
                Err(DecodeError::Truncated(_)) => assert!(length < n_needed, "{length} bytes"),
                Err(other) => panic!("{length} bytes: {other}"),
            }
        }
        for length in [0, row.len(), 10 * row.len(), 12 * row.len() + 3] {
            let filled = [&whole[..length], &[0; 60]].concat();
            let error = decode(&filled).err();
            assert!(
                matches!(error, Some(DecodeError::Truncated(_))),
                "{length} bytes: {error:?}"
            );
        }
    }
}
