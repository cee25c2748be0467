//! Counts of gaps in the metadata, for the summary of a run.

use super::matching::{Match, Matches};
use super::post::Field;
use crate::inputs::Entry;
use serde::Serialize;

/// Counts of files without a post and of posts without a filtered field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MetadataSummary {
    /// Inputs without a post; those whose name can be read in two ways included.
    pub n_unmatched: usize,
    /// Three of them.
    pub unmatched: Vec<String>,
    /// Inputs whose name can be read in two ways.
    pub n_unclear: usize,
    /// Three of them.
    pub unclear: Vec<String>,
    /// Posts without a field that a filter or label uses.
    pub gaps: Vec<FieldGap>,
}

/// Posts without a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldGap {
    /// The field.
    pub field: Field,
    /// Number of posts.
    pub n: usize,
    /// Three of them.
    pub posts: Vec<String>,
}

/// Names shown of each kind.
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
