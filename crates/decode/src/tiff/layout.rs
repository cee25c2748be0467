//! Reads the layout of an image from its tags: size, samples, strips or tiles.

use super::compression::Compression;
use super::directory::{Directory, broken, unsupported};
use crate::raster_image::max_alloc;
use crate::{DecodeError, DecodeOptions, check_size};

/// Meaning of the color samples (photometric interpretation, tag 262).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Gray; 0 is white.
    WhiteIsZero,
    /// Gray; 0 is black.
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

impl Color {
    /// Number of color samples per pixel.
    pub fn n_samples(self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }

    fn is_gray(self) -> bool {
        matches!(self, Self::WhiteIsZero | Self::BlackIsZero)
    }

    fn from_number(number: u64) -> Result<Self, DecodeError> {
        let name = match number {
            0 => return Ok(Self::WhiteIsZero),
            1 => return Ok(Self::BlackIsZero),
            2 => return Ok(Self::Rgb),
            3 => return Ok(Self::Palette),
            5 => return Ok(Self::Cmyk),
            6 => return Ok(Self::YCbCr),
            4 => "a transparency mask instead of an image",
            8..=10 => "L*a*b* colors",
            32803 => "the raw samples of a camera",
            34892 => "the linear raw samples of a camera",
            32844 | 32845 => "LogLuv colors",
            _ => return Err(unsupported(format!("color interpretation number {number}"))),
        };
        Err(unsupported(name))
    }
}

/// The alpha sample of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alpha {
    /// Index among the samples of a pixel.
    pub at: usize,
    /// Whether colors are premultiplied with it.
    pub is_associated: bool,
}

/// Size and samples of an image, and its division into strips or tiles.
#[derive(Debug)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    pub color: Color,
    /// Samples per pixel: colors, and others such as alpha.
    pub samples: usize,
    pub alpha: Option<Alpha>,
    /// Bits per sample.
    pub bits: usize,
    pub is_float: bool,
    /// Whether each sample of a pixel is stored in strips or tiles of its own (planar configuration 2).
    pub is_planar: bool,
    pub compression: Compression,
    /// Predictor: 1 none, 2 horizontal differencing, 3 floating-point horizontal differencing.
    pub predictor: u64,
    /// Luma samples per chroma sample, horizontally and vertically; (1, 1) for JPEG, which upsamples its chroma itself.
    pub subsampling: (usize, usize),
    /// Whether the lowest bit of a byte comes first (fill order 2) instead of the highest.
    pub reverses_bits: bool,
    pub is_tiled: bool,
    /// Width of a strip or tile in pixels.
    pub chunk_width: usize,
    /// Height of a strip or tile in pixels.
    pub chunk_height: usize,
    /// Offset in the file of each strip or tile, row by row, then plane by plane.
    pub offsets: Vec<u64>,
    /// Number of compressed bytes of each strip or tile; `None` if the file does not have this tag.
    pub lengths: Option<Vec<u64>>,
}

impl Layout {
    /// Reads the tags of an image and refuses images that are damaged or not supported.
    pub fn read(directory: &Directory<'_>, options: &DecodeOptions) -> Result<Self, DecodeError> {
        refuse_raw_files(directory)?;
        let width = directory.required(256, "width")?;
        let height = directory.required(257, "height")?;
        check_size(width, height, options)?;
        let small = |n: u64, name: &str| {
            usize::try_from(n)
                .ok()
                .filter(|&n| (1..=1 << 31).contains(&n))
                .ok_or_else(|| broken(format!("a {name} of {n}")))
        };
        let (width, height) = (small(width, "width")?, small(height, "height")?);
        let samples = small(directory.number(277)?.unwrap_or(1), "number of samples")?;
        let bits = directory.numbers(258)?.unwrap_or_else(|| vec![1]);
        if bits.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(unsupported("samples of different numbers of bits"));
        }
        let bits = small(bits.first().copied().unwrap_or(1), "number of bits")?;
        let color = match directory.number(262)? {
            Some(number) => Color::from_number(number)?,
            // The tag is missing: guess as libtiff does.
            None if samples >= 3 => Color::Rgb,
            None => Color::BlackIsZero,
        };
        let compression = Compression::from_number(directory.number(259)?.unwrap_or(1))?;
        if compression == Compression::Group3 && directory.number(292)?.unwrap_or(0) & 1 == 1 {
            return Err(unsupported("two-dimensional Group 3 fax compression"));
        }
        let formats = directory.numbers(339)?.unwrap_or_default();
        let is_float = match formats.first() {
            None | Some(1 | 4) => false,
            Some(3) => true,
            Some(2) => return Err(unsupported("samples with a sign")),
            Some(_) => return Err(unsupported("complex samples")),
        };
        if formats.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(unsupported("samples of different formats"));
        }
        if is_float && !matches!(bits, 16 | 32 | 64) || !is_float && bits > 32 {
            return Err(unsupported(format!("{bits} bits a sample")));
        }
        if samples < color.n_samples() {
            return Err(broken(format!(
                "{samples} samples are too few for {color:?}"
            )));
        }
        if color == Color::Cmyk && directory.number(332)?.is_some_and(|inks| inks != 1) {
            return Err(unsupported("other inks than cyan, magenta, yellow, black"));
        }
        let is_planar = samples > 1 && directory.number(284)? == Some(2);
        let subsampling = subsampling(directory, color, compression)?;
        let is_tiled = directory.number(324)?.is_some();
        let (chunk_width, chunk_height, tags) = if is_tiled {
            let width = small(directory.required(322, "width of a tile")?, "tile width")?;
            let height = small(directory.required(323, "height of a tile")?, "tile height")?;
            (width, height, (324, 325))
        } else {
            let rows = directory.number(278)?.unwrap_or(height as u64);
            let rows = usize::try_from(rows).unwrap_or(height);
            (width, rows.clamp(1, height), (273, 279))
        };
        let layout = Self {
            width,
            height,
            color,
            samples,
            alpha: alpha(directory, color, samples)?,
            bits,
            is_float,
            is_planar,
            compression,
            predictor: directory.number(317)?.unwrap_or(1),
            subsampling,
            reverses_bits: directory.number(266)? == Some(2),
            is_tiled,
            chunk_width,
            chunk_height,
            offsets: directory.numbers(tags.0)?.unwrap_or_default(),
            lengths: directory.numbers(tags.1)?,
        };
        layout.check(options)?;
        Ok(layout)
    }

    /// Refuses combinations of tags that are not supported, and sizes that need too much memory.
    fn check(&self, options: &DecodeOptions) -> Result<(), DecodeError> {
        if !(1..=3).contains(&self.predictor) {
            return Err(unsupported(format!("predictor {}", self.predictor)));
        }
        if self.predictor == 3 && !self.is_float
            || self.predictor == 2 && !matches!(self.bits, 8 | 16 | 32 | 64)
        {
            return Err(unsupported(format!(
                "predictor {} for {} bits",
                self.predictor, self.bits
            )));
        }
        if self.subsampling != (1, 1) && (self.is_planar || self.bits != 8 || self.samples != 3) {
            return Err(unsupported("subsampled chroma beside other samples"));
        }
        if self.color == Color::YCbCr && (self.bits != 8 || self.is_float) {
            return Err(unsupported(format!("YCbCr of {} bits", self.bits)));
        }
        if self.color == Color::Palette && (self.bits > 16 || self.is_float) {
            return Err(unsupported(format!("a palette and {} bits", self.bits)));
        }
        let bytes = |width: usize, height: usize| {
            let size = 4 * self.samples as u64;
            (width as u64 * height as u64).saturating_mul(size)
        };
        let larger = bytes(self.width, self.height).max(bytes(self.chunk_width, self.chunk_height));
        if larger > max_alloc(options) {
            return Err(broken(format!(
                "{} samples of {} x {} pixels in pieces of {} x {} need too much memory",
                self.samples, self.width, self.height, self.chunk_width, self.chunk_height
            )));
        }
        let is_fax = matches!(
            self.compression,
            Compression::FaxRows | Compression::Group3 | Compression::Group4
        );
        if is_fax && (self.bits != 1 || self.samples != 1) {
            return Err(broken("fax compression of more than one bit a pixel"));
        }
        if self.compression == Compression::OldJpeg && self.samples > 3 {
            return Err(unsupported(
                "old JPEG compression of more than three samples",
            ));
        }
        let n_chunks =
            self.n_across() * self.n_down() * if self.is_planar { self.samples } else { 1 };
        if self.offsets.len() < n_chunks {
            return Err(broken(format!(
                "{} of {n_chunks} strips or tiles are listed",
                self.offsets.len()
            )));
        }
        Ok(())
    }

    /// Number of strips or tiles in a row.
    pub fn n_across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    /// Number of rows of strips or tiles.
    pub fn n_down(&self) -> usize {
        self.height.div_ceil(self.chunk_height)
    }

    /// Number of channels of the decoded image: 1 for gray or 3 for RGB, and 1 for alpha.
    pub fn n_channels(&self) -> usize {
        let n_colors = if self.color.is_gray() { 1 } else { 3 };
        n_colors + usize::from(self.alpha.is_some())
    }

    /// Bits per channel of the stored samples, or of the colors of a palette: at least 8, rounded up to a power of two.
    pub fn bit_depth(&self) -> usize {
        match self.color {
            Color::Palette => 8,
            _ => self.bits.next_power_of_two().max(8),
        }
    }
}

/// The alpha sample: the first of the extra samples that tag 338 declares as alpha. Without this tag, the fourth sample
/// of an RGB image is alpha, as in Pillow.
fn alpha(
    directory: &Directory<'_>,
    color: Color,
    samples: usize,
) -> Result<Option<Alpha>, DecodeError> {
    let n_colors = color.n_samples();
    let Some(kinds) = directory.numbers(338)? else {
        return Ok((color == Color::Rgb && samples == 4).then_some(Alpha {
            at: 3,
            is_associated: false,
        }));
    };
    let at = kinds.iter().position(|&kind| matches!(kind, 1 | 2));
    Ok(at
        .map(|i| Alpha {
            at: n_colors + i,
            is_associated: kinds[i] == 1,
        })
        .filter(|alpha| alpha.at < samples))
}

fn subsampling(
    directory: &Directory<'_>,
    color: Color,
    compression: Compression,
) -> Result<(usize, usize), DecodeError> {
    if color != Color::YCbCr || matches!(compression, Compression::Jpeg | Compression::OldJpeg) {
        return Ok((1, 1));
    }
    match directory.numbers(530)?.as_deref() {
        None => Ok((2, 2)),
        Some(&[h @ (1 | 2 | 4), v @ (1 | 2 | 4), ..]) => Ok((h as usize, v as usize)),
        Some(other) => Err(broken(format!("a chroma subsampling of {other:?}"))),
    }
}

/// Refuses raw files of cameras, which are TIFFs whose first image may be only a small preview.
fn refuse_raw_files(directory: &Directory<'_>) -> Result<(), DecodeError> {
    let is_preview = directory.number(254).ok().flatten().unwrap_or(0) & 1 == 1;
    let has_more = directory.number(330).ok().flatten().is_some();
    if directory.metadata(50706).is_some() {
        return Err(unsupported("the raw samples of a camera (DNG)"));
    }
    if directory.is_canon_raw() || is_preview && has_more {
        return Err(unsupported("the raw samples of a camera"));
    }
    Ok(())
}
