//! Removes escape sequences of terminals from logs: colors, cursor moves, titles.

use std::borrow::Cow;

/// Removes the escape sequences of terminals (ECMA-48) from a text. A sequence that is cut off ends with its line.
pub fn without_escapes(text: &str) -> Cow<'_, str> {
    let starts = |c: char| matches!(c, '\x1b' | '\u{9b}');
    if !text.contains(starts) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(starts) {
        plain.push_str(&rest[..at]);
        rest = behind_sequence(&rest[at..]);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The text after the escape sequence that `text` begins with.
fn behind_sequence(text: &str) -> &str {
    let mut chars = text.chars();
    let introducer = match chars.next() {
        Some('\x1b') => chars.clone().next(),
        _ => None,
    };
    if introducer.is_some_and(|c| !c.is_control()) {
        chars.next();
    }
    match introducer {
        // Control sequences: parameters, intermediate bytes, a final byte.
        Some('[') => behind_control_sequence(chars.as_str()),
        None if text.starts_with('\u{9b}') => behind_control_sequence(chars.as_str()),
        // Strings, for example titles, up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let body = chars.as_str();
            let end = body.find(|c: char| c.is_control()).unwrap_or(body.len());
            let rest = &body[end..];
            rest.strip_prefix('\x07')
                .or_else(|| rest.strip_prefix("\x1b\\"))
                .unwrap_or(rest)
        }
        // Selections of a character set have one more character.
        Some('(' | ')' | '*' | '+' | '#' | '%') => {
            let rest = chars.as_str();
            let next = rest.chars().next().filter(|c| !c.is_control());
            next.map_or(rest, |c| &rest[c.len_utf8()..])
        }
        _ => chars.as_str(),
    }
}

fn behind_control_sequence(text: &str) -> &str {
    let rest = text.trim_start_matches(|c| matches!(c, '0'..='?'));
    let rest = rest.trim_start_matches(|c| matches!(c, ' '..='/'));
    match rest.chars().next() {
        Some('@'..='~') => &rest[1..],
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_left_out_and_nothing_else() {
        for (text, wanted) in [
            ("\x1b[1;32mtick 2\x1b[0m\r\n", "tick 2\r\n"),
            ("\x1b[38;2;10;200;30mé\x1b[K", "é"),
            ("\u{9b}31mred\u{9b}0m", "red"),
            (
                "\x1b]0;a title\x07tick\x1b]8;;http://x\x1b\\link",
                "ticklink",
            ),
            ("\x1b[?25l\x1b[2J\x1b[1Ga\x1b(Bb\x1b=c\x1b7d", "abcd"),
            // Cut off by the end of the line or of the file.
            ("a\x1b[1;3\nb", "a\nb"),
            ("a\x1b]0;title\nb", "a\nb"),
            ("a\x1b\nb\x1b", "a\nb"),
            ("a\x1b[", "a"),
            ("\x1b\x1b[1mb", "b"),
        ] {
            assert_eq!(without_escapes(text), wanted, "{}", text.escape_debug());
        }
        for plain in ["", "tick 1 [2m] é 猫\n"] {
            assert!(matches!(without_escapes(plain), Cow::Borrowed(t) if t == plain));
        }
    }
}
