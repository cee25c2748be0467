//! MP4 through the ffmpeg that is installed.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use super::{FilmError, FilmOptions, Writer};

/// The ffmpeg to use: `KAOGAN_FFMPEG`, else the first on the search path. An empty `KAOGAN_FFMPEG` is none.
pub fn find_ffmpeg() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("KAOGAN_FFMPEG") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let name = if cfg!(windows) {
        "ffmpeg.exe"
    } else {
        "ffmpeg"
    };
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

pub(super) struct Ffmpeg {
    process: Option<Process>,
    /// What ffmpeg writes; renamed at the end.
    temporary: PathBuf,
    target: PathBuf,
}

struct Process {
    child: Child,
    input: ChildStdin,
    complaints: JoinHandle<String>,
}

impl Ffmpeg {
    pub fn create(path: &Path, options: &FilmOptions) -> Result<Self, FilmError> {
        let program = find_ffmpeg().ok_or(FilmError::NoFfmpeg)?;
        // Fails here, with a good message, when the folder cannot be written to.
        drop(files::AtomicFile::create(path)?);
        let mut hidden = OsString::from(".");
        hidden.push(path.file_name().unwrap_or_default());
        hidden.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let mut child = Command::new(&program)
            .args(["-nostdin", "-loglevel", "error", "-y"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
            .args(["-s", &format!("{}x{}", options.width, options.height)])
            .args(["-r", &options.fps.to_string(), "-i", "pipe:0"])
            // Sides must be even for the colour format that players know.
            .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"])
            .args(["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"])
            .args(["-movflags", "+faststart", "-f", "mp4"])
            .arg(&temporary)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| FilmError::Ffmpeg(format!("{} does not start: {e}", program.display())))?;
        let pipes = child.stdin.take().zip(child.stderr.take());
        let Some((input, mut stderr)) = pipes else {
            return Err(FilmError::Ffmpeg("its pipes are missing".into()));
        };
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        Ok(Self {
            process: Some(Process {
                child,
                input,
                complaints,
            }),
            temporary,
            target: path.to_owned(),
        })
    }

    /// Ends ffmpeg and tells whether it is content.
    fn wait(&mut self) -> Result<(), FilmError> {
        let Some(process) = self.process.take() else {
            return Err(FilmError::Ffmpeg("it ended before".into()));
        };
        let Process {
            mut child,
            input,
            complaints,
        } = process;
        drop(input);
        let status = child.wait()?;
        let complaints = complaints.join().unwrap_or_default();
        match status.success() {
            true => Ok(()),
            false if complaints.is_empty() => Err(FilmError::Ffmpeg(status.to_string())),
            false => Err(FilmError::Ffmpeg(complaints)),
        }
    }
}

impl Writer for Ffmpeg {
    fn push(&mut self, _first: u32, frames: &[Vec<u8>]) -> Result<(), FilmError> {
        for frame in frames {
            let Some(process) = &mut self.process else {
                return Err(FilmError::Ffmpeg("it ended before".into()));
            };
            if let Err(broken) = process.input.write_all(frame) {
                // The pipe broke because ffmpeg gave up: its own words are better.
                self.wait()?;
                return Err(broken.into());
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), FilmError> {
        self.wait()?;
        std::fs::File::open(&self.temporary)?.sync_all()?;
        Ok(std::fs::rename(&self.temporary, &self.target)?)
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
        let _ = std::fs::remove_file(&self.temporary);
    }
}
