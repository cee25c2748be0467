//! All posts of a metadata file, which are looked up by id or by MD5.

use super::MetadataError;
use super::post::{Field, Post};
use super::rating::Rating;
use super::read::read_file;
use super::site::Site;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Posts and the keys by which they are found. A key includes the imageboard, since imageboards number their posts
/// independently.
#[derive(Clone, Debug, Default)]
pub struct Posts {
    posts: Vec<Post>,
    by_id: HashMap<(Site, u64), u32>,
    by_text: HashMap<(Site, String), u32>,
    by_md5: HashMap<(Site, u128), u32>,
    sites: BTreeSet<Site>,
    path: PathBuf,
    first_line: String,
}

/// Takes the place of an index in the maps when several posts share a key.
const SEVERAL: u32 = u32::MAX;

/// Result of looking up a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// One post, by its index.
    Post(u32),
    /// No post.
    Nothing,
    /// More than one: posts of different boards, or several posts with one MD5.
    Several,
}

impl Posts {
    /// Reads a file of any accepted form. Of the posts' tags, only those in `tags` are kept.
    ///
    /// When a board has two posts with the same id in the file, the later one replaces the earlier.
    ///
    /// # Errors
    /// [`MetadataError`] naming the file and, for a part that is not a post, the line.
    pub fn read(path: &Path, tags: &HashSet<String>) -> Result<Self, MetadataError> {
        let mut posts = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        posts.first_line = read_file(path, &mut |object| {
            let mut post = Post::from_object(object);
            if let Some(found) = &mut post.tags {
                found.retain(|tag| tags.contains(tag));
                found.shrink_to_fit();
            }
            posts.add(post)
        })?;
        settle_ratings(&mut posts.posts);
        Ok(posts)
    }

    /// Adds a post, or replaces the one with the same id.
    ///
    /// # Errors
    /// When it has neither id nor MD5.
    pub fn add(&mut self, post: Post) -> Result<(), String> {
        if post.id.is_none() && post.md5.is_none() {
            return Err("a post with neither 'id' nor 'md5'".to_owned());
        }
        let site = post.site;
        let next = self.posts.len() as u32;
        let number = post.id.as_ref().and_then(|id| id.parse::<u64>().ok());
        let idx = match (&post.id, number, post.md5) {
            (_, Some(number), _) => *self.by_id.entry((site, number)).or_insert(next),
            (Some(text), None, _) => *self.by_text.entry((site, text.clone())).or_insert(next),
            (None, None, Some(md5)) => {
                let known = self.by_md5.get(&(site, md5)).copied();
                known
                    .filter(|&idx| self.posts.get(idx as usize).is_some_and(|p| p.id.is_none()))
                    .unwrap_or(next)
            }
            (None, None, None) => next,
        };
        if let Some(md5) = post.md5 {
            let place = self.by_md5.entry((site, md5)).or_insert(idx);
            if *place != idx {
                *place = SEVERAL;
            }
        }
        self.sites.insert(site);
        match self.posts.get_mut(idx as usize) {
            Some(known) => *known = post,
            None => self.posts.push(post),
        }
        Ok(())
    }

    /// The posts of sidecar files. They are found by their index alone; the id of each is the name of its image. Error
    /// messages show `first_line`.
    pub fn of_sidecars(posts: Vec<Post>, first_line: String) -> Self {
        Self {
            posts,
            path: "sidecar".into(),
            first_line,
            ..Self::default()
        }
    }

    /// Looks up a post by id, on the boards that agree with `site` ([`Site::agrees_with`]).
    pub fn by_id(&self, id: &str, site: Site) -> Found {
        let number = id.parse::<u64>().ok();
        self.among_sites(site, |site| match number {
            Some(number) => self.by_id.get(&(site, number)).copied(),
            None => self.by_text.get(&(site, id.to_owned())).copied(),
        })
    }

    /// Looks up a post by the MD5 of its file. When posts of several boards have this MD5, only those on boards that
    /// agree with `site` count.
    pub fn by_md5(&self, md5: u128, site: Site) -> Found {
        let find = |site| {
            let idx = self.by_md5.get(&(site, md5)).copied()?;
            // The post may have been replaced by one with another file.
            let is_current = self
                .posts
                .get(idx as usize)
                .is_none_or(|p| p.md5.is_none_or(|m| m == md5));
            is_current.then_some(idx)
        };
        match self.among_sites(Site::UNKNOWN, find) {
            Found::Several => self.among_sites(site, find),
            found => found,
        }
    }

    fn among_sites(&self, site: Site, find: impl Fn(Site) -> Option<u32>) -> Found {
        let sites = self.sites.iter().filter(|known| known.agrees_with(site));
        let found: Vec<u32> = sites.filter_map(|known| find(*known)).collect();
        match found[..] {
            [] => Found::Nothing,
            [SEVERAL] => Found::Several,
            [idx] => Found::Post(idx),
            _ => Found::Several,
        }
    }

    /// A post by its index.
    pub fn get(&self, idx: u32) -> Option<&Post> {
        self.posts.get(idx as usize)
    }

    /// All posts.
    pub fn iter(&self) -> impl Iterator<Item = &Post> {
        self.posts.iter()
    }

    /// Checks that at least one post has `field`.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when no post has `field`.
    pub fn require(&self, field: Field) -> Result<(), MetadataError> {
        if self.posts.iter().any(|post| post.has(field)) {
            return Ok(());
        }
        Err(MetadataError::Field {
            path: self.path.clone(),
            field,
            shown: self.first_line.clone(),
        })
    }
}

/// Resolves ratings given as the letter `s`: on a board where other posts are rated general, `s` means sensitive. On
/// other boards the rating stays [`Rating::S`].
pub fn settle_ratings(posts: &mut [Post]) {
    let is_general = |post: &&Post| post.rating == Some(Rating::General);
    let newer: HashSet<Site> = posts
        .iter()
        .filter(is_general)
        .map(|post| post.site)
        .collect();
    for post in posts {
        if post.rating == Some(Rating::S) && newer.contains(&post.site) {
            post.rating = Some(Rating::Sensitive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::post::parse_md5;
    use super::*;

    const MD5: &str = "00112233445566778899aabbccddeeff";

    fn posts(lines: &[&str]) -> Posts {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        Posts::read(file.path(), &HashSet::from(["solo".to_owned()])).unwrap()
    }

    fn rating(posts: &Posts, found: Found) -> Option<String> {
        match found {
            Found::Post(idx) => posts.get(idx)?.rating.map(|rating| rating.to_string()),
            _ => None,
        }
    }

    #[test]
    fn posts_are_found_by_id_and_by_md5() {
        let posts = posts(&[
            r#"{"id": 101, "rating": "g", "tag_string": "1girl solo"}"#,
            r#"{"id": "2021", "rating": "q"}"#,
            r#"{"id": "aBc", "rating": "e"}"#,
            &format!(r#"{{"md5": "{}", "rating": "e"}}"#, MD5.to_uppercase()),
        ]);
        let by_id = |id| rating(&posts, posts.by_id(id, Site::UNKNOWN));
        assert_eq!(by_id("101").as_deref(), Some("g"));
        assert_eq!(by_id("2021").as_deref(), Some("q"));
        assert_eq!(by_id("aBc").as_deref(), Some("e"));
        assert_eq!(by_id("102"), None);
        let md5 = parse_md5(MD5).unwrap();
        assert_eq!(
            rating(&posts, posts.by_md5(md5, Site::UNKNOWN)).as_deref(),
            Some("e")
        );
        assert_eq!(posts.by_md5(md5 + 1, Site::UNKNOWN), Found::Nothing);
        // Only the tags that were asked for are kept.
        let Found::Post(idx) = posts.by_id("101", Site::UNKNOWN) else {
            panic!()
        };
        assert_eq!(posts.get(idx).unwrap().tags.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn a_later_line_replaces_an_earlier_one_under_both_keys() {
        let posts = posts(&[
            &format!(r#"{{"id": 5, "md5": "{MD5}", "rating": "g"}}"#),
            &format!(r#"{{"id": 5, "md5": "{MD5}", "rating": "e"}}"#),
        ]);
        let md5 = parse_md5(MD5).unwrap();
        assert_eq!(
            rating(&posts, posts.by_id("5", Site::UNKNOWN)).as_deref(),
            Some("e")
        );
        assert_eq!(
            rating(&posts, posts.by_md5(md5, Site::UNKNOWN)).as_deref(),
            Some("e")
        );
    }

    #[test]
    fn boards_are_kept_apart() {
        let of = |word| Site::from_word(word).unwrap();
        let posts = posts(&[
            &format!(r#"{{"category": "danbooru", "id": 5, "md5": "{MD5}", "rating": "g"}}"#),
            &format!(
                r#"{{"category": "gelbooru", "id": 5, "md5": "{MD5}", "rating": "explicit"}}"#
            ),
            r#"{"category": "gelbooru", "id": 6, "rating": "general"}"#,
        ]);
        assert_eq!(posts.by_id("5", Site::UNKNOWN), Found::Several);
        assert_eq!(
            rating(&posts, posts.by_id("5", of("gelbooru"))).as_deref(),
            Some("e")
        );
        assert_eq!(posts.by_id("6", of("danbooru")), Found::Nothing);
        assert_eq!(
            rating(&posts, posts.by_id("6", Site::UNKNOWN)).as_deref(),
            Some("g")
        );
        let md5 = parse_md5(MD5).unwrap();
        assert_eq!(posts.by_md5(md5, Site::UNKNOWN), Found::Several);
        assert_eq!(
            rating(&posts, posts.by_md5(md5, of("danbooru"))).as_deref(),
            Some("g")
        );
    }

    #[test]
    fn a_bare_s_is_sensitive_beside_general() {
        let newer = posts(&[r#"{"id": 1, "rating": "g"}"#, r#"{"id": 2, "rating": "s"}"#]);
        let older = posts(&[r#"{"id": 1, "rating": "q"}"#, r#"{"id": 2, "rating": "s"}"#]);
        let of = |posts: &Posts| match posts.by_id("2", Site::UNKNOWN) {
            Found::Post(idx) => posts.get(idx).unwrap().rating,
            _ => None,
        };
        assert_eq!(
            (of(&newer), of(&older)),
            (Some(Rating::Sensitive), Some(Rating::S))
        );
    }

    #[test]
    fn a_line_that_is_no_post_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"id\": 1}\n{\"rating\": \"g\"}\n").unwrap();
        let error = Posts::read(file.path(), &HashSet::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("'id'"),
            "{error}"
        );
    }

    #[test]
    fn a_field_that_no_post_has_is_an_error_with_the_first_line() {
        let posts = posts(&[r#"{"id": 1, "labels": ["x"]}"#]);
        let error = posts.require(Field::Tags).unwrap_err().to_string();
        for part in ["tags", r#"{"id": 1, "labels": ["x"]}"#, "tag_string"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
