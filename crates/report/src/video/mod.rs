//! Writes frames as a video: MP4 through ffmpeg, or an animated WebP, GIF or PNG without it.
//!
//! The file appears at its path when it is complete, or not at all.

mod animation;
mod ffmpeg;
mod webp;

use std::path::{Path, PathBuf};

use self::animation::{Apng, Gif};
use self::ffmpeg::Ffmpeg;
pub use self::ffmpeg::find_ffmpeg;
use self::webp::Webp;

/// Why a video cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The extension of the path is not that of a format.
    #[error("'{}': a video ends in .mp4, .webp, .gif or .png", .0.display())]
    Ending(PathBuf),
    /// MP4 is asked for and no ffmpeg was found.
    #[error(
        "ffmpeg is not installed, so there is no .mp4; use .webp, .gif or .png, or set KAOGAN_FFMPEG to the program"
    )]
    NoFfmpeg,
    /// The size of the video or of a frame, the frame rate, or the number of frames is out of range.
    #[error("{0}")]
    Invalid(String),
    /// ffmpeg failed, with this message.
    #[error("ffmpeg: {0}")]
    Ffmpeg(String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A frame cannot be encoded.
    #[error("frame cannot be encoded: {0}")]
    Encode(String),
}

/// The format of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoFormat {
    /// H.264, encoded by ffmpeg.
    Mp4,
    /// Animated WebP: lossless, shown by browsers.
    Webp,
    /// Animated GIF: at most 256 colors in a frame, shown nearly everywhere.
    Gif,
    /// Animated PNG: lossless, in large files.
    Apng,
}

impl VideoFormat {
    /// The format that the extension of `path` names.
    ///
    /// # Errors
    /// [`VideoError::Ending`] for any other extension.
    pub fn of(path: &Path) -> Result<Self, VideoError> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("mp4") => Ok(Self::Mp4),
            Some("webp") => Ok(Self::Webp),
            Some("gif") => Ok(Self::Gif),
            Some("png" | "apng") => Ok(Self::Apng),
            _ => Err(VideoError::Ending(path.to_owned())),
        }
    }

    /// MP4 if ffmpeg is installed, else WebP.
    pub fn best() -> Self {
        match find_ffmpeg() {
            Some(_) => Self::Mp4,
            None => Self::Webp,
        }
    }

    /// The file extension, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Apng => "png",
        }
    }
}

/// Options of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOptions {
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Number of frames.
    pub n_frames: u32,
}

impl VideoOptions {
    /// Returns the time at which frame `index` begins, in units of `1 / units` seconds. These times are rounded instead
    /// of the durations, so that the length of the whole video is exact.
    fn time(&self, index: u32, units: u32) -> u32 {
        let (index, units, fps) = (u64::from(index), u64::from(units), u64::from(self.fps));
        ((index * units + fps / 2) / fps) as u32
    }

    /// Returns the duration of frame `index`, in units of `1 / units` seconds.
    fn duration(&self, index: u32, units: u32) -> u32 {
        self.time(index + 1, units) - self.time(index, units)
    }

    fn validate(&self, format: VideoFormat) -> Result<(), VideoError> {
        let invalid = |text: String| Err(VideoError::Invalid(text));
        let fps = match format {
            // Viewers slow down GIFs with a higher rate.
            VideoFormat::Gif => 50,
            _ => 240,
        };
        if !(1..=fps).contains(&self.fps) {
            return invalid(format!(
                "{} frames a second: a .{} has 1 to {fps}",
                self.fps,
                format.ending()
            ));
        }
        if self.n_frames == 0 {
            return invalid("a video needs at least one frame".into());
        }
        let side = match format {
            VideoFormat::Webp | VideoFormat::Mp4 => 16383,
            VideoFormat::Gif => 65535,
            VideoFormat::Apng => 1 << 24,
        };
        let (width, height) = (self.width, self.height);
        if !(1..=side).contains(&width) || !(1..=side).contains(&height) {
            return invalid(format!(
                "frames of {width}x{height}: a .{} has sides of 1 to {side}",
                format.ending()
            ));
        }
        Ok(())
    }
}

/// A video being written.
pub struct Video {
    options: VideoOptions,
    n_written: u32,
    writer: Box<dyn Writer + Send>,
}

/// Writes a video in one of the formats. Each frame is a list of RGB bytes, row by row from the top.
trait Writer {
    /// Adds frames, of which the first has the index `first`.
    fn push(&mut self, first: u32, frames: &[Vec<u8>]) -> Result<(), VideoError>;
    /// Completes the file.
    fn finish(self: Box<Self>) -> Result<(), VideoError>;
}

impl Video {
    /// Starts a video in the format that the extension of `path` names.
    ///
    /// # Errors
    /// `Ending`, `NoFfmpeg` or `Invalid`; `Io` when the file cannot be created; `Ffmpeg` or `Encode` when the encoder
    /// fails.
    pub fn create(path: &Path, options: &VideoOptions) -> Result<Self, VideoError> {
        let format = VideoFormat::of(path)?;
        options.validate(format)?;
        let writer: Box<dyn Writer + Send> = match format {
            VideoFormat::Mp4 => Box::new(Ffmpeg::create(path, options)?),
            VideoFormat::Webp => Box::new(Webp::create(path, options)?),
            VideoFormat::Gif => Box::new(Gif::create(path, options)?),
            VideoFormat::Apng => Box::new(Apng::create(path, options)?),
        };
        Ok(Self {
            options: *options,
            n_written: 0,
            writer,
        })
    }

    /// Adds frames in order. WebP and GIF encode the frames of one call in parallel.
    ///
    /// # Shapes
    /// Each frame: `height * width * 3` bytes, RGB.
    ///
    /// # Errors
    /// `Invalid` for a frame that does not have the size in the options, or for more frames than the options state;
    /// else the errors of the encoder and of the disk.
    pub fn push(&mut self, frames: &[Vec<u8>]) -> Result<(), VideoError> {
        let options = &self.options;
        let size = options.width as usize * options.height as usize * 3;
        if let Some(frame) = frames.iter().find(|frame| frame.len() != size) {
            return Err(VideoError::Invalid(format!(
                "a frame has {} bytes; {}x{} RGB has {size}",
                frame.len(),
                options.width,
                options.height
            )));
        }
        let total = u64::from(self.n_written) + frames.len() as u64;
        if total > u64::from(options.n_frames) {
            return Err(VideoError::Invalid(format!(
                "more than the {} frames that were announced",
                options.n_frames
            )));
        }
        self.writer.push(self.n_written, frames)?;
        self.n_written = total as u32;
        Ok(())
    }

    /// Completes the video; only then does the file appear at its path.
    ///
    /// # Errors
    /// `Invalid` when fewer frames were added than the options state; else the errors of the encoder and of the disk.
    pub fn finish(self) -> Result<(), VideoError> {
        if self.n_written != self.options.n_frames {
            return Err(VideoError::Invalid(format!(
                "{} of {} frames were given",
                self.n_written, self.options.n_frames
            )));
        }
        self.writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_frames_add_up() {
        let options = VideoOptions {
            width: 1,
            height: 1,
            fps: 30,
            n_frames: 90,
        };
        let total = |units| (0..90).map(|i| options.duration(i, units)).sum::<u32>();
        assert_eq!((total(1000), total(100)), (3000, 300));
        assert!((0..90).all(|i| (33..=34).contains(&options.duration(i, 1000))));
    }

    #[test]
    fn impossible_films_are_refused() {
        let good = VideoOptions {
            width: 4,
            height: 4,
            fps: 25,
            n_frames: 1,
        };
        assert!(good.validate(VideoFormat::Gif).is_ok());
        let message = |options: VideoOptions| {
            let error = options.validate(VideoFormat::Gif).unwrap_err();
            error.to_string()
        };
        assert!(message(VideoOptions { fps: 60, ..good }).contains("1 to 50"));
        assert!(
            message(VideoOptions {
                n_frames: 0,
                ..good
            })
            .contains("at least one")
        );
        assert!(message(VideoOptions { width: 0, ..good }).contains("0x4"));
        let error = VideoFormat::of(Path::new("video.avi")).unwrap_err();
        assert!(error.to_string().contains("video.avi"));
    }
}
