//! Filters on the tags, rating and score of posts.

use super::post::{Field, Post};
use super::rating::Rating;
use super::{IdPattern, MetadataError, tags};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A filter of posts by tags, rating and score, and where to find the posts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataFilter {
    /// File with the posts, or `sidecar` for a file beside each image.
    pub posts: Option<PathBuf>,
    /// A pattern for ids in paths, used in place of the built-in rule.
    pub id_pattern: Option<IdPattern>,
    /// Tags all of which a post must have.
    pub include_tags: Vec<String>,
    /// Tags none of which a post may have.
    pub exclude_tags: Vec<String>,
    /// Accepted ratings, by letter or word; all ratings when empty.
    pub ratings: Vec<String>,
    /// Least score that a post may have; `None` for no limit.
    pub min_score: Option<i64>,
}

impl MetadataFilter {
    /// Whether the filter could reject any post.
    pub fn is_active(&self) -> bool {
        !self.include_tags.is_empty()
            || !self.exclude_tags.is_empty()
            || !self.ratings.is_empty()
            || self.min_score.is_some()
    }

    /// The fields of posts that the filter uses.
    pub fn fields(&self) -> Vec<Field> {
        let has_tags = !self.include_tags.is_empty() || !self.exclude_tags.is_empty();
        [
            has_tags.then_some(Field::Tags),
            (!self.ratings.is_empty()).then_some(Field::Rating),
            self.min_score.map(|_| Field::Score),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// All tags of the filter, spelled as in [`Post::tags`].
    pub(super) fn tags(&self) -> impl Iterator<Item = String> {
        self.include_tags
            .iter()
            .chain(&self.exclude_tags)
            .map(|tag| tags::normalize(tag))
    }

    /// Checks that every rating of the filter is known.
    ///
    /// # Errors
    /// [`MetadataError::Rating`] for a rating that no post can have.
    pub fn validate(&self) -> Result<(), MetadataError> {
        match self
            .ratings
            .iter()
            .find(|text| Rating::parse(text).is_none())
        {
            Some(text) => Err(MetadataError::Rating(text.clone())),
            None => Ok(()),
        }
    }

    /// Why an image with this post is rejected; `None` when it is accepted.
    ///
    /// A post without a field that the filter uses is rejected.
    pub fn refuse(&self, post: &Post) -> Option<String> {
        if !self.include_tags.is_empty() || !self.exclude_tags.is_empty() {
            let Some(found) = &post.tags else {
                return Some("its post has no tags in a known form".to_owned());
            };
            let has = |tag: &&String| found.contains(&tags::normalize(tag));
            if let Some(tag) = self.include_tags.iter().find(|tag| !has(tag)) {
                return Some(format!("without the tag {tag}"));
            }
            if let Some(tag) = self.exclude_tags.iter().find(has) {
                return Some(format!("has the tag {tag}"));
            }
        }
        if !self.ratings.is_empty() {
            let Some(rating) = post.rating else {
                return Some("rating unknown".to_owned());
            };
            let is_wanted =
                |text: &String| Rating::parse(text).is_some_and(|wanted| wanted.accepts(rating));
            if !self.ratings.iter().any(is_wanted) {
                return Some(format!("rating {rating}"));
            }
        }
        if let Some(least) = self.min_score
            && post.score.is_none_or(|score| score < least)
        {
            return Some(
                post.score
                    .map_or_else(|| "no score".to_owned(), |score| format!("score {score}")),
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(json: &str) -> Post {
        Post::from_object(
            serde_json::from_str::<serde_json::Value>(json)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    }

    #[test]
    fn filters_say_why() {
        let filter = MetadataFilter {
            include_tags: vec!["solo".into()],
            exclude_tags: vec!["monochrome".into()],
            ratings: vec!["g".into(), "questionable".into()],
            min_score: Some(5),
            ..MetadataFilter::default()
        };
        for (json, why) in [
            (r#"{"rating":"g","score":12,"tags":"1girl solo"}"#, None),
            (r#"{"rating":"q","score":12,"tags":"solo"}"#, None),
            (
                r#"{"rating":"g","score":12,"tags":"solo monochrome"}"#,
                Some("has the tag monochrome"),
            ),
            (
                r#"{"rating":"g","score":12,"tags":"1girl"}"#,
                Some("without the tag solo"),
            ),
            (
                r#"{"rating":"g","score":12,"tags":null}"#,
                Some("its post has no tags in a known form"),
            ),
            (
                r#"{"rating":"e","score":12,"tags":"solo"}"#,
                Some("rating e"),
            ),
            (r#"{"score":12,"tags":"solo"}"#, Some("rating unknown")),
            (r#"{"rating":"g","score":4,"tags":"solo"}"#, Some("score 4")),
            (r#"{"rating":"g","tags":"solo"}"#, Some("no score")),
        ] {
            assert_eq!(filter.refuse(&post(json)).as_deref(), why, "{json}");
        }
        assert_eq!(MetadataFilter::default().refuse(&post("{}")), None);
    }

    #[test]
    fn tags_of_filters_are_spelled_as_those_of_posts() {
        let filter = MetadataFilter {
            exclude_tags: vec!["Long Hair".into(), ">_<".into()],
            ..MetadataFilter::default()
        };
        for tags in ["long_hair", "&gt;_&lt;", "LONG_HAIR", "&amp;gt;_&amp;lt;"] {
            let post = post(&serde_json::json!({ "tags": tags }).to_string());
            assert!(filter.refuse(&post).is_some(), "{tags}");
        }
    }

    #[test]
    fn unknown_ratings_are_refused_by_name() {
        let mut filter = MetadataFilter {
            ratings: vec!["G".into(), "Safe".into()],
            ..MetadataFilter::default()
        };
        assert!(filter.validate().is_ok());
        filter.ratings.push("x".into());
        assert!(filter.validate().unwrap_err().to_string().contains("'x'"));
    }
}
