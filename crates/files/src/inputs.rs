//! Opens and reads input files: only ordinary files, up to a limit on their size.

use std::fs::{self, File, FileType};
use std::io::{self, BufRead, Read};
use std::path::Path;

/// Opens a file for reading. Pipes, sockets and devices are refused before they are opened, since reading them may
/// never begin or never end.
///
/// # Errors
/// When the operating system reports an error, or `path` is a pipe, a socket or a device. Messages are phrases that
/// follow the name of the file.
pub fn open_input(path: &Path) -> io::Result<File> {
    match special_kind(fs::metadata(path)?.file_type()) {
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("it is {kind}, not a file: write its content to a file first"),
        )),
        None => File::open(path),
    }
}

/// All bytes of a file, which may have at most `limit` bytes.
///
/// # Errors
/// As [`open_input`], and when the file has more than `limit` bytes.
pub fn read_input(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_input(path)?;
    let too_large = |size: u64| {
        let limit = match limit >> 20 {
            0 => format!("{limit} bytes"),
            mebibytes => format!("{mebibytes} MiB"),
        };
        let text = format!("it has {size} bytes or more, and at most {limit} are read");
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    // The file may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(too_large(bytes.len() as u64)),
        false => Ok(bytes),
    }
}

/// The text of a UTF-8 file of at most `limit` bytes.
///
/// # Errors
/// As [`read_input`], and when it is not UTF-8.
pub fn read_input_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_input(path, limit)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

/// Reads the next line, with its line feed, into `line` in place of what it held. Returns `false` when there are no
/// more lines.
///
/// # Errors
/// When reading fails, or the line has more than `limit` bytes.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, limit: u64) -> io::Result<bool> {
    line.clear();
    reader
        .take(limit.saturating_add(1))
        .read_until(b'\n', line)?;
    match line.len() as u64 > limit {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the line has more than {} MiB", limit >> 20),
        )),
        false => Ok(!line.is_empty()),
    }
}

/// The name of a kind of file that cannot be an input: pipe, socket or device; `None` for all others.
fn special_kind(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    let _ = kind;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abcd").unwrap();
        assert_eq!(read_input(&path, 4).unwrap(), b"abcd");
        assert_eq!(read_input_text(&path, u64::MAX).unwrap(), "abcd");
        let error = read_input(&path, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it has 4 bytes or more, and at most 3 bytes are read"
        );
        fs::write(&path, [0xff]).unwrap();
        assert!(read_input_text(&path, 3).is_err());
        let missing = read_input(&folder.path().join("b"), 3).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, kind) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = read_input(path, 10).unwrap_err().to_string();
            assert!(error.contains(kind), "{error}");
        }
    }
}
