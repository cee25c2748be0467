//! Messages about arguments that are not UTF-8.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;

/// A name as text, in which every byte that is not valid UTF-8 is written like `\xE9`.
pub fn escaped(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

/// Adds to clap's error for a value that is not UTF-8 the name of the argument, which clap leaves out. Other errors are
/// returned as they are. `args` begins with the name of the program.
pub(crate) fn named(
    error: clap::Error,
    command: &mut clap::Command,
    args: &[OsString],
) -> clap::Error {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return error;
    }
    let is_refused = |i: usize| {
        // With all other arguments as valid text, an error about UTF-8 is one about this argument.
        let args = args.iter().enumerate().map(|(at, arg)| match at == i {
            true => arg.clone(),
            false => arg.to_string_lossy().into_owned().into(),
        });
        let error = command.clone().try_get_matches_from(args).err();
        is_utf8_error(error)
    };
    let refused = (1..args.len()).filter(|&i| args[i].to_str().is_none() && is_refused(i));
    let names: Vec<String> = refused.map(|i| describe(args, i)).collect();
    if names.is_empty() {
        return error;
    }
    command.error(
        ErrorKind::InvalidUtf8,
        format!("{}: this value must be UTF-8 text", names.join(", ")),
    )
}

fn is_utf8_error(error: Option<clap::Error>) -> bool {
    error.is_some_and(|error| error.kind() == ErrorKind::InvalidUtf8)
}

/// Describes an argument together with the flag that it belongs to: `--device '\xE9'`.
fn describe(args: &[OsString], i: usize) -> String {
    let value = escaped(&args[i]);
    if value.starts_with('-') {
        return match value.split_once('=') {
            Some((flag, value)) => format!("{flag} '{value}'"),
            None => format!("'{value}'"),
        };
    }
    match args[i - 1]
        .to_str()
        .filter(|before| before.starts_with('-'))
    {
        Some(flag) if i > 1 => format!("{flag} '{value}'"),
        _ => format!("argument '{value}'"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[arg(long, short)]
        device: Option<String>,
        #[arg(long)]
        seeds: Option<u32>,
        #[arg(long)]
        out: Option<PathBuf>,
        names: Vec<String>,
    }

    fn message(args: &[&[u8]]) -> Option<String> {
        let args = [&b"tool"[..]].into_iter().chain(args.iter().copied());
        let args: Vec<OsString> = args.map(|arg| OsString::from_vec(arg.to_vec())).collect();
        let error = Args::try_parse_from(&args).err()?;
        let error = named(error, &mut Args::command(), &args);
        assert_eq!(error.exit_code(), 2);
        Some(error.to_string())
    }

    #[test]
    fn the_argument_that_is_no_text_is_named() {
        for (args, wanted) in [
            (&[&b"--device"[..], b"c\xe9"][..], "--device 'c\\xE9'"),
            (&[b"-d", b"c\xe9"], "-d 'c\\xE9'"),
            (&[b"--device=c\xe9"], "--device 'c\\xE9'"),
            (
                &[b"--out", b"o\xe9", b"--seeds", b"\xff"],
                "error: --seeds '\\xFF':",
            ),
            (&[b"a", "猫é".as_bytes(), b"n\xe9"], "n\\xE9'"),
            (
                &[b"--seeds", b"\xe9", b"--device", b"\xff"],
                "error: --seeds '\\xE9'",
            ),
            // Other errors stay as clap made them.
            (&[b"--seeds", b"x"], "invalid value 'x'"),
        ] {
            let text = message(args).unwrap();
            assert!(text.contains(wanted), "{text}");
        }
        assert_eq!(message(&[b"--out", b"\xe9", b"--device", b"cpu"]), None);
        assert_eq!(escaped(OsStr::new("it's 猫é\\")), "it's 猫é\\");
    }
}
