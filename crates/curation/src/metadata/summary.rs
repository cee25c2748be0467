//! Counts of inputs without a post and of posts without a field, for the summary of a run.

use super::matching::{Match, Matches};
use super::post::Field;
use crate::inputs::Entry;
use serde::Serialize;

/// Counts of inputs without a post, and of posts without a field that a filter or label uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetadataSummary {
    /// Number of inputs without a post, including those of `n_unclear`.
    pub n_unmatched: usize,
    /// Names of up to three of these inputs.
    pub unmatched: Vec<String>,
    /// Number of inputs for which more than one post is possible, or whose sidecar cannot be read.
    pub n_unclear: usize,
    /// Names of up to three of these inputs.
    pub unclear: Vec<String>,
    /// For each field that a filter or label uses and some posts lack, the posts that lack it.
    pub gaps: Vec<FieldGap>,
}

/// Posts that lack a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldGap {
    /// The field that they lack.
    pub field: Field,
    /// Number of posts that lack it.
    pub n: usize,
    /// Ids, or else MD5s, of up to three of these posts.
    pub posts: Vec<String>,
}

/// Largest number of names in each list.
const N_SHOWN: usize = 3;

impl Matches {
    /// Counts for the summary; `None` when no filter or label uses posts.
    pub fn summary(&self, entries: &[Entry]) -> Option<MetadataSummary> {
        if self.fields.is_empty() {
            return None;
        }
        let mut summary = MetadataSummary::default();
        let show = |list: &mut Vec<String>, name: &str| {
            if list.len() < N_SHOWN {
                list.push(name.to_owned());
            }
        };
        for (found, entry) in self.of.iter().zip(entries) {
            let is_unclear = matches!(found, Match::Unclear(_));
            if is_unclear || matches!(found, Match::None(_)) {
                summary.n_unmatched += 1;
                show(&mut summary.unmatched, &entry.source);
            }
            if is_unclear {
                summary.n_unclear += 1;
                show(&mut summary.unclear, &entry.source);
            }
        }
        for &field in &self.fields {
            let mut gap = FieldGap {
                field,
                n: 0,
                posts: Vec::new(),
            };
            for post in self.posts.iter().filter(|post| !post.has(field)) {
                gap.n += 1;
                let md5 = || post.md5.map(|md5| format!("{md5:032x}"));
                show(
                    &mut gap.posts,
                    &post.id.clone().or_else(md5).unwrap_or_default(),
                );
            }
            if gap.n > 0 {
                summary.gaps.push(gap);
            }
        }
        Some(summary)
    }
}
