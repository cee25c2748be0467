//! Reads the JSON objects of a metadata file one by one, so that millions of posts need little memory.
//!
//! Accepted forms: one object a line (a comma may follow it), arrays, objects over several lines, an object that wraps
//! the list (`{"posts": [...]}`) or maps ids to posts; uncompressed, gzip or Zstandard, recognized by content; UTF-8
//! with or without a byte-order mark, UTF-16 with one.

use super::bounded::{Allowance, Bounded, MAX_POST_BYTES, MAX_POST_VALUES, Unpacked};

use super::zstd::ZstdFrames;
use super::{MetadataError, shorten};
use files::{ByteOrder, FileKind, Utf16Reader};
use flate2::bufread::MultiGzDecoder;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// Receives each object; an error is a message about the object and ends the reading.
type Sink<'a> = dyn FnMut(&Map<String, Value>) -> Result<(), String> + 'a;

/// Keys under which web services wrap their lists of posts.
const WRAPPERS: [&str; 6] = ["posts", "post", "data", "images", "results", "illusts"];

/// Passes every object of a file to `sink`. Returns the beginning of the file's first line.
///
/// # Errors
/// [`MetadataError`] naming the file and, for a part that is not a post, the line or element.
pub fn read_file(path: &Path, sink: &mut Sink<'_>) -> Result<String, MetadataError> {
    let failed = |source| MetadataError::Read {
        path: path.to_owned(),
        source,
    };
    let file = files::open_input(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(MetadataError::Kind {
            path: path.to_owned(),
            kind: "a folder: name the file with the posts".to_owned(),
        });
    }
    let mut file = BufReader::with_capacity(1 << 18, file);
    let head = file.fill_buf().map_err(failed)?;
    if let Some(kind) = foreign(head) {
        return Err(MetadataError::Kind {
            path: path.to_owned(),
            kind: kind.to_owned(),
        });
    }
    let is_gzip = FileKind::of_head(head) == Some(FileKind::Gzip);
    let is_zstd = ZstdFrames::<&[u8]>::is_start(head);
    let unpacked = |decoder: Box<dyn Read>| -> Box<dyn BufRead> {
        Box::new(BufReader::with_capacity(
            1 << 18,
            Unpacked::new(decoder, size),
        ))
    };
    let text: Box<dyn BufRead> = if is_gzip {
        unpacked(Box::new(MultiGzDecoder::new(file)))
    } else if is_zstd {
        unpacked(Box::new(ZstdFrames::new(file)))
    } else {
        Box::new(file)
    };
    read_text(path, text, sink).map_err(|error| match error {
        MetadataError::Read { path, source } if is_gzip || is_zstd => MetadataError::Read {
            path,
            source: io::Error::new(
                source.kind(),
                format!("the compressed file is cut short or damaged ({source})"),
            ),
        },
        other => other,
    })
}

/// Passes every object of a text in memory to `sink`, as [`read_file`] does.
///
/// # Errors
/// A message naming the line or element.
pub fn read_bytes(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), String> {
    read_text(Path::new(""), Box::new(Cursor::new(bytes.to_vec())), sink)
        .map(drop)
        .map_err(|error| match error {
            MetadataError::Post { place, message, .. } => format!("{place}: {message}"),
            other => other.to_string(),
        })
}

/// Describes a file of a known kind that cannot be read as metadata, and says what to do about it; `None` for other
/// files.
fn foreign(head: &[u8]) -> Option<&'static str> {
    Some(match FileKind::of_head(head)? {
        FileKind::Zip => "a zip archive: unpack it first",
        FileKind::Tar => "a tar archive: unpack it first",
        FileKind::Xz => "compressed with xz: unpack it first (xz -dk)",
        FileKind::Bzip2 => "compressed with bzip2: unpack it first (bzip2 -dk)",
        FileKind::SevenZip => "a 7z archive: unpack it first",
        FileKind::Sqlite => "an SQLite database: export its posts as JSON lines",
        FileKind::Parquet => "a Parquet table: export it as JSON lines",
        _ => return None,
    })
}

fn read_text(
    path: &Path,
    mut text: Box<dyn BufRead + '_>,
    sink: &mut Sink<'_>,
) -> Result<String, MetadataError> {
    let failed = |source| MetadataError::Read {
        path: path.to_owned(),
        source,
    };
    // Read the whole beginning, since a decompressor may return it in small pieces.
    let mut head = Vec::new();
    text.by_ref()
        .take(4096)
        .read_to_end(&mut head)
        .map_err(failed)?;
    if let Some(order) = ByteOrder::of_mark(&head) {
        let rest = Cursor::new(head[2..].to_vec()).chain(text);
        let decoded = BufReader::new(Utf16Reader::new(rest, order));
        return read_text(path, Box::new(decoded), sink);
    }
    if head.starts_with(&[0xef, 0xbb, 0xbf]) {
        head.drain(..3);
    }
    // A tar inside a compressed file.
    if FileKind::of_head(&head) == Some(FileKind::Tar) {
        return Err(MetadataError::Kind {
            path: path.to_owned(),
            kind: "a tar archive: unpack it first".to_owned(),
        });
    }
    let first_line = shorten(&String::from_utf8_lossy(&head));
    let is_array = head.trim_ascii_start().starts_with(b"[");
    let text = BufReader::new(Cursor::new(head).chain(text));
    let result = if is_array {
        read_stream(text, sink)
    } else {
        read_lines(text, sink)
    };
    result
        .map(|()| first_line.clone())
        .map_err(|error| match error {
            TextError::Io(source) => failed(source),
            TextError::Post {
                place,
                message,
                shown,
            } => MetadataError::Post {
                path: path.to_owned(),
                place,
                message,
                shown: shown.unwrap_or(first_line),
            },
        })
}

enum TextError {
    Io(io::Error),
    Post {
        place: String,
        message: String,
        shown: Option<String>,
    },
}

fn read_lines(mut text: impl BufRead, sink: &mut Sink<'_>) -> Result<(), TextError> {
    let mut line = Vec::new();
    let mut number = 0;
    let mut is_first = true;
    loop {
        number += 1;
        if !files::read_line(&mut text, &mut line, MAX_POST_BYTES).map_err(|error| {
            match error.kind() {
                // `read_line` reports a line that is too long in this way; after an error of the reader, `line` is
                // shorter.
                io::ErrorKind::InvalidData if line.len() as u64 > MAX_POST_BYTES => {
                    TextError::Post {
                        place: format!("line {number}"),
                        message: too_long(),
                        shown: Some(shorten(&String::from_utf8_lossy(&line[..1000]))),
                    }
                }
                _ => TextError::Io(error),
            }
        })? {
            return Ok(());
        }
        let trimmed = line.trim_ascii();
        let trimmed = trimmed.strip_suffix(b",").unwrap_or(trimmed);
        if trimmed.is_empty() {
            continue;
        }
        if trimmed.iter().filter(|b| **b == b',').count() as u64 > MAX_POST_VALUES {
            return Err(TextError::Post {
                place: format!("line {number}"),
                message: too_long(),
                shown: Some(shorten(&String::from_utf8_lossy(&trimmed[..1000]))),
            });
        }
        match serde_json::from_slice::<Value>(trimmed) {
            Ok(value) => objects(&value, sink).map_err(|message| TextError::Post {
                place: format!("line {number}"),
                message,
                shown: Some(shorten(&String::from_utf8_lossy(trimmed))),
            })?,
            // The first object continues on the next line, or another one follows it on the same line.
            Err(error) if is_first && (error.is_eof() || is_trailing(&error)) => {
                return read_stream(BufReader::new(Cursor::new(line).chain(text)), sink);
            }
            Err(error) => {
                return Err(TextError::Post {
                    place: format!("line {number}"),
                    message: format!("not JSON ({error})"),
                    shown: Some(shorten(&String::from_utf8_lossy(trimmed))),
                });
            }
        }
        is_first = false;
    }
}

fn too_long() -> String {
    format!(
        "longer than {} MiB or {} million values, which no post is (a list of posts is an array, or a post a line)",
        MAX_POST_BYTES >> 20,
        MAX_POST_VALUES / 1_000_000
    )
}

/// Whether the error means that a complete value was read and more text follows it. Only the message of serde_json says
/// so.
fn is_trailing(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("trailing characters")
}

/// Reads JSON values one after the other, and arrays element by element.
fn read_stream(text: impl Read, sink: &mut Sink<'_>) -> Result<(), TextError> {
    let (text, allowance) = Bounded::new(text);
    let mut deserializer = serde_json::Deserializer::from_reader(text);
    let mut state = State {
        count: 0,
        allowance,
        message: None,
        sink,
    };
    // `end` succeeds when nothing but white space is left.
    while deserializer.end().is_err() {
        if let Err(error) = Elements(&mut state).deserialize(&mut deserializer) {
            // `count` does not include an element that is not JSON.
            let number = state.count + usize::from(state.message.is_none());
            let place = format!("element {number}");
            return Err(match (state.message, error.is_io()) {
                (Some(message), _) => TextError::Post {
                    place,
                    message,
                    shown: None,
                },
                (None, true) if state.allowance.is_spent() => TextError::Post {
                    place,
                    message: too_long(),
                    shown: None,
                },
                (None, true) => TextError::Io(error.into()),
                (None, false) => TextError::Post {
                    place,
                    message: format!("not JSON ({error})"),
                    shown: None,
                },
            });
        }
    }
    Ok(())
}

struct State<'a, 'b> {
    count: usize,
    allowance: Allowance,
    message: Option<String>,
    sink: &'a mut Sink<'b>,
}

/// Passes the elements of an array, or a single object, to the sink.
struct Elements<'s, 'a, 'b>(&'s mut State<'a, 'b>);

impl Elements<'_, '_, '_> {
    fn take<E: serde::de::Error>(&mut self, value: &Value) -> Result<(), E> {
        self.0.count += 1;
        self.0.allowance.renew();
        objects(value, self.0.sink).map_err(|message| {
            self.0.message = Some(message);
            E::custom("no post")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            self.take::<A::Error>(&value)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let value = <Value as serde::Deserialize>::deserialize(MapAccessDeserializer::new(map))
            .map_err(A::Error::custom)?;
        self.take(&value)
    }
}

/// Passes the posts in one value to `sink`. The value is a post itself, wraps a list of posts, or maps ids or MD5s to
/// posts.
fn objects(value: &Value, sink: &mut Sink<'_>) -> Result<(), String> {
    match value {
        Value::Array(list) => {
            // In lists such as `[2, "https://...", {...}]`, downloaders put numbers and URLs beside the post.
            if !list.is_empty() && !list.iter().any(|item| item.is_object() || item.is_array()) {
                return Err("a list without an object".to_owned());
            }
            list.iter()
                .filter(|item| item.is_object() || item.is_array())
                .try_for_each(|item| objects(item, sink))
        }
        Value::Object(object) => {
            let is_post = [
                "id",
                "md5",
                "hash",
                "post_id",
                "file_url",
                "file",
                "rating",
                "tags",
                "tag_string",
            ]
            .iter()
            .any(|key| object.contains_key(*key));
            if is_post {
                return sink(object);
            }
            if let Some(list) = WRAPPERS
                .iter()
                .filter_map(|key| object.get(*key))
                .find(|inner| inner.is_array() || inner.is_object())
            {
                return objects(list, sink);
            }
            if !object.is_empty() && object.values().all(Value::is_object) {
                return object.iter().try_for_each(|(key, inner)| {
                    let mut inner = inner.as_object().cloned().unwrap_or_default();
                    let name = if super::post::parse_md5(key).is_some() {
                        "md5"
                    } else {
                        "id"
                    };
                    inner.entry(name).or_insert_with(|| key.clone().into());
                    sink(&inner)
                });
            }
            sink(object)
        }
        _ => Err("neither an object nor a list of objects".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Ids of the objects in a file, or the error.
    fn ids(bytes: &[u8]) -> Result<Vec<u64>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut ids = Vec::new();
        let mut sink = |object: &Map<String, Value>| {
            ids.push(object.get("id").and_then(Value::as_u64).ok_or("no id")?);
            Ok(())
        };
        read_file(file.path(), &mut sink).map_err(|e| e.to_string())?;
        Ok(ids)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn utf16(text: &str, is_little: bool) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units
            .flat_map(|unit: u16| {
                if is_little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn values_that_no_post_has_are_refused_within_bounds() {
        let wide = "1,".repeat(MAX_POST_VALUES as usize + 1);
        for (text, place) in [
            (
                format!("{{\"id\": 1}}\n{{\"id\": 2, \"tags\": [{wide}1]}}\n"),
                "line 2",
            ),
            (
                format!("[{{\"id\": 1}}, {{\"id\": 2, \"tags\": [{wide}1]}}]"),
                "element 2",
            ),
        ] {
            let error = ids(text.as_bytes()).unwrap_err();
            assert!(
                error.contains(place) && error.contains("no post is"),
                "{error}"
            );
        }
        // An array of many small elements is within the limits.
        let many: Vec<String> = (0..200_000).map(|id| format!("{{\"id\": {id}}}")).collect();
        assert_eq!(
            ids(format!("[{}]", many.join(",")).as_bytes())
                .unwrap()
                .len(),
            200_000
        );
    }

    #[test]
    fn a_line_of_a_gigabyte_and_files_that_expand_without_end_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posts.jsonl");
        // A sparse file takes no space on the disk.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        let error = read_file(&path, &mut |_| Ok(())).unwrap_err().to_string();
        assert!(
            error.contains("line 1") && error.contains("no post is"),
            "{error}"
        );
        // A line of 16 MiB of blanks.
        let mut lines = vec![b' '; 16 << 20];
        lines.push(b'\n');
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&lines).unwrap();
        // 130 of these lines, about 2 GiB: roughly 1000 times the size of the compressed file.
        let error = ids(&encoder.finish().unwrap().repeat(130)).unwrap_err();
        assert!(error.contains("expands to more than"), "{error}");
    }

    #[test]
    fn every_form_gives_the_objects() {
        let lines = "{\"id\": 1}\n{\"id\": 2}\n{\"id\": 3}\n";
        let pretty = "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n{\"id\": 3}";
        for (name, bytes) in [
            ("lines", lines.as_bytes().to_vec()),
            ("no newline at the end", lines.trim_end().into()),
            ("CRLF, empty lines", lines.replace('\n', "\r\n\r\n").into()),
            ("commas", lines.replace("}\n", "},\n").into()),
            ("array", b"[{\"id\": 1}, {\"id\": 2}, {\"id\": 3}]".to_vec()),
            ("array over lines", b" [\n{\"id\": 1},\n{\"id\": 2},\n{\"id\": 3}\n]\n".to_vec()),
            ("an array a page", b"[{\"id\": 1}]\n[{\"id\": 2}, {\"id\": 3}]\n".to_vec()),
            ("pretty objects", pretty.into()),
            ("one line", b"{\"id\": 1}{\"id\": 2} {\"id\": 3}".to_vec()),
            ("CR", lines.replace('\n', "\r").into()),
            ("wrapped", b"{\"posts\": [{\"id\": 1}, {\"id\": 2}, {\"id\": 3}]}".to_vec()),
            (
                "wrapped with attributes",
                b"{\"@attributes\": {\"count\": 3}, \"post\": [{\"id\": 1}, {\"id\": 2}, {\"id\": 3}]}".to_vec(),
            ),
            ("tuples", b"[[2, {\"id\": 1}], [3, \"u\", {\"id\": 2}], [3, \"u\", {\"id\": 3}]]".to_vec()),
            ("byte-order mark", [b"\xef\xbb\xbf", lines.as_bytes()].concat()),
            ("byte-order mark, array", b"\xef\xbb\xbf[{\"id\":1},{\"id\":2},{\"id\":3}]".to_vec()),
            ("UTF-16, little", utf16(lines, true)),
            ("UTF-16, big", utf16(lines, false)),
            ("gzip", gzip(lines.as_bytes())),
            ("gzip members", [gzip(&lines.as_bytes()[..15]), gzip(&lines.as_bytes()[15..])].concat()),
            ("gzip, mark, array", gzip(b"\xef\xbb\xbf[{\"id\":1},{\"id\":2},{\"id\":3}]")),
            ("zstd", zstd(lines.as_bytes())),
            ("zstd frames", [zstd(&lines.as_bytes()[..15]), zstd(&lines.as_bytes()[15..])].concat()),
            (
                "zstd, skippable frame",
                [b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(lines.as_bytes())].concat(),
            ),
        ] {
            assert_eq!(ids(&bytes), Ok(vec![1, 2, 3]), "{name}");
        }
        let keyed = r#"{"1": {"rating": "g"}, "2": {"rating": "e", "id": 2}}"#;
        let mut found = Vec::new();
        read_bytes(keyed.as_bytes(), &mut |object| {
            found.push(super::super::Post::from_object(object).id.unwrap());
            Ok(())
        })
        .unwrap();
        assert_eq!(found, ["1", "2"]);
    }

    #[test]
    fn large_files_are_read_whole() {
        let lines: String = (1..50_000)
            .map(|id| format!("{{\"id\": {id}}}\n"))
            .collect();
        let expected: Vec<u64> = (1..50_000).collect();
        let array = format!("[{}]", lines.trim_end().replace('\n', ","));
        for bytes in [
            gzip(lines.as_bytes()),
            zstd(lines.as_bytes()),
            zstd(array.as_bytes()),
        ] {
            assert_eq!(ids(&bytes).as_deref(), Ok(expected.as_slice()));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 6].to_vec();
        let lines: String = (1..3000).map(|id| format!("{{\"id\": {id}}}\n")).collect();
        for (bytes, parts) in [
            (
                b"{\"id\": 1}\n{\"id\": 2\n".to_vec(),
                vec!["line 2", "not JSON"],
            ),
            (
                b"{\"id\": 1}\n\n{\"x\": 2}\n".to_vec(),
                vec!["line 3", "no id", "{\"x\": 2}"],
            ),
            (
                b"[{\"id\": 1}, {\"x\": 2}]".to_vec(),
                vec!["element 2", "no id"],
            ),
            (b"[{\"id\": 1}, {\"id\": 2}".to_vec(), vec!["not JSON"]),
            (
                b"[{\"id\": 1}, {\"id\" 2}]".to_vec(),
                vec!["element 2", "not JSON"],
            ),
            (b"[1, 2]".to_vec(), vec!["element 1", "neither"]),
            (
                b"id,rating\n1,g\n".to_vec(),
                vec!["line 1", "id,rating", "known forms", "tag_string_general"],
            ),
            (
                b"<posts count='1'>".to_vec(),
                vec!["line 1", "<posts count='1'>"],
            ),
            (b"PK\x03\x04aaaa".to_vec(), vec!["zip archive", "unpack"]),
            (b"\xfd7zXZ\0aaaa".to_vec(), vec!["xz"]),
            (b"SQLite format 3\0".to_vec(), vec!["SQLite"]),
            (
                cut(gzip(lines.as_bytes())),
                vec!["cannot read", "cut short"],
            ),
            (
                cut(zstd(lines.as_bytes())),
                vec!["cannot read", "cut short"],
            ),
        ] {
            let error = ids(&bytes).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let error = read_file(folder.path(), &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("a folder"), "{error}");
    }
}
