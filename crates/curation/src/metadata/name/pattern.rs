//! A user's rule to find the post in a path.

use super::super::post::parse_md5;
use super::Reading;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A user's rule in place of the built-in one: a regular expression with a group around the id or the MD5. The group is
/// called `id` or `md5`, or is the first one.
///
/// The expression is matched against the path below the input, with `/` between parts and with the names of archives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdPattern(Regex);

impl IdPattern {
    /// The post that a path names.
    pub fn read(&self, path: &str) -> Reading {
        let Some(found) = self.0.captures(path) else {
            return Reading::Nothing;
        };
        let group = found
            .name("id")
            .or_else(|| found.name("md5"))
            .or_else(|| found.get(1));
        let text = group.map_or("", |group| group.as_str());
        if let Some(md5) = parse_md5(text) {
            return Reading::Md5(md5);
        }
        match text.parse::<u64>() {
            // Leading zeros are removed, as in the ids of posts.
            Ok(id) => Reading::Id(id.to_string()),
            Err(_) if text.is_empty() => Reading::Nothing,
            Err(_) => Reading::Id(text.to_owned()),
        }
    }
}

impl PartialEq for IdPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl FromStr for IdPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|e| e.to_string())?;
        if regex.captures_len() < 2 {
            return Err(format!(
                "'{text}' has no group around the id: write one in brackets, as in '_(\\d+)_p\\d+'"
            ));
        }
        Ok(Self(regex))
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for IdPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<IdPattern> for String {
    fn from(pattern: IdPattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_replaces_the_rule() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let pattern: IdPattern = r"user\d+_(\d+)_".parse().unwrap();
        assert_eq!(
            pattern.read("a/user12_1000001_2.png"),
            Reading::Id("1000001".to_owned())
        );
        assert_eq!(
            pattern.read("a/user12_0001_2.png"),
            Reading::Id("1".to_owned())
        );
        assert_eq!(pattern.read("1000001.png"), Reading::Nothing);
        let named: IdPattern = r"(x|y)/(?P<id>[^/]+)\.png$".parse().unwrap();
        assert_eq!(named.read("x/aBc.png"), Reading::Id("aBc".to_owned()));
        assert_eq!(
            named.read(&format!("x/{md5}.png")),
            Reading::Md5(parse_md5(md5).unwrap())
        );
        let optional: IdPattern = r"p(\d+)?".parse().unwrap();
        assert_eq!(optional.read("p.png"), Reading::Nothing);
        assert!(r"\d+".parse::<IdPattern>().unwrap_err().contains("group"));
        assert!("(".parse::<IdPattern>().is_err());
    }
}
