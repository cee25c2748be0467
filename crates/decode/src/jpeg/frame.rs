//! The frame header: coding process, size and components.

use super::huffman::{Code, standard};
use crate::DecodeError;
use std::rc::Rc;

/// Size and components of the image.
pub struct Frame {
    /// Whether the coding is progressive; else it is sequential.
    pub is_progressive: bool,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The components in the order of the frame header.
    pub components: Vec<Component>,
    /// Largest horizontal and largest vertical sampling factor of the components.
    pub max_sampling: (usize, usize),
}

/// One component of the frame.
pub struct Component {
    /// Identifier, by which scan headers refer to the component.
    pub id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub sampling: (usize, usize),
    /// Number of its quantization table.
    pub table: u8,
    /// The quantization table under that number at the first scan of the component, in zigzag order; `None` before that
    /// scan has been read.
    pub quantizers: Option<[u16; 64]>,
}

fn broken(message: impl Into<String>) -> DecodeError {
    DecodeError::Broken(format!("JPEG: {}", message.into()))
}

impl Frame {
    /// Reads a frame header. `marker` is the second byte of its SOF marker, `segment` its content after the length
    /// field.
    ///
    /// # Errors
    /// Coding processes that are not supported (named in the message), and headers that contradict themselves.
    pub fn parse(marker: u8, segment: &[u8]) -> Result<Self, DecodeError> {
        let &[precision, h1, h0, w1, w0, n_components, ref rest @ ..] = segment else {
            return Err(broken("the frame header is cut"));
        };
        let unsupported = match marker {
            0xc3 => "lossless coding, which is not supported: convert the file to PNG",
            0xc9 | 0xca => {
                "arithmetic coding, which is not supported: convert the file to PNG, or losslessly with jpegtran"
            }
            0xcb => "lossless arithmetic coding, which is not supported: convert the file to PNG",
            0xc5..=0xc7 | 0xcd..=0xcf => {
                "hierarchical coding, which is not supported: convert the file to PNG"
            }
            _ => "",
        };
        if !unsupported.is_empty() {
            return Err(broken(unsupported));
        }
        if precision != 8 {
            return Err(broken(format!(
                "{precision} bits per sample, which is not supported: convert the file to PNG"
            )));
        }
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        if height == 0 {
            return Err(broken(
                "the height is given after the image (DNL), which is not supported: convert the file to PNG",
            ));
        }
        if width == 0 || n_components == 0 {
            return Err(broken("the frame header says that the image is empty"));
        }
        let components: Vec<Component> = rest
            .chunks_exact(3)
            .map(|c| Component {
                id: c[0],
                sampling: (usize::from(c[1] >> 4), usize::from(c[1] & 15)),
                table: c[2],
                quantizers: None,
            })
            .collect();
        if components.len() != usize::from(n_components) || rest.len() != 3 * components.len() {
            return Err(broken("the frame header has a wrong length"));
        }
        let max_sampling = components.iter().fold((1, 1), |(h, v), c| {
            (h.max(c.sampling.0), v.max(c.sampling.1))
        });
        let frame = Self {
            is_progressive: marker == 0xc2,
            width,
            height,
            components,
            max_sampling,
        };
        frame.check_sampling()?;
        Ok(frame)
    }

    fn check_sampling(&self) -> Result<(), DecodeError> {
        for Component {
            sampling: (h, v), ..
        } in &self.components
        {
            if !(1..=4).contains(h) || !(1..=4).contains(v) {
                return Err(broken(format!("a sampling factor of {h} x {v}")));
            }
            let (max_h, max_v) = self.max_sampling;
            if !max_h.is_multiple_of(*h) || !max_v.is_multiple_of(*v) {
                return Err(broken(format!(
                    "a component sampled {h} x {v} beside one of {} x {}, which is not supported: convert the file to PNG",
                    self.max_sampling.0, self.max_sampling.1
                )));
            }
        }
        Ok(())
    }

    /// Refuses interleaved scans with more than 10 blocks in an MCU, the limit of the standard (T.81, B.2.3).
    ///
    /// `scan` holds the indices of the components of the scan.
    pub fn check_scan(
        &self,
        scan: impl ExactSizeIterator<Item = usize>,
    ) -> Result<(), DecodeError> {
        let n_components = scan.len();
        let blocks: usize = scan
            .map(|component| self.components[component].sampling)
            .map(|(h, v)| h * v)
            .sum();
        if n_components > 1 && blocks > 10 {
            return Err(broken(format!(
                "{blocks} blocks in a unit of a scan, where the standard allows 10"
            )));
        }
        Ok(())
    }

    /// Refuses scan parameters that are not valid in a progressive JPEG.
    ///
    /// `n_parts` is the number of components in the scan, `start` and `end` are its first and last coefficient, and
    /// `high` and `low` its bit positions of successive approximation, as in `Scan::band` and `Scan::bits`.
    pub fn check_progression(
        &self,
        n_parts: usize,
        (start, end): (usize, usize),
        (high, low): (u8, u8),
    ) -> Result<(), DecodeError> {
        let is_band_valid = if start == 0 {
            end == 0
        } else {
            start <= end && end <= 63 && n_parts == 1
        };
        if !is_band_valid || low > 13 || (high != 0 && high - 1 != low) {
            return Err(broken("a progressive scan with contradicting parameters"));
        }
        Ok(())
    }

    /// The Huffman table to use where a sequential file defines none under this number, as in frames of Motion JPEG:
    /// the standard table for luma (0) or chroma (1). `None` for other numbers and for progressive files.
    pub fn standard_code(&self, is_ac: bool, number: u8) -> Option<Rc<Code>> {
        (!self.is_progressive && number < 2).then(|| Rc::new(standard(is_ac, number == 1)))
    }

    /// Width and height of a component in samples.
    pub fn samples(&self, component: usize) -> (usize, usize) {
        let (h, v) = self.components[component].sampling;
        (
            (self.width * h).div_ceil(self.max_sampling.0),
            (self.height * v).div_ceil(self.max_sampling.1),
        )
    }

    /// Number of MCUs in a row of an interleaved scan, and number of rows of MCUs.
    pub fn mcus(&self) -> (usize, usize) {
        (
            self.width.div_ceil(8 * self.max_sampling.0),
            self.height.div_ceil(8 * self.max_sampling.1),
        )
    }
}
