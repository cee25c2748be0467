//! Recognizes files that operating systems put beside images.

use files::FileKind;

/// File names, in lower case, of folder settings and thumbnails.
const NAMES: &[&str] = &[
    ".ds_store",
    ".directory",
    ".localized",
    ".nomedia",
    ".picasa.ini",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "icon\r",
    "picasa.ini",
    "thumbs.db",
];

/// Folders, in lower case, that only operating systems write to.
const FOLDERS: &[&str] = &[
    "$recycle.bin",
    ".fseventsd",
    ".spotlight-v100",
    ".trashes",
    "system volume information",
];

/// Whether a file name is one that only operating systems give. On file systems other than NTFS, such a name can
/// include the name of an NTFS stream (`Thumbs.db:encryptable`, `a.png:Zone.Identifier`).
fn is_name_of_system(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let file = lower.split(':').next().unwrap_or_default();
    NAMES.contains(&file) || lower.ends_with(":zone.identifier")
}

/// Whether [`is_system_file`] can be true for a file at `path`, depending on its first bytes. If not, these bytes need
/// not be read.
pub fn may_be_system_file(path: &str) -> bool {
    let (folders, name) = split(path);
    name.starts_with("._")
        || is_name_of_system(name)
        || folders.iter().any(|folder| {
            matches!(*folder, "__MACOSX" | "@eaDir")
                || FOLDERS.contains(&folder.to_ascii_lowercase().as_str())
        })
}

/// Whether a file was written by an operating system or a NAS, by its path and its first bytes (8 are enough).
///
/// AppleDouble files (`._a.png`, `__MACOSX/`) are recognized by content, since real images can have such names. An
/// image called `Thumbs.db` does not count as a system file either. Synology's folder `@eaDir` holds real images, the
/// thumbnails of the images beside it: these are recognized by name.
pub fn is_system_file(path: &str, head: &[u8]) -> bool {
    let (folders, name) = split(path);
    let in_mac_folder = folders.contains(&"__MACOSX");
    let is_apple = FileKind::of_head(head) == Some(FileKind::AppleDouble);
    if (name.starts_with("._") || in_mac_folder) && is_apple {
        return true;
    }
    let in_ea_dir = folders.contains(&"@eaDir");
    if in_ea_dir && (name.starts_with("SYNO") || name.contains("@Syno")) {
        return true;
    }
    let is_named = is_name_of_system(name)
        || folders
            .iter()
            .any(|folder| FOLDERS.contains(&folder.to_ascii_lowercase().as_str()));
    is_named && !looks_like_image(head)
}

fn looks_like_image(head: &[u8]) -> bool {
    let starts = |magic: &[u8]| head.starts_with(magic);
    starts(b"\x89PNG")
        || starts(b"\xff\xd8\xff")
        || starts(b"GIF8")
        || starts(b"RIFF")
        || starts(b"BM")
        || starts(b"II*\0")
        || starts(b"MM\0*")
        || head.get(4..8) == Some(b"ftyp")
}

fn split(path: &str) -> (Vec<&str>, &str) {
    let mut parts: Vec<&str> = path.split(['/', '\\']).collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_files_are_told_by_name_and_content() {
        let apple = b"\0\x05\x16\x07\0\x02\0\0".as_slice();
        let png = b"\x89PNG\r\n\x1a\n".as_slice();
        for (path, head, expected) in [
            ("._a.png", apple, true),
            ("b/._a.png", apple, true),
            ("b\\._a.png", apple, true),
            ("__MACOSX/._a.png", apple, true),
            ("__MACOSX/a.png", apple, true),
            ("._a.png", png, false),
            ("__MACOSX/a.png", png, false),
            ("a.png", apple, false),
            ("._a.png", b"", false),
            ("x/Thumbs.db", b"\xd0\xcf\x11\xe0", true),
            ("x/Thumbs.db:encryptable", b"", true),
            ("a.png:Zone.Identifier", b"[ZoneTransfer]", true),
            ("a.png:other", b"text", false),
            ("THUMBS.DB", b"\xd0\xcf\x11\xe0", true),
            ("Thumbs.db", png, false),
            (".DS_Store", b"\0\0\0\x01Bud1", true),
            ("a/desktop.ini", b"[.ShellClassInfo]", true),
            ("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", b"\xff\xd8\xff", true),
            ("@eaDir/a.jpg@SynoEAStream", b"x", true),
            ("@eaDir/a.jpg", b"\xff\xd8\xff", false),
            ("$RECYCLE.BIN/x.dat", b"x", true),
            ("notes.txt", b"x", false),
        ] {
            assert_eq!(is_system_file(path, head), expected, "{path} {head:x?}");
            assert!(!expected || may_be_system_file(path), "{path}");
        }
        assert!(!may_be_system_file("00000/img00000000.png"));
    }
}
