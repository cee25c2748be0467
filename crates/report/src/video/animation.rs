//! Animated GIF and PNG.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use files::{AtomicFile, mark};
use rayon::prelude::*;

use super::{VideoError, VideoOptions, Writer};

/// A file that an encoder and its owner share: the encoder writes to its clone of this handle, the owner commits the
/// file when the encoder has finished.
#[derive(Clone)]
struct Shared(Arc<Mutex<Option<AtomicFile>>>);

impl Shared {
    fn create(path: &Path) -> io::Result<Self> {
        let file = AtomicFile::create(path)?;
        Ok(Self(Arc::new(Mutex::new(Some(file)))))
    }

    fn commit(self) -> io::Result<()> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        file.map_or(Ok(()), AtomicFile::commit)
    }

    fn with(&self, f: impl FnOnce(&mut AtomicFile) -> io::Result<usize>) -> io::Result<usize> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().map_or(Ok(0), f)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|file| file.flush().map(|()| 0)).map(|_| ())
    }
}

/// Speed of the search for a GIF frame's palette, from 1 (best palette) to 30 (fastest).
const PALETTE_SPEED: i32 = 10;

pub(super) struct Gif {
    encoder: gif::Encoder<BufWriter<Shared>>,
    file: Shared,
    options: VideoOptions,
}

impl Gif {
    pub fn create(path: &Path, options: &VideoOptions) -> Result<Self, VideoError> {
        let file = Shared::create(path)?;
        let (width, height) = sides(options);
        let out = BufWriter::new(file.clone());
        let mut encoder = gif::Encoder::new(out, width, height, &[]).map_err(gif_error)?;
        encoder
            .set_repeat(gif::Repeat::Infinite)
            .map_err(gif_error)?;
        Ok(Self {
            encoder,
            file,
            options: *options,
        })
    }
}

impl Writer for Gif {
    fn push(&mut self, first: u32, frames: &[Vec<u8>]) -> Result<(), VideoError> {
        let (width, height) = sides(&self.options);
        let frames: Vec<gif::Frame<'static>> = frames
            .par_iter()
            .enumerate()
            .map(|(i, rgb)| {
                let mut frame = gif::Frame::from_rgb_speed(width, height, rgb, PALETTE_SPEED);
                frame.delay = self.options.duration(first + i as u32, 100) as u16;
                frame
            })
            .collect();
        frames
            .iter()
            .try_for_each(|frame| self.encoder.write_frame(frame).map_err(gif_error))
    }

    fn finish(self: Box<Self>) -> Result<(), VideoError> {
        let Self {
            mut encoder, file, ..
        } = *self;
        let comment = gif::AnyExtension(gif::Extension::Comment as u8);
        encoder
            .write_raw_extension(comment, &[mark::NAME.as_bytes()])
            .map_err(gif_error)?;
        // This writes the trailer.
        let mut out = encoder.into_inner().map_err(gif_error)?;
        out.flush()?;
        Ok(file.commit()?)
    }
}

fn sides(options: &VideoOptions) -> (u16, u16) {
    (options.width as u16, options.height as u16)
}

fn gif_error(error: gif::EncodingError) -> VideoError {
    match error {
        gif::EncodingError::Io(e) => VideoError::Io(e),
        other => VideoError::Encode(other.to_string()),
    }
}

pub(super) struct Apng {
    writer: png::Writer<BufWriter<Shared>>,
    file: Shared,
}

impl Apng {
    pub fn create(path: &Path, options: &VideoOptions) -> Result<Self, VideoError> {
        let file = Shared::create(path)?;
        let out = BufWriter::new(file.clone());
        let mut encoder = png::Encoder::new(out, options.width, options.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .set_animated(options.n_frames, 0)
            .map_err(png_error)?;
        encoder
            .set_frame_delay(1, options.fps as u16)
            .map_err(png_error)?;
        encoder
            .add_text_chunk("Software".to_owned(), mark::NAME.to_owned())
            .map_err(png_error)?;
        let writer = encoder.write_header().map_err(png_error)?;
        Ok(Self { writer, file })
    }
}

impl Writer for Apng {
    fn push(&mut self, _first: u32, frames: &[Vec<u8>]) -> Result<(), VideoError> {
        frames
            .iter()
            .try_for_each(|rgb| self.writer.write_image_data(rgb).map_err(png_error))
    }

    fn finish(self: Box<Self>) -> Result<(), VideoError> {
        let Self { writer, file } = *self;
        writer.finish().map_err(png_error)?;
        Ok(file.commit()?)
    }
}

fn png_error(error: png::EncodingError) -> VideoError {
    match error {
        png::EncodingError::IoError(e) => VideoError::Io(e),
        other => VideoError::Encode(other.to_string()),
    }
}
