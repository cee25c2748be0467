//! Fuzz tests with damaged logs and JSON documents.

use files::{JsonLines, cut_zip_length, decode_text, parse_json};
use test_support::fuzz::{Counting, fuzz};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TOKENS: [&[u8]; 9] = [
    b"\n",
    b"\r\n",
    b"\0",
    b"{",
    b"}",
    b"[[[[[[[[[[[[[[[[",
    b"\"",
    b"NaN",
    b"\\u0000",
];

/// Largest memory in bytes for a text of this length. Objects, keys and numbers of JSON take about ten times their
/// text.
fn most_memory(length: usize) -> usize {
    100 * length + (1 << 20)
}

#[test]
fn damaged_logs_are_read_as_far_as_they_are_whole() {
    let mut log = String::new();
    for tick in 0..12 {
        log += &format!(
            "{{\"results\": {{\"fid50k_full\": {}}}, \"metric\": \"fid50k_full\", \"timestamp\": {tick}e9, \"n\": [NaN, -Infinity]}}\n",
            f64::from(tick) * 1.37
        );
    }
    let mark = [0xff, 0xfe].into_iter();
    let wide = mark.chain(log.encode_utf16().flat_map(u16::to_le_bytes));
    let seeds = [wide.collect(), log.into_bytes()];
    fuzz("JSON lines", &seeds, &TOKENS, most_memory, |bytes| {
        let lines = JsonLines::parse(bytes);
        assert!(lines.damaged.len() <= lines.n_lines);
        assert_eq!(lines.damage().is_none(), lines.damaged.is_empty());
        cut_zip_length(bytes);
        lines.damaged.is_empty()
    });
}

#[test]
fn damaged_documents_are_refused() {
    let document = br#"{"labels": [["00000/img00000000.png", 3], ["a.png", [0.5, -1e9, NaN]]], "x": {"y": [1, "\ud83d\ude00"]}}"#;
    fuzz(
        "JSON",
        &[document.to_vec()],
        &TOKENS,
        most_memory,
        |bytes| parse_json(&decode_text(bytes)).is_ok(),
    );
}
