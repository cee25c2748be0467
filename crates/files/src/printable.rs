//! Makes control characters visible in text from outside (file names, zip members, tensor names) before it reaches a
//! terminal or a log.

use std::borrow::Cow;
use std::fmt::Write;

/// Replaces control characters by escapes (`\x1b`, `\u{202e}`); line feeds and tabs stay.
///
/// A terminal obeys control characters: a file name could otherwise erase lines, change colors or the title, or enter
/// text as if typed. Characters that change the direction of text are replaced too.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c, out| {
        let _ = match c {
            '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
            _ => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    })
}

/// Replaces in a line of JSON the characters that [`printable`] replaces, by escapes of JSON strings (`\u001b`), so
/// that the line stays valid JSON.
pub fn printable_json(line: &str) -> Cow<'_, str> {
    escape(line, |c, out| {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

fn escape(text: &str, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            write(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_harmful(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Marks, embeddings, overrides and isolates of text direction.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(
            printable("a\x1b[2J\x07\r\u{9b}1m\u{202e}gnp.exe\x7f"),
            r"a\x1b[2J\x07\x0d\u{9b}1m\u{202e}gnp.exe\x7f"
        );
        for harmless in ["two\nlines\t1", "初音ミク é ö 1girl", ""] {
            assert!(matches!(printable(harmless), Cow::Borrowed(t) if t == harmless));
        }
    }

    #[test]
    fn json_stays_json() {
        let line = serde_json::to_string("a\u{9b}\x1b\u{202e}").unwrap();
        let escaped = printable_json(&line);
        assert!(!escaped.chars().any(is_harmful), "{escaped}");
        let back: String = serde_json::from_str(&escaped).unwrap();
        assert_eq!(back, "a\u{9b}\x1b\u{202e}");
    }
}
