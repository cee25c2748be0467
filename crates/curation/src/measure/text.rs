//! Share of an image that is covered with text: speech bubbles, captions, credits.

use super::{luma_of, round4};
use image::RgbImage;

/// Side of a block in samples: enough for a few letters, or for two lines of letters. A sample is the mean of a square
/// of pixels.
const BLOCK: usize = 24;
/// Largest number of columns, and of rows, of the grid on which blocks are examined.
const MAX_GRID: usize = 20;
/// Like [`MAX_GRID`], at the coarser scale, which finds larger letters; its samples have twice the side.
const MAX_COARSE_GRID: usize = 10;
/// Images are reduced to samples so that their longer side has at most about this many.
const LONGEST_SIDE: usize = 1200;
/// A scale counts only if at least this many blocks fit into the image: the few blocks of a face of 64 px in two tones
/// could pass for letters.
const MIN_BLOCKS: u32 = 36;

/// Share of the image that is covered with text, 0 to 1.
///
/// Letters are thin strokes of one tone on another. Rows and columns of samples through letters change tone several
/// times, and some of them lie between letters and hold hardly any ink. Hair, hatching and screen tones change tone in
/// one direction only, have more tones, or leave no such gaps.
///
/// Blocks of 24 x 24 samples on a grid are classified at two scales; the result is the larger share of blocks with
/// text. A scale at which fewer than 36 blocks fit (an image below 144 px at the finer one) does not count.
pub fn text_share(image: &RgbImage) -> f64 {
    let longest = image.width().max(image.height()) as usize;
    let scale = longest.div_ceil(LONGEST_SIDE).max(1);
    let fine = share_at(image, scale, MAX_GRID);
    round4(fine.max(share_at(image, 2 * scale, MAX_COARSE_GRID)))
}

/// Computes the share of the blocks that hold text, with samples of `scale` x `scale` pixels; 0 with fewer than
/// [`MIN_BLOCKS`] blocks.
fn share_at(image: &RgbImage, scale: usize, max_grid: usize) -> f64 {
    let side = |length: u32| length as usize / scale / BLOCK;
    let (columns, rows) = (side(image.width()), side(image.height()));
    let places = |n: usize| {
        let step = n.div_ceil(max_grid).max(1);
        (step / 2..n).step_by(step)
    };
    let (mut n_text, mut n) = (0u32, 0u32);
    for row in places(rows) {
        for column in places(columns) {
            let samples = block(image, column * BLOCK * scale, row * BLOCK * scale, scale);
            n_text += u32::from(is_text(&samples));
            n += 1;
        }
    }
    if n < MIN_BLOCKS {
        0.0
    } else {
        f64::from(n_text) / f64::from(n)
    }
}

type Block = [[u8; BLOCK]; BLOCK];

/// Luma of the block at `left`, `top` in pixels; each sample is the mean of `scale` x `scale` pixels.
fn block(image: &RgbImage, left: usize, top: usize, scale: usize) -> Block {
    let stride = image.width() as usize * 3;
    let pixels = image.as_raw();
    let area = (scale * scale) as u32;
    let mut samples = [[0; BLOCK]; BLOCK];
    for (y, line) in samples.iter_mut().enumerate() {
        let mut sums = [0; BLOCK];
        for row in 0..scale {
            let at = (top + y * scale + row) * stride + left * 3;
            let run = &pixels[at..at + BLOCK * scale * 3];
            for (sum, pixels) in sums.iter_mut().zip(run.chunks_exact(scale * 3)) {
                for pixel in pixels.chunks_exact(3) {
                    *sum += u32::from(luma_of(pixel));
                }
            }
        }
        for (sample, sum) in line.iter_mut().zip(sums) {
            *sample = ((sum + area / 2) / area) as u8;
        }
    }
    samples
}

#[allow(clippy::needless_range_loop)] // rows and columns of one matrix
fn is_text(block: &Block) -> bool {
    /// Least difference of the lightest and the darkest sample, in 8-bit levels.
    const CONTRAST: u8 = 110;
    /// Least number of samples near the tone of the paper: 45 % of the 576 in a block.
    const PAPER: usize = 576 * 45 / 100;
    /// Number of samples of ink: 7 % to 45 % of 576.
    const INK: std::ops::Range<usize> = 576 * 7 / 100..576 * 45 / 100;
    /// Least number of changes between ink and paper in a block, along its rows and along its columns: on average 2 in
    /// each row and 1.5 in each column.
    const CHANGES: (u32, u32) = (2 * BLOCK as u32, 3 * BLOCK as u32 / 2);
    /// Least number of gaps, lines with hardly any ink, among the rows or among the columns.
    const MIN_GAPS: u32 = 2;
    let samples = block.as_flattened();
    let (low, high) = samples
        .iter()
        .fold((u8::MAX, 0), |(low, high), &v| (low.min(v), high.max(v)));
    if high - low < CONTRAST {
        return false;
    }
    let middle = low + (high - low) / 2;
    let n_dark = samples.iter().filter(|&&v| v < middle).count();
    let n_ink = n_dark.min(samples.len() - n_dark);
    if !INK.contains(&n_ink) {
        return false;
    }
    // The paper must have one tone.
    let eighth = (high - low) / 8;
    let is_paper = |v: u8| {
        if n_dark == n_ink {
            v >= high - eighth
        } else {
            v <= low + eighth
        }
    };
    if samples.iter().filter(|&&v| is_paper(v)).count() < PAPER {
        return false;
    }
    let is_ink = |v: u8| (v < middle) == (n_dark == n_ink);
    let (mut sideways, mut downwards) = (Crossings::default(), Crossings::default());
    for i in 0..BLOCK {
        sideways.add(block[i].map(is_ink));
        downwards.add(std::array::from_fn(|y| is_ink(block[y][i])));
    }
    sideways.changes >= CHANGES.0
        && downwards.changes >= CHANGES.1
        && sideways.gaps.max(downwards.gaps) >= MIN_GAPS
}

/// Counts over all lines of a block in one direction.
#[derive(Default)]
struct Crossings {
    /// Changes between ink and paper.
    changes: u32,
    /// Lines with hardly any ink.
    gaps: u32,
}

impl Crossings {
    fn add(&mut self, line: [bool; BLOCK]) {
        let changes = line.windows(2).filter(|pair| pair[0] != pair[1]).count();
        self.changes += changes as u32;
        self.gaps += u32::from(line.iter().filter(|&&is_ink| is_ink).count() <= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use font8x8::{BASIC_FONTS, UnicodeFonts};
    use image::Rgb;

    /// A page of the given width and height with lines of letters, `8 * size` pixels high, in `region` (left, top,
    /// right, bottom).
    fn page(width: u32, height: u32, size: u32, region: [u32; 4]) -> RgbImage {
        let words = "What the demon said of the seven lamps, nobody at court believed ";
        let glyphs: Vec<[u8; 8]> = words.chars().filter_map(|c| BASIC_FONTS.get(c)).collect();
        let [left, top, right, bottom] = region;
        RgbImage::from_fn(width, height, |x, y| {
            let is_inside = (left..right).contains(&x) && (top..bottom).contains(&y);
            let (column, row) = ((x / size) as usize, (y / size) as usize);
            let glyph = glyphs[(column / 8 + row / 11 * 7) % glyphs.len()];
            let is_ink = is_inside && row % 11 < 8 && glyph[row % 11] >> (column % 8) & 1 == 1;
            Rgb(if is_ink { [20; 3] } else { [245, 244, 240] })
        })
    }

    #[test]
    fn pages_of_writing_are_found_whatever_the_size_of_the_letters() {
        for (width, height, size) in [(600, 800, 1), (700, 900, 2), (1600, 2200, 3)] {
            let full = text_share(&page(width, height, size, [0, 0, width, height]));
            assert!(full > 0.5, "{width} x {height}, {size}: {full}");
            let half = text_share(&page(width, height, size, [0, 0, width, height / 2]));
            assert!((half - full / 2.0).abs() < 0.15, "{half} of {full}");
        }
        // White on black.
        let mut dark = page(700, 900, 2, [0, 0, 700, 900]);
        dark.iter_mut().for_each(|v| *v = 255 - *v);
        assert!(text_share(&dark) > 0.5);
    }

    #[test]
    fn drawings_tones_and_hatching_are_no_writing() {
        let draw =
            |f: &dyn Fn(u32, u32) -> [u8; 3]| RgbImage::from_fn(600, 600, |x, y| Rgb(f(x, y)));
        let images: [(&str, RgbImage); 6] = [
            ("blank", draw(&|_, _| [255; 3])),
            (
                "hatching",
                draw(&|x, y| if (x + y) % 6 < 2 { [0; 3] } else { [255; 3] }),
            ),
            (
                "columns",
                draw(&|x, _| if x % 7 < 2 { [0; 3] } else { [255; 3] }),
            ),
            (
                "contours",
                draw(&|x, y| {
                    let r = (f64::from(x) - 300.0).hypot(f64::from(y) - 300.0);
                    if r % 40.0 < 3.0 { [10; 3] } else { [250; 3] }
                }),
            ),
            (
                "soft shading",
                draw(&|x, y| {
                    let v =
                        128.0 + 120.0 * ((f64::from(x) / 6.0).sin() * (f64::from(y) / 9.0).cos());
                    [v as u8, 200, 255 - v as u8]
                }),
            ),
            (
                "noise",
                draw(&|x, y| [((x * 7919 + y * 104_729 + x * y * 31) % 251) as u8; 3]),
            ),
        ];
        for (name, image) in images {
            assert!(text_share(&image) < 0.03, "{name}: {}", text_share(&image));
        }
        assert_eq!(text_share(&RgbImage::new(10, 10)), 0.0);
    }

    #[test]
    fn a_small_face_is_no_writing() {
        // Letters stand for a small face in two tones, whose blocks can look like text. The image has too few blocks to
        // count.
        let page = page(64, 64, 3, [0, 0, 64, 64]);
        assert_eq!(text_share(&page), 0.0);
    }
}
