//! Reads logs with a JSON object on each line, and tolerates what crashes, editors and Python leave in them.

use crate::text::decode_text;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use crate::escapes::without_escapes;
use crate::inputs::read_input;

/// The objects of a log, and the numbers of its damaged lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonLines {
    /// Each object with the number of its line (from 1), in the order of the file.
    pub records: Vec<(usize, Map<String, Value>)>,
    /// Numbers of the lines (from 1, ascending) that hold something else than whole objects. An object that is found on
    /// a damaged line is in `records` too.
    pub damaged: Vec<usize>,
    /// Number of lines that are not blank. Lines of zero bytes, which a power cut leaves where nothing was written yet,
    /// are counted.
    pub n_lines: usize,
    /// Number of lines of zero bytes alone. Their line numbers are in `damaged` too.
    pub n_unwritten: usize,
    /// Whether the last line has no line end and is damaged: cut short, or being written.
    pub is_cut: bool,
}

/// Largest log in bytes: 25,000 ticks of a training run have about 100 MB. In memory an object takes up to ten times
/// its text.
const MAX_BYTES: u64 = 512 << 20;

/// Largest number of bytes of a line (`MAX_LINE`) and of values on a line (`MAX_VALUES`); a line with more is damaged.
/// A tick of a training run has 5 kB with 300 values.
const MAX_LINE: usize = 4 << 20;
const MAX_VALUES: usize = 100_000;

impl JsonLines {
    /// Reads a file of at most 512 MiB.
    ///
    /// # Errors
    /// When the file cannot be read or is larger.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&read_input(path, MAX_BYTES)?))
    }

    /// Reads the lines of a file from memory. Lines with zero bytes, with more than 4 MiB or with more than 100,000
    /// values are damaged. `NaN`, `Infinity` and `-Infinity`, which Python writes, become null. Escape sequences of
    /// terminals are left out.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = decode_text(bytes);
        let text = without_escapes(&text);
        let mut found = Self::default();
        let mut last = 0;
        for (number, line) in text_lines(&text) {
            found.n_lines += 1;
            last = number;
            let before = found.records.len();
            let record = line.trim_matches(is_blank_or_zero);
            found.n_unwritten += usize::from(record.is_empty());
            let is_whole = is_possible(record)
                && objects(record, &mut |object| found.records.push((number, object)));
            if !is_whole || line.contains('\0') || found.records.len() == before {
                found.damaged.push(number);
            }
        }
        found.is_cut = found.damaged.last() == Some(&last) && !text.ends_with(['\n', '\r']);
        found
    }

    /// Adds a line number (from 1) to `damaged`, for a caller that misses something in the record of that line.
    pub fn reject(&mut self, number: usize) {
        if let Err(at) = self.damaged.binary_search(&number) {
            self.damaged.insert(at, number);
        }
    }

    /// Describes the damage: the number of damaged lines, and the first of them. `None` for a log without damage.
    pub fn damage(&self) -> Option<String> {
        let first = self.damaged.first()?;
        let last_is_cut = match self.is_cut {
            true => ", and the last one is cut short",
            false => "",
        };
        let (n, all) = (self.damaged.len(), self.n_lines);
        Some(match (n, self.is_cut) {
            (1, true) => format!("its last line ({first}) is cut short and is left out"),
            _ => format!(
                "{n} of {all} lines are damaged and are left out (line {first} is the first{last_is_cut})"
            ),
        })
    }
}

/// Parses a JSON document. `NaN`, `Infinity` and `-Infinity`, which Python writes, become null.
///
/// # Errors
/// When the text is not JSON apart from these.
pub fn parse_json(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&without_nan(text))
}

fn is_blank(c: char) -> bool {
    c == '\u{feff}' || c.is_whitespace()
}

fn is_blank_or_zero(c: char) -> bool {
    c == '\0' || is_blank(c)
}

/// The lines of a text that are not blank: number of the line (from 1), and the line without blanks around it. A line
/// ends with LF, CRLF or CR alone. Zero bytes are not blank: a power cut leaves them in place of a line.
pub fn text_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.split('\n').flat_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\r')
    });
    lines
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim_matches(is_blank)))
        .filter(|(_, line)| !line.is_empty())
}

/// Whether a line has at most `MAX_LINE` bytes and about `MAX_VALUES` values, as all records do.
fn is_possible(line: &str) -> bool {
    let starts_value = |byte: &u8| matches!(byte, b',' | b'[' | b'{');
    line.len() <= MAX_LINE
        && line.as_bytes().iter().filter(|b| starts_value(b)).count() <= MAX_VALUES
}

/// Passes the objects of a line to `give`: one, or several where a line end was lost. Returns true if the line holds
/// whole objects only.
fn objects(line: &str, give: &mut dyn FnMut(Map<String, Value>)) -> bool {
    let plain = without_nan(line);
    let mut objects = serde_json::Deserializer::from_str(&plain).into_iter::<Map<String, Value>>();
    let mut end = 0;
    let mut failed = false;
    while let Some(object) = objects.next() {
        match object {
            Ok(object) => give(object),
            Err(_) => {
                failed = true;
                break;
            }
        }
        end = objects.byte_offset();
    }
    if !failed {
        return true;
    }
    // The line may have been cut off and continued by the next write: find the object after the cut.
    let rest = &plain[end..];
    let starts = rest.match_indices("{\"").map(|(at, _)| at);
    let whole = starts
        .take(100)
        .find_map(|at| serde_json::from_str::<Map<String, Value>>(&rest[at..]).ok());
    if let Some(object) = whole {
        give(object);
    }
    false
}

/// The line with Python's `NaN` and `Infinity`, outside of strings, replaced by null.
fn without_nan(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    let (mut in_string, mut escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        if !in_string {
            let literal = ["NaN", "-NaN", "Infinity", "-Infinity"]
                .into_iter()
                .find(|literal| rest.starts_with(literal));
            if let Some(literal) = literal {
                plain.push_str("null");
                rest = &rest[literal.len()..];
                continue;
            }
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(bytes: &[u8]) -> Vec<Value> {
        let lines = JsonLines::parse(bytes);
        lines.records.into_iter().map(|(_, v)| v.into()).collect()
    }

    #[test]
    fn whole_lines_are_read_whatever_stands_around_them() {
        let wide: Vec<u8> = [0xfeff]
            .into_iter()
            .chain("{\"a\":1}\r\n{\"a\":2}\r\n".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            &b"{\"a\":1}\n{\"a\":2}\n"[..],
            b"\xef\xbb\xbf{\"a\":1}\r\n\r\n{\"a\":2}",
            b"{\"a\":1}\r{\"a\":2}\r",
            b"\x1b[32m{\"a\":1}\x1b[0m\r\n{\"a\":2}\x1b[K\n",
            b"{\"a\":1}{\"a\":2}\n",
            &wide,
        ] {
            let lines = JsonLines::parse(bytes);
            assert_eq!(lines.damage(), None, "{}", bytes.escape_ascii());
            assert_eq!(values(bytes), [json!({"a": 1}), json!({"a": 2})]);
        }
        assert_eq!(values(b""), Vec::<Value>::new());
    }

    #[test]
    fn literals_of_python_become_null_outside_of_strings() {
        let line = br#"{"a": NaN, "b": [-Infinity, Infinity, 1.5], "NaN": "NaN \" Infinity"}"#;
        let wanted = json!({"a": null, "b": [null, null, 1.5], "NaN": "NaN \" Infinity"});
        assert_eq!(values(line), [wanted]);
    }

    #[test]
    fn damaged_lines_are_counted_and_the_first_is_named() {
        let bytes = b"{\"a\":1}\n{\"a\":\n[1]\n{\"a\":3}\n{\"a\"";
        let lines = JsonLines::parse(bytes);
        assert_eq!(lines.records.len(), 2);
        assert_eq!((&lines.damaged[..], lines.is_cut), (&[2, 3, 5][..], true));
        let text = lines.damage().unwrap();
        assert!(
            text.starts_with("3 of 5 lines") && text.contains("line 2 is the first"),
            "{text}"
        );
        let cut = JsonLines::parse(b"{\"a\":1}\n{\"a\"").damage().unwrap();
        assert!(cut.contains("last line (2) is cut short"), "{cut}");
        // Bytes that are no text.
        assert_eq!(JsonLines::parse(b"\xff\xfe\n{\"a\": 1}\n").records.len(), 0);
        assert_eq!(JsonLines::parse(b"\xc3\x28\n{\"a\": 1}\n").damaged, [1]);
    }

    #[test]
    fn zeros_of_a_power_cut_are_damage_wherever_they_stand() {
        for (bytes, records, damaged, n_lines, n_unwritten) in [
            (&b"{\"a\":1}\n\0\0\0\0\n{\"a\":2}\n"[..], 2, &[2][..], 3, 1),
            (b"{\"a\":1}\n\0\0\0\0{\"a\":2}\n", 2, &[2], 2, 0),
            (b"{\"a\":1}\n{\"a\":2}\0\0\0\0\n", 2, &[2], 2, 0),
            (b"{\"a\":1}\0\0{\"a\":2}\n{\"a\":3}\n", 3, &[1], 2, 0),
            (b"{\"a\":1}\r\n \0\0 \r\n\r\n", 1, &[2], 2, 1),
            (b"{\"a\":1}\n\0\0\0", 1, &[2], 2, 1),
            (b"\0\0\0", 0, &[1], 1, 1),
        ] {
            let lines = JsonLines::parse(bytes);
            let shown = bytes.escape_ascii();
            assert_eq!(lines.records.len(), records, "{shown}");
            assert_eq!(lines.damaged, damaged, "{shown}");
            assert_eq!(
                (lines.n_lines, lines.n_unwritten),
                (n_lines, n_unwritten),
                "{shown}"
            );
            assert_eq!(lines.is_cut, !bytes.ends_with(b"\n"), "{shown}");
        }
        // The file of a run after a power cut: a cut line, two objects on one line, zeros.
        let bytes = b"{\"a\":1}\r\n{\"a\":2}\r\n{\"a\": {\"nu\n{\"a\":3}{\"a\":4}\n\0\0\0\n{\"a\":5}\n{\"a\":6}\n\n{\"a\":7}\n{\"a\":8}\n";
        let lines = JsonLines::parse(bytes);
        assert_eq!(lines.records.len(), 8);
        let text = lines.damage().unwrap();
        assert!(
            text.starts_with("2 of 9 lines") && text.contains("line 3 is the first"),
            "{text}"
        );
    }

    #[test]
    fn lines_that_no_record_can_have_are_damage() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_LINE));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_VALUES));
        let text = format!("{{\"a\":1}}\n{long}\n{wide}\n{{\"a\":2}}\n");
        let lines = JsonLines::parse(text.as_bytes());
        assert_eq!((lines.records.len(), &lines.damaged[..]), (2, &[2, 3][..]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stats.jsonl");
        // Holes take no space on the disk.
        std::fs::File::create(&path)
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        let error = JsonLines::read(&path).unwrap_err().to_string();
        assert!(error.contains("at most 512 MiB"), "{error}");
    }

    #[test]
    fn the_record_behind_a_cut_is_found() {
        let lines = JsonLines::parse(b"{\"a\": {\"num\": 1, \"me{\"a\": 2}\n");
        assert_eq!(lines.records[0].1["a"], 2);
        assert_eq!(lines.damaged, [1]);
        // A block with the line end was never written.
        let bytes = b"{\"a\":1}\0\0\0{\"a\":2}\n";
        assert_eq!(values(bytes), [json!({"a": 1}), json!({"a": 2})]);
    }
}
