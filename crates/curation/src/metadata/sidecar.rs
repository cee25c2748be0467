//! Sidecars, files beside each image: `NAME.json` or `NAME.EXT.json` with one post, `NAME.txt` or `NAME.EXT.txt` with
//! tags.

use super::post::Post;
use super::rating::Rating;
use super::{read, shorten, tags};
use crate::inputs::Entry;
use serde_json::Value;
use std::collections::HashMap;

/// Largest size of a sidecar in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The sidecar files among the inputs, by their source.
pub struct Sidecars<'a> {
    by_source: HashMap<&'a str, &'a Entry>,
}

/// The result of reading the sidecars of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// A post, and a text for messages: the name of the sidecar file and the beginning of its content.
    Post(Box<Post>, String),
    /// No sidecar.
    Missing,
    /// A sidecar that cannot be read as a post: the name of its file and the problem.
    Broken(String, String),
}

impl<'a> Sidecars<'a> {
    pub fn new(entries: &'a [Entry]) -> Self {
        let by_source = entries
            .iter()
            .filter(|entry| is_sidecar(&entry.source))
            .map(|entry| (entry.source.as_str(), entry))
            .collect();
        Self { by_source }
    }

    /// Reads the post of an image. `parent` is the path of the archive that holds the image; the archive's own sidecar
    /// counts when the image has none.
    pub fn read(&self, entry: &Entry, parent: Option<&str>) -> Sidecar {
        let own = self.read_beside(&entry.source, Some(entry));
        match (own, parent) {
            (Sidecar::Missing, Some(parent)) => self.read_beside(parent, None),
            (own, _) => own,
        }
    }

    /// Reads the sidecars of `source` among the inputs. If an entry `on_disk` is given, sidecars in its folder on disk
    /// count as well, since the inputs may contain the image without its sidecar.
    fn read_beside(&self, source: &str, on_disk: Option<&Entry>) -> Sidecar {
        let find = |ending: &str| {
            let names = names(source, ending);
            names
                .into_iter()
                .filter(|name| name != source)
                .find_map(|name| {
                    let bytes = match self.by_source.get(name.as_str()) {
                        Some(sidecar) => sidecar
                            .read_beginning(MAX_BYTES as u64)
                            .map_err(|e| e.to_string()),
                        None => {
                            let path = on_disk?.path()?.with_file_name(name.rsplit('/').next()?);
                            if !path.is_file() {
                                return None;
                            }
                            files::read_input(&path, MAX_BYTES as u64).map_err(|e| e.to_string())
                        }
                    };
                    Some((name, bytes))
                })
        };
        let (json, text) = (find("json"), find("txt"));
        if json.is_none() && text.is_none() {
            return Sidecar::Missing;
        }
        let first = json.as_ref().or(text.as_ref());
        let shown = first.map_or_else(String::new, |(name, bytes)| {
            let text = bytes.as_ref().map_or(&[][..], Vec::as_slice);
            format!("{name}: {}", shorten(&String::from_utf8_lossy(text)))
        });
        let mut post = Post::default();
        if let Some((name, bytes)) = json {
            match bytes.and_then(|bytes| parse_json(&bytes)) {
                Ok(parsed) => post = parsed,
                Err(message) => return Sidecar::Broken(name, message),
            }
        }
        if let Some((name, bytes)) = text
            && post.tags.is_none()
        {
            match bytes.and_then(|bytes| parse_text(&bytes)) {
                Ok(parsed) => {
                    post.tags = parsed.tags;
                    post.rating = post.rating.or(parsed.rating);
                }
                Err(message) => return Sidecar::Broken(name, message),
            }
        }
        Sidecar::Post(Box::new(post), shown)
    }
}

/// Whether a file has the extension of a sidecar.
pub fn is_sidecar(source: &str) -> bool {
    let extension = source
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    extension.eq_ignore_ascii_case("json") || extension.eq_ignore_ascii_case("txt")
}

/// Names that an image's sidecar with the extension `ending` may have, in the order in which they are tried.
fn names(source: &str, ending: &str) -> Vec<String> {
    let (folder, name) = source
        .rsplit_once('/')
        .map_or(("", source), |(f, n)| (f, n));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut names = Vec::new();
    for ending in [ending.to_owned(), ending.to_uppercase()] {
        names.push(format!("{name}.{ending}"));
        names.push(format!("{stem}.{ending}"));
    }
    if ending == "json" {
        // The program waifuc gives this name to its sidecars.
        names.push(format!(".{stem}_meta.json"));
    }
    if !folder.is_empty() {
        names
            .iter_mut()
            .for_each(|name| *name = format!("{folder}/{name}"));
    }
    names
}

fn parse_json(bytes: &[u8]) -> Result<Post, String> {
    if bytes.len() > MAX_BYTES {
        return Err("too large for one post".to_owned());
    }
    // A plain list of tags.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(Value::Array(list)) = serde_json::from_slice::<Value>(text)
        && list.iter().all(Value::is_string)
    {
        let tags = list.iter().filter_map(Value::as_str).map(tags::normalize);
        return Ok(Post {
            tags: Some(tags.collect()),
            ..Post::default()
        });
    }
    let mut posts = Vec::new();
    read::read_bytes(bytes, &mut |object| {
        posts.push(Post::from_object(object));
        Ok(())
    })?;
    match posts.len() {
        1 => Ok(posts.swap_remove(0)),
        0 => Err("empty".to_owned()),
        n => Err(format!("{n} posts where one is expected")),
    }
}

/// Parses a list of tags, with the rating if exactly one tag begins with `rating:`. An empty file gives `None` as tags.
fn parse_text(bytes: &[u8]) -> Result<Post, String> {
    if bytes.len() > MAX_BYTES {
        return Err("too large for a list of tags".to_owned());
    }
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let found = tags::split(&text);
    let mut ratings = found.iter().filter(|tag| tag.starts_with("rating:"));
    let rating = match (ratings.next(), ratings.next()) {
        (Some(rating), None) => Rating::parse(rating),
        _ => None,
    };
    Ok(Post {
        rating,
        tags: (!found.is_empty()).then(|| found.into_iter().collect()),
        ..Post::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::walk;
    use std::fs;

    #[test]
    fn sidecars_are_found_by_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (sidecar, text) in [
            ("a.json", r#"{"rating": "e", "tags": "solo"}"#),
            ("b.png.json", r#"{"rating": "e", "tags": ["solo"]}"#),
            ("c.txt", "solo, rating:explicit"),
            ("d.png.txt", "solo\nrating:e"),
            (
                "sub/e.JSON",
                "\u{feff}{\"rating\": \"e\", \"tag_string\": \"solo\"}",
            ),
            (
                ".f_meta.json",
                r#"{"danbooru": {"rating": "e", "tag_string": "solo"}, "filename": "f.png"}"#,
            ),
            ("g.json", r#"[{"rating": "e", "tags": "solo"}]"#),
            ("h.json", r#"{"rating": "e"}"#),
            ("h.txt", "solo"),
        ] {
            write(sidecar, text);
        }
        for name in [
            "a", "b", "c", "d", "sub/e", "f", "g", "h", "none", "broken", "two", "list",
        ] {
            write(&format!("{name}.png"), "");
        }
        write("broken.json", "{");
        write("two.json", "[{\"id\": 1}, {\"id\": 2}]");
        write("list.json", "[\"solo\", \"Long Hair\"]");
        let read = |entries: &[Entry], all: &[Entry], name: &str| {
            let entry = entries.iter().find(|entry| entry.source == name).unwrap();
            Sidecars::new(all).read(entry, None)
        };
        let all = walk(&[folder.path().to_owned()], &[]).unwrap();
        for name in ["a", "b", "c", "d", "sub/e", "f", "g", "h"] {
            let Sidecar::Post(post, _) = read(&all, &all, &format!("{name}.png")) else {
                panic!("{name}")
            };
            assert_eq!(post.rating, Some(Rating::Explicit), "{name}");
            assert!(post.tags.as_ref().unwrap().contains("solo"), "{name}");
        }
        assert_eq!(read(&all, &all, "none.png"), Sidecar::Missing);
        for name in ["broken", "two"] {
            let broken = read(&all, &all, &format!("{name}.png"));
            assert!(matches!(broken, Sidecar::Broken(..)), "{name}: {broken:?}");
        }
        let Sidecar::Post(post, shown) = read(&all, &all, "list.png") else {
            panic!()
        };
        assert!(post.tags.unwrap().contains("long_hair"));
        assert_eq!(shown, "list.json: [\"solo\", \"Long Hair\"]");
        // The image is the only input; its sidecar is found on disk.
        let alone = walk(&[folder.path().join("a.png")], &[]).unwrap();
        assert!(matches!(read(&alone, &alone, "a.png"), Sidecar::Post(..)));
    }
}
