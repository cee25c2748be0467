//! The marker segments of a JPEG: frame, tables and scans, with the rules of libjpeg.
//!
//! The entropy-coded data are located but not decoded here. An error after the first scan is kept in
//! [`Structure::fault`], since decoding the data before it tells whether the file was cut or damaged.

use super::color::Space;
use super::frame::{Component, Frame};
use super::huffman::Code;
use crate::DecodeError;
use std::rc::Rc;

/// Largest number of scans; files with more are refused, as no real encoder writes so many.
const MAX_SCANS: usize = 500;

/// First bytes of the APP1 segment with the XMP packet. Packets above 64 KB continue in extension segments, which start
/// with other bytes and are not read.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// The headers of a JPEG, and its scans not yet decoded.
pub struct Structure<'a> {
    /// Size, components and coding process.
    pub frame: Frame,
    /// The scans in the order of the file, each with the Huffman tables defined before it.
    pub scans: Vec<Scan<'a>>,
    /// Offset of the first byte after the end-of-image marker, if there is one.
    pub end: Option<usize>,
    /// The error at which reading stopped before the end-of-image marker.
    pub fault: Option<DecodeError>,
    /// Whether bytes that belong to no segment stand between the segments.
    pub has_stray_bytes: bool,
    /// The first quantization table with number 0, by convention that of luma, in zigzag order.
    pub luma_quantizers: Option<[u16; 64]>,
    /// The first EXIF block, from its TIFF header on.
    pub exif: Option<&'a [u8]>,
    /// The first XMP packet.
    pub xmp: Option<&'a [u8]>,
    icc: Vec<&'a [u8]>,
    jfif: bool,
    /// Color transform of the Adobe (APP14) marker: 0 none, 1 YCbCr, 2 YCCK.
    pub adobe: Option<u8>,
}

/// One scan: its header and its data.
pub struct Scan<'a> {
    /// Components of the scan in the order of its header.
    pub parts: Vec<Part>,
    /// Index of the first and of the last coefficient that the scan codes, in zigzag order.
    pub band: (usize, usize),
    /// Successive approximation: lowest bit of the coefficients that earlier scans coded (0 for the first scan of a
    /// band), and lowest bit that this scan codes.
    pub bits: (u8, u8),
    /// Number of MCUs between restart markers; 0 for no restart markers.
    pub restart_interval: usize,
    /// Entropy-coded bytes with their stuffing and restart markers.
    pub data: &'a [u8],
    /// Offset in the file of the first byte after the data.
    pub end: usize,
    /// The second byte of the marker that ends the data; `None` where they end with the file.
    pub terminator: Option<u8>,
}

/// A component of a scan and its Huffman codes.
pub struct Part {
    /// Index into [`Frame::components`].
    pub component: usize,
    /// Huffman code of DC coefficients; `None` where there is none under the number in the scan header, neither in the
    /// file nor as a standard table.
    pub dc: Option<Rc<Code>>,
    /// Huffman code of AC coefficients; `None` as for `dc`.
    pub ac: Option<Rc<Code>>,
}

/// Marker at which [`parse`] stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The frame header: size and components.
    Frame,
    /// The end-of-image marker.
    End,
}

fn broken(message: impl Into<String>) -> DecodeError {
    DecodeError::Broken(format!("JPEG: {}", message.into()))
}

fn cut() -> DecodeError {
    DecodeError::Truncated("JPEG: the file ends inside its headers".to_owned())
}

/// Turns [`DecodeError::Broken`] into [`DecodeError::Truncated`] when the file ends with zeros, or with zeros and an
/// end marker.
pub fn truncated_if_filled(error: DecodeError, bytes: &[u8]) -> DecodeError {
    let bytes = bytes.strip_suffix(&[0xff, 0xd9]).unwrap_or(bytes);
    match error {
        DecodeError::Broken(_) if bytes.ends_with(&[0, 0]) => DecodeError::Truncated(
            "JPEG: the end of the file is missing: there are zeros instead".to_owned(),
        ),
        other => other,
    }
}

/// Reads the marker segments of a file that starts with a start-of-image marker.
///
/// # Errors
/// Headers that are cut, broken, or of a coding process that is not supported. An error after the first scan is
/// returned in [`Structure::fault`] instead.
pub fn parse(bytes: &[u8], until: Until) -> Result<Structure<'_>, DecodeError> {
    let mut reader = Reader {
        bytes,
        at: 2,
        has_stray_bytes: false,
        frame: None,
        scans: Vec::new(),
        end: None,
        quantizers: [None; 4],
        luma_quantizers: None,
        dc: [None, None, None, None],
        ac: [None, None, None, None],
        restart_interval: 0,
        exif: None,
        xmp: None,
        icc: Vec::new(),
        jfif: false,
        adobe: None,
        is_unsupported: false,
    };
    let mut fault = None;
    if let Err(error) = reader.run(until) {
        if reader.is_unsupported {
            return Err(error);
        }
        let error = truncated_if_filled(error, bytes);
        if reader.scans.is_empty() {
            return Err(error);
        }
        fault = Some(error);
    }
    Ok(Structure {
        frame: reader
            .frame
            .ok_or_else(|| broken("there is no frame header"))?,
        scans: reader.scans,
        end: reader.end,
        fault,
        has_stray_bytes: reader.has_stray_bytes,
        luma_quantizers: reader.luma_quantizers,
        exif: reader.exif,
        xmp: reader.xmp,
        icc: reader.icc,
        jfif: reader.jfif,
        adobe: reader.adobe,
    })
}

impl Structure<'_> {
    /// The ICC profile, joined from its segments; `None` if there is none or a segment is missing.
    pub fn icc_profile(&self) -> Option<Vec<u8>> {
        let total = self.icc.len();
        let mut parts = vec![None; total];
        for chunk in &self.icc {
            let [number, of, data @ ..] = chunk else {
                return None;
            };
            let place = parts.get_mut(usize::from(*number).checked_sub(1)?)?;
            if usize::from(*of) != total || place.replace(data).is_some() {
                return None;
            }
        }
        let profile: Vec<u8> = parts.into_iter().flatten().flatten().copied().collect();
        (!profile.is_empty()).then_some(profile)
    }

    /// The color model, by libjpeg's rule: from the number and identifiers of the components and the JFIF and Adobe
    /// markers.
    ///
    /// # Errors
    /// A number of components other than 1, 3 or 4.
    pub fn space(&self) -> Result<Space, DecodeError> {
        let ids: Vec<u8> = self.frame.components.iter().map(|c| c.id).collect();
        Ok(match (ids.as_slice(), self.adobe) {
            ([_], _) => Space::Gray,
            ([_, _, _], _) if self.jfif => Space::YCbCr,
            ([_, _, _], Some(0)) => Space::Rgb,
            ([b'R', b'G', b'B'], None) => Space::Rgb,
            ([_, _, _], _) => Space::YCbCr,
            ([_, _, _, _], Some(0) | None) => Space::Cmyk,
            ([_, _, _, _], Some(_)) => Space::Ycck,
            (other, _) => {
                return Err(broken(format!(
                    "{} color components, of which no color model is known: convert the file to PNG",
                    other.len()
                )));
            }
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    has_stray_bytes: bool,
    frame: Option<Frame>,
    scans: Vec<Scan<'a>>,
    end: Option<usize>,
    quantizers: [Option<[u16; 64]>; 4],
    luma_quantizers: Option<[u16; 64]>,
    dc: [Option<Rc<Code>>; 4],
    ac: [Option<Rc<Code>>; 4],
    restart_interval: usize,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    icc: Vec<&'a [u8]>,
    jfif: bool,
    adobe: Option<u8>,
    /// Set where an error is due to the frame header or the coding process, and so never to a truncated file.
    is_unsupported: bool,
}

impl<'a> Reader<'a> {
    fn run(&mut self, until: Until) -> Result<(), DecodeError> {
        loop {
            let marker = self.marker()?;
            match marker {
                0x01 | 0xd0..=0xd7 => {}
                0xd8 => return Err(broken("a second image starts inside the first")),
                0xd9 => {
                    self.end = Some(self.at);
                    return if self.scans.is_empty() {
                        Err(DecodeError::Truncated(
                            "JPEG: the file has headers but no image data".to_owned(),
                        ))
                    } else {
                        Ok(())
                    };
                }
                0xda => self.scan()?,
                0xc4 => self.huffman_tables()?,
                0xdb => self.quantization_tables()?,
                0xdd => {
                    let [high, low] = *self.segment()? else {
                        return Err(broken("a restart interval of an unknown form"));
                    };
                    self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
                0xc0..=0xcf if !matches!(marker, 0xc8 | 0xcc) => {
                    let segment = self.segment()?;
                    if self.frame.is_some() {
                        return Err(broken("there are two frame headers"));
                    }
                    self.is_unsupported = true;
                    self.frame = Some(Frame::parse(marker, segment)?);
                    self.is_unsupported = false;
                    if until == Until::Frame {
                        return Ok(());
                    }
                }
                0xe0..=0xef => {
                    let segment = self.segment()?;
                    if self.scans.is_empty() {
                        self.application_data(marker, segment);
                    }
                }
                0xcc | 0xdc | 0xfe => {
                    self.segment()?;
                }
                0xf7 => {
                    self.is_unsupported = true;
                    return Err(broken(
                        "JPEG-LS coding, which is not supported: convert the file to PNG",
                    ));
                }
                other => return Err(broken(format!("an unknown marker (ff {other:02x})"))),
            }
        }
    }

    /// The second byte of the next marker; stray bytes and fill bytes before it are skipped, as in libjpeg.
    fn marker(&mut self) -> Result<u8, DecodeError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let stray = memchr::memchr(0xff, rest).ok_or_else(cut)?;
            let fill = rest[stray..].iter().take_while(|&&b| b == 0xff).count();
            let code = *rest.get(stray + fill).ok_or_else(cut)?;
            self.at += stray + fill + 1;
            self.has_stray_bytes |= stray > 0 || code == 0;
            if code != 0 {
                return Ok(code);
            }
        }
    }

    /// The content of the segment at the position, after its length field.
    fn segment(&mut self) -> Result<&'a [u8], DecodeError> {
        let head = self.bytes.get(self.at..self.at + 2).ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        if length < 2 {
            return Err(broken("a segment shorter than its length field"));
        }
        let content = self
            .bytes
            .get(self.at + 2..self.at + length)
            .ok_or_else(cut)?;
        self.at += length;
        Ok(content)
    }

    fn application_data(&mut self, marker: u8, segment: &'a [u8]) {
        match marker {
            0xe0 => self.jfif |= segment.len() >= 14 && segment.starts_with(b"JFIF\0"),
            0xe1 => {
                self.exif = self.exif.or(segment.strip_prefix(b"Exif\0\0"));
                self.xmp = self.xmp.or(segment.strip_prefix(XMP));
            }
            0xe2 => self.icc.extend(segment.strip_prefix(b"ICC_PROFILE\0")),
            0xee if segment.len() >= 12 && segment.starts_with(b"Adobe") => {
                self.adobe = Some(segment[11]);
            }
            _ => {}
        }
    }

    fn quantization_tables(&mut self) -> Result<(), DecodeError> {
        let short = || broken("a quantization table is cut");
        let mut rest = self.segment()?;
        while let Some((&head, values)) = rest.split_first() {
            let mut table = [0; 64];
            rest = if head >> 4 == 0 {
                let (values, rest) = values.split_at_checked(64).ok_or_else(short)?;
                for (to, &from) in table.iter_mut().zip(values) {
                    *to = u16::from(from);
                }
                rest
            } else {
                let (values, rest) = values.split_at_checked(128).ok_or_else(short)?;
                for (to, from) in table.iter_mut().zip(values.chunks_exact(2)) {
                    *to = u16::from_be_bytes([from[0], from[1]]);
                }
                rest
            };
            let id = usize::from(head & 15);
            *self
                .quantizers
                .get_mut(id)
                .ok_or_else(|| broken(format!("a quantization table with number {id}")))? =
                Some(table);
            if id == 0 && self.luma_quantizers.is_none() {
                self.luma_quantizers = Some(table);
            }
        }
        Ok(())
    }

    fn huffman_tables(&mut self) -> Result<(), DecodeError> {
        let mut rest = self.segment()?;
        while let Some((&head, after)) = rest.split_first() {
            let (code, after) =
                Code::parse(after).ok_or_else(|| broken("a Huffman table is cut"))?;
            let tables = if head >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables
                .get_mut(usize::from(head & 15))
                .filter(|_| head >> 4 < 2)
                .ok_or_else(|| broken(format!("a Huffman table with number {head:#04x}")))? =
                Some(Rc::new(code));
            rest = after;
        }
        Ok(())
    }

    fn scan(&mut self) -> Result<(), DecodeError> {
        let header = self.segment()?;
        if self.scans.len() == MAX_SCANS {
            return Err(broken(format!("more than {MAX_SCANS} scans")));
        }
        let frame = self
            .frame
            .as_mut()
            .ok_or_else(|| broken("a scan before the frame header"))?;
        let malformed = || broken("a scan header of an unknown form");
        let (&n_parts, rest) = header.split_first().ok_or_else(malformed)?;
        let n_parts = usize::from(n_parts);
        let (selectors, tail) = rest
            .split_at_checked(2 * n_parts)
            .filter(|_| (1..=4).contains(&n_parts))
            .ok_or_else(malformed)?;
        let &[start, end, bits] = tail else {
            return Err(malformed());
        };
        let mut parts: Vec<Part> = Vec::with_capacity(n_parts);
        for selector in selectors.chunks_exact(2) {
            // Several components may have the same id; scan headers then name them in order, as in libjpeg.
            let component = (parts.len()..frame.components.len())
                .find(|&i| frame.components[i].id == selector[0])
                .filter(|&i| parts.iter().all(|part| part.component != i))
                .ok_or_else(|| broken("a scan of a component that the frame does not have"))?;
            let Component {
                table, quantizers, ..
            } = &mut frame.components[component];
            if quantizers.is_none() {
                *quantizers = self.quantizers.get(usize::from(*table)).copied().flatten();
            }
            if quantizers.is_none() {
                return Err(broken(format!("quantization table {table} is missing")));
            }
            let number = |tables: &[Option<Rc<Code>>; 4], i: u8| {
                tables.get(usize::from(i)).cloned().flatten()
            };
            parts.push(Part {
                component,
                dc: number(&self.dc, selector[1] >> 4)
                    .or_else(|| frame.standard_code(false, selector[1] >> 4)),
                ac: number(&self.ac, selector[1] & 15)
                    .or_else(|| frame.standard_code(true, selector[1] & 15)),
            });
        }
        frame.check_scan(parts.iter().map(|part| part.component))?;
        let band = (usize::from(start), usize::from(end));
        let bits = (bits >> 4, bits & 15);
        if frame.is_progressive {
            frame.check_progression(n_parts, band, bits)?;
        }
        let data = &self.bytes[self.at..];
        let (length, terminator) = entropy_coded(data);
        self.at += length;
        self.scans.push(Scan {
            parts,
            band,
            bits,
            restart_interval: self.restart_interval,
            data: &data[..length],
            end: self.at,
            terminator,
        });
        Ok(())
    }
}

/// Length of the entropy-coded data at the start of `data`, up to the first marker other than a restart marker, and the
/// second byte of that marker (`None` at the end of the file).
fn entropy_coded(data: &[u8]) -> (usize, Option<u8>) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(0xff, &data[at..]) {
        let start = at + found;
        let fill = data[start..].iter().take_while(|&&b| b == 0xff).count();
        match data.get(start + fill) {
            Some(0 | 0xd0..=0xd7) => at = start + fill + 1,
            other => return (start, other.copied()),
        }
    }
    (data.len(), None)
}
