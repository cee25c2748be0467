//! Splits a file name into words.

/// Extensions that are removed from names repeatedly, so that both go when two follow each other (`1.png.jpg`).
const IMAGE_EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "bmp", "tif", "tiff", "avif",
    "jxl", "heic", "zip", "cbz", "tar", "ugoira", "json", "txt",
];

/// A word of a file name: letters and digits.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub text: &'a str,
    /// The characters directly before and behind the word.
    pub before: Option<char>,
    pub behind: Option<char>,
}

impl Word<'_> {
    pub fn is_number(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_digit())
    }

    /// The value, when the word is a number of exactly `n` digits.
    pub fn digits(&self, n: usize) -> Option<u32> {
        (self.text.len() == n && self.is_number())
            .then(|| self.text.parse().ok())
            .flatten()
    }
}

pub(super) fn split(stem: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let ends = stem.char_indices().chain([(stem.len(), ' ')]);
    for (at, c) in ends {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(Word {
                    text: &stem[from..at],
                    before: stem[..from].chars().next_back(),
                    behind: stem[at..].chars().next(),
                });
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The name without the query of a URL, without the number of a repeated name (`a.png#2`), and without extensions.
pub(super) fn stem(name: &str) -> &str {
    let mut stem = name.split('?').next().unwrap_or(name);
    if let Some((front, number)) = stem.rsplit_once('#')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && extension(front).is_some_and(is_image)
    {
        stem = front;
    }
    if let Some(extension) = extension(stem) {
        stem = &stem[..stem.len() - extension.len() - 1];
    }
    while let Some(extension) = extension(stem).filter(|e| is_image(e)) {
        stem = &stem[..stem.len() - extension.len() - 1];
    }
    stem
}

/// The extension of a name: up to six letters and digits after the last dot, at least one of them a letter.
fn extension(name: &str) -> Option<&str> {
    let (front, extension) = name.rsplit_once('.')?;
    let is_extension = !front.is_empty()
        && (1..=6).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && extension.bytes().any(|b| b.is_ascii_alphabetic());
    is_extension.then_some(extension)
}

fn is_image(extension: &str) -> bool {
    IMAGE_EXTENSIONS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// Decodes `%20` and the like, since downloaders keep URLs as names. Returns the name as it is if the result is not
/// UTF-8.
pub(super) fn percent_decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .filter(|hex| first == b'%' && hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}
