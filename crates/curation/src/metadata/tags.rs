//! Brings tags into one spelling; tags of posts and tags of filters go through the same function.

use std::borrow::Cow;

/// Spells a tag in lower case, with HTML entities decoded, `_` in place of white space, and `(` in place of `\(`.
///
/// Some boards escape entities twice, so they are decoded repeatedly, up to three times.
pub fn normalize(tag: &str) -> String {
    let mut decoded = Cow::Borrowed(tag.trim());
    for _ in 0..3 {
        match decode_entities(&decoded) {
            Some(next) => decoded = Cow::Owned(next),
            None => break,
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    let mut chars = decoded.trim().chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && matches!(chars.peek(), Some('(' | ')')) {
            continue;
        }
        if c.is_whitespace() {
            while chars.peek().is_some_and(|c| c.is_whitespace()) {
                chars.next();
            }
            normal.push('_');
        } else {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

/// Longest name of an entity in bytes; longer ones are not searched for.
const MAX_ENTITY_LENGTH: usize = 8;

/// Decodes all named and numeric entities once; `None` when there are none.
fn decode_entities(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.as_bytes()[1..]
            .iter()
            .take(MAX_ENTITY_LENGTH + 1)
            .position(|byte| *byte == b';')
            .and_then(|length| Some((entity(&rest[1..=length])?, length + 2)));
        match entity {
            Some((c, length)) => {
                found = true;
                decoded.push(c);
                rest = &rest[length..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    found.then_some(decoded)
}

/// HTML's names of U+00A0 to U+00FF, in order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
    sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
    AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash \
    Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml \
    igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn \
    yuml";

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "hearts" => '\u{2665}',
        "hellip" => '\u{2026}',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        "star" => '\u{2606}',
        _ => match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
            None => {
                let place = LATIN_1.split_whitespace().position(|known| known == name)?;
                char::from_u32(0xa0 + place as u32)?
            }
        },
    })
}

/// Splits a text into tags, in the spelling of [`normalize`].
///
/// A text with commas is split at them, if each is followed by white space or the text has no white space at all. A
/// text without commas is split at line breaks if it has any, else at white space. If a text can also be read in
/// another way (`a,b c`, lines with spaces), the tags of both readings are returned, so that no tag is missed.
pub fn split(text: &str) -> Vec<String> {
    // Lists as Python and JSON write them, which tables contain: ['a', 'b'].
    let trimmed = text.trim();
    let list = ["['", "[\""]
        .iter()
        .any(|start| trimmed.starts_with(start))
        .then(|| trimmed[1..].trim_end_matches(']'));
    if let Some(list) = list {
        let items = list
            .split(',')
            .map(|item| item.trim().trim_matches(['\'', '"']));
        return tidy(items.map(normalize));
    }
    let words = || trimmed.split_whitespace().map(normalize);
    if trimmed.contains(',') {
        let items = || {
            trimmed
                .split([',', '\n'])
                .map(str::trim)
                .filter(|item| !item.is_empty())
        };
        let is_followed_by_space = |(at, _): (usize, &str)| {
            let next = trimmed[at + 1..].chars().next();
            next.is_none_or(|c| c.is_whitespace() || c == ',')
        };
        let has_space = trimmed.contains(char::is_whitespace);
        // Whether the commas seem to be parts of tags, and the tags to be separated by spaces.
        let is_odd = trimmed.split_whitespace().count() > 3 * items().count()
            || items().any(|item| item.contains(' ') && item.contains('_'));
        let is_list = trimmed.match_indices(',').all(is_followed_by_space) && !is_odd;
        return if is_list || !has_space {
            tidy(items().map(normalize))
        } else {
            tidy(items().map(normalize).chain(words()))
        };
    }
    if trimmed.lines().count() > 1 {
        return tidy(trimmed.lines().map(normalize).chain(words()));
    }
    tidy(words())
}

fn tidy(tags: impl Iterator<Item = String>) -> Vec<String> {
    let mut tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).collect();
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_one_spelling() {
        for (written, normal) in [
            ("Blue Hair", "blue_hair"),
            ("  long \t hair ", "long_hair"),
            ("&gt;_&lt;", ">_<"),
            ("fate&#039;s_end", "fate's_end"),
            ("a&#x27;b", "a'b"),
            ("&amp;lt;3", "<3"),
            ("pok&eacute;mon", "pokémon"),
            ("love_&hearts;", "love_♥"),
            ("tom_&_jerry", "tom_&_jerry"),
            ("&quot;x&quot;", "\"x\""),
            ("&unknown;", "&unknown;"),
            ("miku \\(vocaloid\\)", "miku_(vocaloid)"),
            (";)", ";)"),
            ("&", "&"),
            ("初音ミク", "初音ミク"),
        ] {
            assert_eq!(normalize(written), normal, "{written}");
        }
        // The time grows linearly with the length, not quadratically.
        let ampersands = "&".repeat(4_000_000);
        assert_eq!(normalize(&ampersands), ampersands);
    }

    #[test]
    fn texts_split_at_commas_or_at_spaces() {
        for (text, tags) in [
            ("1girl solo", vec!["1girl", "solo"]),
            (
                "1girl, long hair,, solo",
                vec!["1girl", "long_hair", "solo"],
            ),
            ("", vec![]),
            ("['a', 'long hair']", vec!["a", "long_hair"]),
            ("[\"a\",\"b\"]", vec!["a", "b"]),
            ("one\ntwo\r\nthree", vec!["one", "two", "three"]),
            ("1girl,solo", vec!["1girl", "solo"]),
            ("1girl, long hair\nsolo", vec!["1girl", "long_hair", "solo"]),
            ("long hair\nsolo", vec!["long_hair", "solo", "long", "hair"]),
            (
                "ah, comic big_hat",
                vec!["ah", "comic_big_hat", "ah,", "comic", "big_hat"],
            ),
            // A tag with a comma in it, among tags separated by spaces.
            (
                "yes,_no comic",
                vec!["yes", "_no_comic", "yes,_no", "comic"],
            ),
        ] {
            assert_eq!(split(text), tags, "{text}");
        }
    }
}
