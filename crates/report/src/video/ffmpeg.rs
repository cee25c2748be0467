//! MP4 through an installed ffmpeg.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use files::{AtomicFile, mark};

use super::{VideoError, VideoOptions, Writer};

/// Finds the ffmpeg to use: the program that `KAOGAN_FFMPEG` names, or the first ffmpeg in `PATH` if that variable is
/// not set. `None` when the variable does not name a file (an empty value turns ffmpeg off) or `PATH` has no ffmpeg.
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
    /// The video file, which ffmpeg writes under a temporary name; `None` once the file has its final name.
    file: Option<AtomicFile>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    /// Thread that collects the error messages of ffmpeg.
    complaints: JoinHandle<String>,
}

impl Ffmpeg {
    pub fn create(path: &Path, options: &VideoOptions) -> Result<Self, VideoError> {
        let program = find_ffmpeg().ok_or(VideoError::NoFfmpeg)?;
        // Fails with a clear message when the folder cannot be written to.
        let file = AtomicFile::create(path)?;
        // Without `file:`, ffmpeg would take a colon in the name for the end of a protocol.
        let mut output = OsString::from("file:");
        output.push(file.temporary_path());
        let mut child = Command::new(&program)
            .args(["-nostdin", "-loglevel", "error", "-y"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
            .args(["-s", &format!("{}x{}", options.width, options.height)])
            .args(["-r", &options.fps.to_string(), "-i", "pipe:0"])
            // Sides must be even for yuv420p, the pixel format that every player supports.
            .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"])
            .args(["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"])
            .args(["-movflags", "+faststart", "-f", "mp4"])
            .arg(&output)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                VideoError::Ffmpeg(format!("{} does not start: {e}", program.display()))
            })?;
        let pipes = child.stdin.take().zip(child.stderr.take());
        let Some((input, mut stderr)) = pipes else {
            return Err(VideoError::Ffmpeg("its pipes are missing".into()));
        };
        let read = move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim().to_owned()
        };
        let complaints = match std::thread::Builder::new().spawn(read) {
            Ok(complaints) => complaints,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(VideoError::Ffmpeg(format!(
                    "cannot start a thread that listens to it (see `ulimit -u`): {error}"
                )));
            }
        };
        Ok(Self {
            process: Some(Process {
                child,
                input,
                complaints,
            }),
            file: Some(file),
        })
    }

    /// The path of the video, for messages.
    fn target(&self) -> String {
        let target = self.file.as_ref().map(AtomicFile::target);
        target.unwrap_or(Path::new("")).display().to_string()
    }

    /// Waits until ffmpeg ends. Fails with its messages when it reports an error.
    fn wait(&mut self) -> Result<(), VideoError> {
        let Some(process) = self.process.take() else {
            return Err(VideoError::Ffmpeg("it ended before".into()));
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
            false => {
                let what = match complaints.is_empty() {
                    true => status.to_string(),
                    false => complaints,
                };
                let target = self.target();
                Err(VideoError::Ffmpeg(format!(
                    "cannot write '{target}': {what}"
                )))
            }
        }
    }
}

impl Writer for Ffmpeg {
    fn push(&mut self, _first: u32, frames: &[Vec<u8>]) -> Result<(), VideoError> {
        for frame in frames {
            let Some(process) = &mut self.process else {
                return Err(VideoError::Ffmpeg("it ended before".into()));
            };
            if let Err(broken) = process.input.write_all(frame) {
                // The pipe broke because ffmpeg failed: its own message says why.
                self.wait()?;
                let target = self.target();
                return Err(VideoError::Ffmpeg(format!(
                    "cannot write '{target}': {broken}"
                )));
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), VideoError> {
        self.wait()?;
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        // The file is opened again by its name, since ffmpeg may have replaced the one that was created above.
        OpenOptions::new()
            .append(true)
            .open(file.temporary_path())?
            .write_all(mark::MP4_BOX)?;
        Ok(file.commit()?)
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
