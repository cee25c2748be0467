//! Animated WebP: lossless still images in one RIFF container, which browsers play (RFC 9649).

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use files::{AtomicFile, mark};
use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;
use rayon::prelude::*;

use super::{VideoError, VideoOptions, Writer};

/// Number of bytes before the chunks of a still WebP: `RIFF`, size, `WEBP`.
const STILL_HEADER: usize = 12;
/// Flag in `VP8X`: the file is an animation.
const ANIMATION: u8 = 0x02;
/// Flag in `ANMF`: the frame replaces the frame before instead of being blended with it.
const NO_BLEND: u8 = 0x02;

pub(super) struct Webp {
    file: AtomicFile,
    options: VideoOptions,
    /// Number of bytes after the size field of the RIFF header.
    size: u64,
}

impl Webp {
    pub fn create(path: &Path, options: &VideoOptions) -> Result<Self, VideoError> {
        let mut file = AtomicFile::create(path)?;
        let mut head = b"RIFF\0\0\0\0WEBP".to_vec();
        let mut extended = vec![ANIMATION, 0, 0, 0];
        extended.extend(u24(options.width - 1));
        extended.extend(u24(options.height - 1));
        chunk(&mut head, b"VP8X", &extended);
        // Background color, then the number of repetitions; 0 stands for endless.
        chunk(&mut head, b"ANIM", &[255, 255, 255, 255, 0, 0]);
        file.write_all(&head)?;
        Ok(Self {
            file,
            options: *options,
            size: head.len() as u64 - 8,
        })
    }

    fn frame(&self, index: u32, rgb: &[u8]) -> Result<Vec<u8>, VideoError> {
        let (width, height) = (self.options.width, self.options.height);
        let mut still = Vec::new();
        WebPEncoder::new_lossless(&mut still)
            .encode(rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(|e| VideoError::Encode(e.to_string()))?;
        let mut frame = vec![0; 6];
        frame.extend(u24(width - 1));
        frame.extend(u24(height - 1));
        frame.extend(u24(self.options.duration(index, 1000)));
        frame.push(NO_BLEND);
        frame.extend(still.get(STILL_HEADER..).unwrap_or_default());
        let mut out = Vec::new();
        chunk(&mut out, b"ANMF", &frame);
        Ok(out)
    }
}

impl Writer for Webp {
    fn push(&mut self, first: u32, frames: &[Vec<u8>]) -> Result<(), VideoError> {
        let encoded: Vec<Vec<u8>> = frames
            .par_iter()
            .enumerate()
            .map(|(i, rgb)| self.frame(first + i as u32, rgb))
            .collect::<Result<_, _>>()?;
        for bytes in encoded {
            self.file.write_all(&bytes)?;
            self.size += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), VideoError> {
        let size = u32::try_from(self.size + mark::WEBP_CHUNK.len() as u64).map_err(|_| {
            VideoError::Invalid("the video is above 4 GiB: too long for .webp".into())
        })?;
        self.file.write_all(mark::WEBP_CHUNK)?;
        self.file.seek(SeekFrom::Start(4))?;
        self.file.write_all(&size.to_le_bytes())?;
        Ok(self.file.commit()?)
    }
}

fn u24(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// Appends a RIFF chunk: name, size, contents, and a zero byte when the size is odd.
fn chunk(out: &mut Vec<u8>, name: &[u8; 4], contents: &[u8]) {
    out.extend(name);
    out.extend((contents.len() as u32).to_le_bytes());
    out.extend(contents);
    if contents.len() % 2 == 1 {
        out.push(0);
    }
}
