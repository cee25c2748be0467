//! A bitmap for plots: anti-aliased lines, 8 x 8 letters, PNG.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

/// A bitmap of RGB pixels, which is white at first.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Draws lines of text, dark on white. Returns an RGB image in rows of `width` pixels; its height is 20 pixels for each
/// line, and 4 pixels of margin.
///
/// If a line is too long, only its end is shown, since the names of runs often differ only at the end.
pub fn caption(width: usize, lines: &[&str]) -> Vec<u8> {
    const LINE: usize = 8 * DOT + 4;
    let mut canvas = Canvas::new(width, lines.len() * LINE + 4);
    let fitting = width.saturating_sub(8) / (8 * DOT);
    for (i, line) in lines.iter().enumerate() {
        let too_many = line.chars().count().saturating_sub(fitting);
        let end: String = line.chars().skip(too_many).collect();
        canvas.text((4.0, (4 + i * LINE) as f64), &end, [20, 20, 20], 0.0);
    }
    canvas.pixels
}

/// Side in pixels of one dot of a letter.
const DOT: usize = 2;

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![255; width * height * 3],
        }
    }

    fn blend(&mut self, x: usize, y: usize, color: [u8; 3], share: f64) {
        let at = (y * self.width + x) * 3;
        for (pixel, value) in self.pixels[at..at + 3].iter_mut().zip(color) {
            let old = f64::from(*pixel);
            *pixel = (old + (f64::from(value) - old) * share).round() as u8;
        }
    }

    /// Draws a line `width` pixels wide with round ends. If `from` and `to` are equal, the result is a dot.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), color: [u8; 3], width: f64) {
        let reach = width / 2.0 + 1.0;
        let bounds = |a: f64, b: f64, size: usize| {
            let low = (a.min(b) - reach).floor().max(0.0) as usize;
            let high = ((a.max(b) + reach).ceil().max(0.0) as usize + 1).min(size);
            low.min(high)..high
        };
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx * dx + dy * dy;
        for y in bounds(from.1, to.1, self.height) {
            for x in bounds(from.0, to.0, self.width) {
                let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let along = if length > 0.0 {
                    ((px * dx + py * dy) / length).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let distance = (px - along * dx).hypot(py - along * dy);
                let share = (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.blend(x, y, color, share);
                }
            }
        }
    }

    /// Draws one line of text with its upper edge at `at.1`. The text starts at `at.0` if `anchor` is 0, is centered
    /// there if it is 0.5, and ends there if it is 1.
    pub fn text(&mut self, at: (f64, f64), text: &str, color: [u8; 3], anchor: f64) {
        let width = text.chars().count() * 8 * DOT;
        let left = at.0 - width as f64 * anchor;
        for (i, letter) in text.chars().enumerate() {
            let glyph = BASIC_FONTS
                .get(letter)
                .or_else(|| LATIN_FONTS.get(letter))
                .or_else(|| BASIC_FONTS.get('?'))
                .unwrap_or_default();
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    for dot in 0..DOT * DOT {
                        let x = left + ((i * 8 + column) * DOT + dot % DOT) as f64;
                        let y = at.1 + (row * DOT + dot / DOT) as f64;
                        if x >= 0.0
                            && y >= 0.0
                            && (x as usize) < self.width
                            && (y as usize) < self.height
                        {
                            self.blend(x as usize, y as usize, color, 1.0);
                        }
                    }
                }
            }
        }
    }

    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Writing to memory cannot fail, and the sizes fit by construction.
        let written = encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels));
        debug_assert!(written.is_ok(), "{written:?}");
        files::mark::mark_png(&bytes)
    }
}
