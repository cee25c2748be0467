//! Decodes raw file names to text, by the same rules for folders, lists, zips and tars.
//!
//! Each part of a path is decoded by itself, so that the text of a folder does not depend on what is in it. The first
//! rule that applies decides:
//! 1. UTF-8, when the bytes are valid UTF-8;
//! 2. CP932 (Shift_JIS of Windows), when all bytes decode, none of them to half-width katakana (Korean and Chinese
//!    bytes can read as such), and at least one two-byte character is unlikely to be Latin letters in another encoding.
//!    It is likely to be Latin letters if it would be an accented letter before another letter; in zips also if it
//!    would be two accented letters in a row within a word (`Größe`), or an accented capital among capitals (`GRÖSSE`);
//! 3. CP437 in zips, when all bytes decode to letters: the zip specification prescribes it for names without the UTF-8
//!    flag;
//! 4. else ASCII characters and UTF-8 sequences of three and four bytes are kept, and every other byte becomes an
//!    escape such as `\xE9`.
//!
//! Other encodings (EUC-KR, GBK, Latin-1) cannot be distinguished in a short name, so they are not guessed: rule 4
//! keeps such names distinct. `\` separates folders, as in zips made on Windows, hence a `\` in the text always starts
//! an escape. Control characters and characters that change the direction of text are escaped too.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The code page of names that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePage {
    /// Not known: for names of files on disk, in lists and in tars.
    Unknown,
    /// CP437, the code page of DOS: for names in zips without the UTF-8 flag. Used where neither UTF-8 nor CP932 fits.
    Dos,
}

/// The characters of CP437 from 0x80 to 0xff.
const CP437: &str = "\
ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A path as Python's `zipfile` reads it from a zip without the UTF-8 flag: decoded as CP437, whatever its encoding is.
pub fn as_cp437(raw: &[u8]) -> String {
    raw.iter().map(|&byte| cp437_char(byte)).collect()
}

/// Decodes a path to text, but keeps `\` as it is and escapes no control characters: for the sample names of a dataset,
/// which other programs look up by exactly that text.
pub fn decode_path(raw: &[u8], page: CodePage) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(raw) {
        return text.into();
    }
    let part = |part| {
        let pieces: Vec<String> = pieces(part, page)
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        pieces.join("\\")
    };
    let parts: Vec<String> = raw.split(|b| *b == b'/').map(part).collect();
    parts.join("/").into()
}

/// Decodes one name, such as that of a file, to text for messages.
pub fn show_name(raw: &[u8]) -> String {
    let texts: Vec<String> = parts(raw, CodePage::Unknown)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    texts.join("/")
}

/// Escapes control characters and characters that change the direction of text, as `\x1B` and `\u{202e}`.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_escaped) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => escaped.push(c),
            c if c.is_ascii() => escaped.push_str(&format!("\\x{:02X}", c as u32)),
            c => escaped.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    escaped.into()
}

/// Whether a path as text stays inside its archive: no root, no drive, no `..` that leads out, no zero byte.
pub fn is_safe(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('/')
        && !text.split('/').any(is_drive)
        && !leads_out(text.split('/'))
        && !text.contains("\\x00")
}

fn is_drive(part: &str) -> bool {
    matches!(part.as_bytes(), [d, b':'] if d.is_ascii_alphabetic())
}

/// Whether a path leaves the folder where it begins, even if it comes back: `a/../b` does not, `a/../../b` does.
pub fn leads_out<'p>(parts: impl IntoIterator<Item = &'p str>) -> bool {
    let mut depth = 0usize;
    parts.into_iter().any(|part| {
        let next = match part {
            "" | "." => Some(depth),
            ".." => depth.checked_sub(1),
            _ => Some(depth + 1),
        };
        depth = next.unwrap_or(0);
        next.is_none()
    })
}

/// Decodes paths to text so that folders with different raw names never get the same text: the second one gets `#2`
/// after its name.
///
/// File names are not made distinct: the code that lists files has to do that, since two files may even have the same
/// raw name.
#[derive(Clone, Debug, Default)]
pub struct Speller {
    /// Index of a parent folder and raw name of a folder in it -> index of that folder.
    folders: HashMap<(usize, Vec<u8>), usize>,
    /// Texts in use: index of the parent folder, and name as text.
    taken: HashSet<(usize, String)>,
    /// Path of each folder as text, with `/` after it. The first is the prefix of all paths, which stands for the root.
    spelled: Vec<String>,
}

impl Speller {
    /// A speller whose paths all begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            spelled: vec![prefix.to_owned()],
            ..Self::default()
        }
    }

    /// The text of a path whose parts are separated by `/` or `\`. Of several folders with the same text, the first
    /// keeps it and the others get a number.
    pub fn spell(&mut self, raw: &[u8], page: CodePage) -> String {
        let mut parts = parts(raw, page);
        let (_, file) = parts.pop().unwrap_or_default();
        let mut folder = 0;
        for (raw, text) in parts {
            folder = match self.folders.get(&(folder, raw.clone())) {
                Some(&known) => known,
                None => self.add(folder, raw, text),
            };
        }
        format!("{}{file}", self.spelled[folder])
    }

    fn add(&mut self, folder: usize, raw: Vec<u8>, text: String) -> usize {
        let mut name = text.clone();
        let mut n = 2;
        while !self.taken.insert((folder, name.clone())) {
            name = format!("{text}#{n}");
            n += 1;
        }
        let new = self.spelled.len();
        self.spelled
            .push(format!("{}{name}/", self.spelled[folder]));
        self.folders.insert((folder, raw), new);
        new
    }
}

/// The parts of a path, each raw and as text with escapes. `.` and `..` are resolved as on unpacking (`./a` and
/// `b/../a` are `a`); a `..` that leads out of the root stays.
fn parts(raw: &[u8], page: CodePage) -> Vec<(Vec<u8>, String)> {
    let escaped = |(raw, text): (Vec<u8>, String)| (raw, escape_controls(&text).into_owned());
    let all = raw
        .split(|b| *b == b'/')
        .flat_map(|part| pieces(part, page))
        .filter(|(raw, _)| raw != b".");
    let mut parts: Vec<(Vec<u8>, String)> = Vec::new();
    for part in all.map(escaped) {
        if part.0 == b".." {
            // `a//..` leads out of `a`.
            let at = parts.iter().rposition(|(raw, _)| !raw.is_empty());
            let folder = at.filter(|&at| parts[at].0 != b".." && !is_drive(&parts[at].1));
            if let Some(at) = folder {
                parts.truncate(at);
                continue;
            }
        }
        parts.push(part);
    }
    parts
}

/// Splits a part of a path at `\`, but not at one that is the second byte of a CP932 character. Returns each piece raw
/// and as text.
fn pieces(part: &[u8], page: CodePage) -> Vec<(Vec<u8>, String)> {
    let plain = |piece: &[u8]| (piece.to_vec(), decode_piece(piece, page));
    if !part.contains(&b'\\') {
        return vec![plain(part)];
    }
    let is_utf8 = std::str::from_utf8(part).is_ok();
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at <= part.len() {
        if !is_utf8 && is_double_byte(&part[at..]) {
            at += 2;
        } else if at == part.len() || part[at] == b'\\' {
            let piece = &part[start..at];
            if piece.contains(&b'\\') && cp932(piece, page).is_none() {
                pieces.extend(piece.split(|b| *b == b'\\').map(plain));
            } else {
                pieces.push(plain(piece));
            }
            start = at + 1;
            at = start;
        } else {
            at += 1;
        }
    }
    pieces
}

fn decode_piece(raw: &[u8], page: CodePage) -> String {
    if let Ok(text) = std::str::from_utf8(raw) {
        return text.to_owned();
    }
    let dos = || cp437(raw).filter(|_| page == CodePage::Dos);
    cp932(raw, page)
        .or_else(dos)
        .unwrap_or_else(|| escape_bytes(raw))
}

fn is_double_byte(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x81..=0x9f | 0xe0..=0xfc, 0x40..=0x7e | 0x80..=0xfc, ..]
    )
}

/// The text in CP932, when the bytes decode and nothing else is as likely (rule 2 of this module).
fn cp932(raw: &[u8], page: CodePage) -> Option<String> {
    let text = encoding_rs::SHIFT_JIS
        .decode_without_bom_handling_and_without_replacement(raw)?
        .into_owned();
    let is_doubtful = |c: char| matches!(c, '\u{ff61}'..='\u{ff9f}' | '\u{e000}'..='\u{f8ff}' | '\u{80}'..='\u{9f}');
    if text.chars().any(is_doubtful) {
        return None;
    }
    let mut is_japanese = false;
    // The byte before the position, if it is a character by itself.
    let mut before = None;
    let mut at = 0;
    while at < raw.len() {
        if !is_double_byte(&raw[at..]) {
            before = Some(raw[at]);
            at += 1;
            continue;
        }
        // "Andr\xE9a" and "\xE9cole" are French, although E9 61 and E9 63 are characters of CP932.
        let may_be_letters = matches!(raw[at + 1], b'a'..=b'z' | b'\\');
        let is_in_word = at > 0 && raw[at - 1].is_ascii_alphabetic();
        let is_latin1 = raw[at] >= 0xe0;
        let starts_word =
            page == CodePage::Dos && raw.get(at + 2).is_some_and(u8::is_ascii_alphabetic);
        let is_latin = may_be_letters && (is_in_word || is_latin1 || starts_word);
        let is_dos = page == CodePage::Dos && is_dos_word(before, &raw[at..]);
        is_japanese |= !is_latin && !is_dos;
        before = None;
        at += 2;
    }
    is_japanese.then_some(text)
}

/// Whether the CP932 character at the beginning of `rest` is more likely two letters of a European word in CP437: one
/// of
///
/// - two letters with accents between ASCII letters (`Größe`, `créée`), none of them a capital after a small letter; a
///   single Japanese character among Latin letters is rarer than such words;
/// - two such letters at the beginning or the end of a word (`Süß`, `créé`, `pää`), if the CP932 character is neither
///   kana, kanji nor punctuation of row 1 of JIS X 0208;
/// - a capital with an accent among ASCII capitals (`GRÖSSE`).
fn is_dos_word(before: Option<u8>, rest: &[u8]) -> bool {
    let [lead, trail, ..] = *rest else {
        return false;
    };
    let next = rest.get(2).copied();
    let is_letter = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphabetic());
    let is_capital = |byte: Option<u8>| {
        byte.is_some_and(|b| {
            b.is_ascii_uppercase() || matches!(b, 0x80 | 0x8e..=0x90 | 0x92 | 0x99 | 0x9a | 0xa5)
        })
    };
    let is_accented = |byte: u8| byte >= 0x80 && is_cp437_letter(&byte);
    if trail.is_ascii_uppercase() {
        let all = [before, Some(lead), next];
        return is_accented(lead)
            && is_letter(before)
            && is_letter(next)
            && all.into_iter().all(is_capital);
    }
    if !is_accented(lead) || !is_accented(trail) {
        return false;
    }
    // `None` if the byte before is not a letter: the word then begins with `lead`.
    let word = [
        before.filter(u8::is_ascii_alphabetic),
        Some(lead),
        Some(trail),
    ];
    if word
        .windows(2)
        .any(|pair| pair[0].is_some() && !is_capital(pair[0]) && is_capital(pair[1]))
    {
        return false;
    }
    if is_letter(before) && is_letter(next) {
        return true;
    }
    let is_alone = before.is_none_or(|b| b.is_ascii()) && next.is_none_or(|b| b.is_ascii());
    let is_row_1 = lead == 0x81 && trail != 0xe1;
    let (text, _) = encoding_rs::SHIFT_JIS.decode_without_bom_handling(&rest[..2]);
    let is_japanese = |c: char| matches!(c, '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}');
    is_alone
        && (is_letter(before) || is_letter(next))
        && !is_row_1
        && !text.chars().any(is_japanese)
}

fn is_cp437_letter(byte: &u8) -> bool {
    matches!(byte, 0..=0x9a | 0xa0..=0xa5 | 0xe1)
}

fn cp437(raw: &[u8]) -> Option<String> {
    raw.iter().all(is_cp437_letter).then(|| as_cp437(raw))
}

fn cp437_char(byte: u8) -> char {
    let upper = byte.checked_sub(0x80);
    let c = upper.and_then(|at| CP437.chars().nth(at.into()));
    c.unwrap_or(char::from(byte))
}

fn escape_bytes(raw: &[u8]) -> String {
    let mut text = String::new();
    for chunk in raw.utf8_chunks() {
        // Sequences of two bytes are valid UTF-8 by chance in many Chinese and Korean names.
        for c in chunk.valid().chars() {
            match c.len_utf8() {
                2 => c
                    .encode_utf8(&mut [0; 2])
                    .bytes()
                    .for_each(|byte| text.push_str(&format!("\\x{byte:02X}"))),
                _ => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

fn is_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Raw bytes, and their text in folders and in zips.
    const NAMES: &[(&[u8], &str, &str)] = &[
        (b"cat/1.png", "cat/1.png", "cat/1.png"),
        ("猫/é.png".as_bytes(), "猫/é.png", "猫/é.png"),
        // Shift_JIS by Python's cp932 codec: 猫, ネコ, 表 (second byte 5C), 東方Project.
        (b"\x94\x4c/1.png", "猫/1.png", "猫/1.png"),
        (b"\x83l\x83R/1.png", "ネコ/1.png", "ネコ/1.png"),
        (b"\x95\x5c/1.png", "表/1.png", "表/1.png"),
        (b"\x95\x5c\\1.png", "表/1.png", "表/1.png"),
        (b"\x93\x8c\x95\xfbProject", "東方Project", "東方Project"),
        (b"photo\x94\x4c.png", "photo猫.png", "photo猫.png"),
        // Latin-1 and Windows-1252: é, ’ between letters, ä, ü.
        (b"caf\xe9.png", "caf\\xE9.png", "caf\\xE9.png"),
        (b"caf\xe9\\1.png", "caf\\xE9/1.png", "caf\\xE9/1.png"),
        (b"Andr\xe9a.png", "Andr\\xE9a.png", "Andr\\xE9a.png"),
        (b"it\x92s.png", "it\\x92s.png", "itÆs.png"),
        (b"M\xfcller", "M\\xFCller", "M\\xFCller"),
        (b"\xe9cole.png", "\\xE9cole.png", "\\xE9cole.png"),
        // CP437 or CP932: école, or a full-width letter before others; without a zip only Japanese is likely.
        (b"\x82cole.png", "Ｄole.png", "école.png"),
        // CP437: é, ä, ñ, ß.
        (b"caf\x82.png", "caf\\x82.png", "café.png"),
        (b"Ni\xa4o/1.png", "Ni\\xA4o/1.png", "Niño/1.png"),
        (b"Stra\xe1e.png", "Stra\\xE1e.png", "Straße.png"),
        // Two accents in a row: Größe, Süße, Süß, créé, déçu, pää, Füße; the same bytes alone are Japanese: 批.
        (b"Gr\x94\xe1e.png", "Gr批e.png", "Größe.png"),
        (b"S\x81\xe1e.png", "S≪e.png", "Süße.png"),
        (b"s\x81\xe1.png", "s≪.png", "süß.png"),
        (b"cr\x82\x82.png", "crｂ.png", "créé.png"),
        (b"d\x82\x87u.png", "dｇu.png", "déçu.png"),
        (b"p\x84\x84.png", "pт.png", "pää.png"),
        (
            b"Gr\x94\xe1e_F\x81\xe1e/F\x81r.png",
            "Gr批e_F≪e/F\\x81r.png",
            "Größe_Füße/Für.png",
        ),
        (b"GR\x99SSE.png", "GR儡SE.png", "GRÖSSE.png"),
        (b"\x94\xe1.png", "批.png", "批.png"),
        (b"photo\x94\xe1.png", "photo批.png", "photo批.png"),
        (b"a\x8e\x84b.png", "a私b.png", "a私b.png"),
        (b"ABC\x94\x4c.png", "ABC猫.png", "ABC猫.png"),
        (b"abc\x81\x9a.png", "abc★.png", "abc★.png"),
        (b"a\x93\x8c\x8b\x9eb.png", "a東京b.png", "a東京b.png"),
        // EUC-KR and GBK are not guessed.
        (
            b"\xb0\xed\xbe\xe7.png",
            "\\xB0\\xED\\xBE\\xE7.png",
            "\\xB0\\xED\\xBE\\xE7.png",
        ),
        (
            b"\xc4\xe3\xba\xc3.png",
            "\\xC4\\xE3\\xBA\\xC3.png",
            "\\xC4\\xE3\\xBA\\xC3.png",
        ),
        (
            b"not-\xff-utf8.png",
            "not-\\xFF-utf8.png",
            "not-\\xFF-utf8.png",
        ),
        // 멍멍 in EUC-KR and 小狗 in GBK have bytes that are UTF-8 by chance.
        (
            b"\xb8\xdb\xb8\xdb.png",
            "\\xB8\\xDB\\xB8\\xDB.png",
            "\\xB8\\xDB\\xB8\\xDB.png",
        ),
        (
            b"\xd0\xa1\xb9\xb7.png",
            "\\xD0\\xA1\\xB9\\xB7.png",
            "\\xD0\\xA1\\xB9\\xB7.png",
        ),
        (b"\xe7\x8c\xab\xff.png", "猫\\xFF.png", "猫\\xFF.png"),
        // Each part by itself.
        (
            b"\x83l\x83R/caf\xe9.png",
            "ネコ/caf\\xE9.png",
            "ネコ/caf\\xE9.png",
        ),
        (b"dog\\a\\1.png", "dog/a/1.png", "dog/a/1.png"),
        // Folders that are left again.
        (b"./a/../b.png", "b.png", "b.png"),
        (b".\\a\\..\\b.png", "b.png", "b.png"),
        (b"a//../b/./c/..//d.png", "b//d.png", "b//d.png"),
        (b"a/../../b.png", "../b.png", "../b.png"),
        (b"/../b.png", "/../b.png", "/../b.png"),
        (b"C:/../b.png", "C:/../b.png", "C:/../b.png"),
        (b"..a/..b.png", "..a/..b.png", "..a/..b.png"),
        (
            b"a\nb\x1b[31m.png",
            "a\\x0Ab\\x1B[31m.png",
            "a\\x0Ab\\x1B[31m.png",
        ),
        (
            "gnp\u{202e}.exe".as_bytes(),
            "gnp\\u{202e}.exe",
            "gnp\\u{202e}.exe",
        ),
    ];

    #[test]
    fn names_are_text_by_one_rule() {
        for (raw, on_disk, in_zip) in NAMES {
            for (page, expected) in [(CodePage::Unknown, on_disk), (CodePage::Dos, in_zip)] {
                let text = Speller::new("").spell(raw, page);
                assert_eq!(text, *expected, "{raw:x?} {page:?}");
            }
        }
        assert_eq!(show_name(b"\x83l\x83R"), "ネコ");
    }

    #[test]
    fn python_reads_zips_as_cp437() {
        // "猫é".encode("cp932" and "cp437") decoded by "cp437" in Python.
        assert_eq!(as_cp437(b"\x94\x4c\x82\xff/1.png"), "öLé\u{a0}/1.png");
        assert_eq!(CP437.chars().count(), 128);
    }

    #[test]
    fn datasets_keep_backslashes() {
        assert_eq!(decode_path(b"cat\\1.png", CodePage::Dos), "cat\\1.png");
        let text = decode_path(b"\x95\x5c\\1.png", CodePage::Dos);
        assert_eq!(text, "表\\1.png");
    }

    #[test]
    fn different_folders_never_share_a_spelling() {
        let mut unpacked = Speller::new("a.tar/");
        assert_eq!(
            unpacked.spell(b"./cat/1.png", CodePage::Unknown),
            "a.tar/cat/1.png"
        );
        assert_eq!(
            unpacked.spell(b"cat/2.png", CodePage::Unknown),
            "a.tar/cat/2.png"
        );
        assert_eq!(unpacked.spell(b"./3.png", CodePage::Unknown), "a.tar/3.png");
        let mut speller = Speller::new("in/");
        let names: [&[u8]; 5] = [
            "ネコ/1.png".as_bytes(),
            b"\x83l\x83R/2.png",
            b"\x83l\x83R\\3.png",
            "ネコ#2/4.png".as_bytes(),
            b"\xe9/\x83l\x83R/5.png",
        ];
        let texts = names.map(|raw| speller.spell(raw, CodePage::Unknown));
        assert_eq!(
            texts,
            [
                "in/ネコ/1.png",
                "in/ネコ#2/2.png",
                "in/ネコ#2/3.png",
                "in/ネコ#2#2/4.png",
                "in/\\xE9/ネコ/5.png"
            ]
        );
    }

    #[test]
    fn all_single_bytes_stay_distinct() {
        for page in [CodePage::Unknown, CodePage::Dos] {
            let mut seen = HashSet::new();
            for byte in (0..=255u8).filter(|b| !b"/\\".contains(b)) {
                assert!(
                    seen.insert(Speller::new("").spell(&[b'a', byte], page)),
                    "{byte:x}"
                );
            }
        }
    }

    #[test]
    fn names_that_lead_out_are_not_safe() {
        for name in [
            "/etc/x",
            "../x",
            "a/../../x",
            "a/../../a/x",
            "C:/x",
            "a\\x00b",
            "",
        ] {
            assert!(!is_safe(name), "{name}");
        }
        for name in [
            "a/b.png",
            "a/../b",
            "a/./b/../../c",
            "..a/b",
            "a:b.png",
            "\\xE9.png",
        ] {
            assert!(is_safe(name), "{name}");
        }
    }
}
