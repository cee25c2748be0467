//! A decoded image in memory, and the size and depth that a file header gives.

/// A decoded image: `u8` values in the order `[height, width, channels]`, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

impl Image {
    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Mirrors the image left to right, in place.
    pub fn flip_horizontal(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.width * self.channels) {
            let (mut left, mut right) = (0, self.width - 1);
            while left < right {
                for c in 0..self.channels {
                    row.swap(left * self.channels + c, right * self.channels + c);
                }
                left += 1;
                right -= 1;
            }
        }
    }

    /// Writes the pixels as `[channels, height, width]` into `out`.
    ///
    /// # Panics
    /// When `out` does not have as many values as the image.
    pub fn write_chw(&self, out: &mut [u8]) {
        assert_eq!(
            out.len(),
            self.pixels.len(),
            "write_chw: output of another size"
        );
        let plane = self.width * self.height;
        if let (3, Some((r, gb))) = (self.channels, out.split_at_mut_checked(plane)) {
            let (g, b) = gb.split_at_mut(plane);
            for (((pixel, r), g), b) in self.pixels.chunks_exact(3).zip(r).zip(g).zip(b) {
                (*r, *g, *b) = (pixel[0], pixel[1], pixel[2]);
            }
            return;
        }
        for (c, plane) in out.chunks_exact_mut(plane.max(1)).enumerate() {
            let values = self.pixels.iter().skip(c).step_by(self.channels);
            plane
                .iter_mut()
                .zip(values)
                .for_each(|(out, value)| *out = *value);
        }
    }

    /// A copy of the pixels in the order `[channels, height, width]`.
    pub fn to_chw(&self) -> Vec<u8> {
        let mut out = vec![0; self.pixels.len()];
        self.write_chw(&mut out);
        out
    }

    /// Converts to RGB: gray is repeated in three channels, alpha is composited on white.
    pub fn into_rgb(self) -> Self {
        if self.channels == 3 {
            return self;
        }
        let over_white = |value: u8, alpha: u8| {
            let (value, alpha) = (u32::from(value), u32::from(alpha));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        let pixels = match self.channels {
            1 => self.pixels.iter().flat_map(|&v| [v; 3]).collect(),
            2 => self
                .pixels
                .chunks_exact(2)
                .flat_map(|p| [over_white(p[0], p[1]); 3])
                .collect(),
            _ => self
                .pixels
                .chunks_exact(4)
                .flat_map(|p| [0, 1, 2].map(|c| over_white(p[c], p[3])))
                .collect(),
        };
        Self {
            channels: 3,
            pixels,
            ..self
        }
    }
}

/// Size and depth of an image, from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Number of channels as in [`Image::channels`], after palettes are expanded.
    pub channels: usize,
    /// Bits per channel after palettes and depths below 8 bits are expanded: 8, 16 or 32.
    pub bit_depth: usize,
}

impl Header {
    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}
