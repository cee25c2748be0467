//! Image boards. They number their posts independently, so an id counts only together with its board.

/// An image board; [`Site::UNKNOWN`] when nothing says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(u8);

/// For each board, its name in file names and in the `category` of gallery-dl, and the domain in URLs of its files.
const SITES: &[(&str, &str)] = &[
    ("", ""),
    ("danbooru", "donmai.us"),
    ("gelbooru", "gelbooru.com"),
    ("safebooru", "safebooru.org"),
    ("konachan", "konachan."),
    ("yandere", "yande.re"),
    ("sankaku", "sankakucomplex.com"),
    ("rule34", "rule34.xxx"),
    ("e621", "e621.net"),
    ("pixiv", "pximg.net"),
    ("zerochan", "zerochan.net"),
    ("tbib", "tbib.org"),
    ("xbooru", "xbooru.com"),
    ("hypnohub", "hypnohub.net"),
    ("lolibooru", "lolibooru.moe"),
    ("3dbooru", "behoimi.org"),
    ("derpibooru", "derpicdn.net"),
    ("realbooru", "realbooru.com"),
];

/// Other spellings of the names of boards, each with the name in [`SITES`].
const ALIASES: &[(&str, &str)] = &[
    ("donmai", "danbooru"),
    ("yande", "yandere"),
    ("sankakucomplex", "sankaku"),
    ("e926", "e621"),
    ("behoimi", "3dbooru"),
    ("illust", "pixiv"),
    ("artworks", "pixiv"),
];

impl Site {
    /// The board is not known.
    pub const UNKNOWN: Self = Self(0);

    /// The board that a word in lower case names.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = ALIASES
            .iter()
            .find(|(alias, _)| *alias == word)
            .map_or(word, |(_, name)| name);
        let idx = SITES.iter().skip(1).position(|(name, _)| *name == word)?;
        Some(Self(idx as u8 + 1))
    }

    /// The board whose server a URL names.
    pub fn from_url(url: &str) -> Option<Self> {
        let rest = url.split_once("://")?.1;
        let host = rest.split('/').next()?.to_ascii_lowercase();
        let idx = SITES.iter().skip(1).position(|(_, domain)| {
            host.match_indices(domain)
                .any(|(at, _)| at == 0 || host.as_bytes()[at - 1] == b'.')
        })?;
        Some(Self(idx as u8 + 1))
    }

    /// Whether a post of one board may be a post of the other: both boards are the same, or one of them is unknown.
    pub fn agrees_with(self, other: Self) -> bool {
        self == other || self == Self::UNKNOWN || other == Self::UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_known_by_word_and_by_address() {
        let danbooru = Site::from_word("danbooru").unwrap();
        assert_eq!(
            Site::from_url("https://cdn.donmai.us/original/a.jpg"),
            Some(danbooru)
        );
        assert_eq!(
            Site::from_url("https://safebooru.donmai.us/a.jpg"),
            Some(danbooru)
        );
        assert_eq!(Site::from_url("https://notdonmai.us/a.jpg"), None);
        assert_eq!(Site::from_word("yande"), Site::from_word("yandere"));
        assert!(!danbooru.agrees_with(Site::from_word("gelbooru").unwrap()));
        assert!(danbooru.agrees_with(Site::UNKNOWN));
    }
}
