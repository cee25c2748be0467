//! Ratings of posts, by letter or word.

use std::fmt;

/// The rating of a post on its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rating {
    /// `g`, `general`.
    General,
    /// The letter `s` alone, which means safe on some boards and sensitive on others.
    S,
    /// `safe`.
    Safe,
    /// `sensitive`.
    Sensitive,
    /// `q`, `questionable`.
    Questionable,
    /// `e`, `explicit`.
    Explicit,
}

impl Rating {
    /// Parses a rating by letter or word, in any case, with or without `rating:` in front.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        Some(match text.strip_prefix("rating:").unwrap_or(&text) {
            "g" | "general" => Self::General,
            "s" => Self::S,
            "safe" => Self::Safe,
            "sensitive" => Self::Sensitive,
            "q" | "questionable" | "sketchy" => Self::Questionable,
            "e" | "explicit" | "unsafe" | "r18" | "r-18" | "r-18g" | "nsfw" => Self::Explicit,
            _ => return None,
        })
    }

    /// Whether a filter for `self` accepts a post with `rating`. [`S`](Self::S) matches safe and sensitive, and is
    /// matched by both.
    pub fn accepts(self, rating: Self) -> bool {
        match self {
            Self::S => matches!(rating, Self::S | Self::Safe | Self::Sensitive),
            Self::Safe | Self::Sensitive => rating == self || rating == Self::S,
            _ => rating == self,
        }
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "g",
            Self::S | Self::Sensitive => "s",
            Self::Safe => "safe",
            Self::Questionable => "q",
            Self::Explicit => "e",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_accepts_ratings_by_letter_and_by_word() {
        use Rating::{Explicit, General, Questionable, S, Safe, Sensitive};
        let all = [General, S, Safe, Sensitive, Questionable, Explicit];
        for (wanted, accepted) in [
            ("g", vec![General]),
            ("s", vec![S, Safe, Sensitive]),
            ("safe", vec![S, Safe]),
            ("sensitive", vec![S, Sensitive]),
            ("questionable", vec![Questionable]),
            ("e", vec![Explicit]),
        ] {
            let wanted = Rating::parse(wanted).unwrap();
            let found: Vec<Rating> = all.into_iter().filter(|r| wanted.accepts(*r)).collect();
            assert_eq!(found, accepted, "{wanted:?}");
        }
    }
}
