//! Fuzz test of damaged metadata: it is read as posts, or refused with an error.

use super::post::{Field, Post};
use super::read::read_bytes;
use test_support::fuzz::fuzz;

#[test]
fn damaged_metadata_are_refused_or_read() {
    let post = |id: u32| {
        format!(
            r#"{{"id": {id}, "md5": "{id:032x}", "rating": "g", "score": {{"total": {id}}}, "tags": {{"general": ["1girl", "&gt;_&lt;"]}}, "tag_string": "a b", "file_ext": "png"}}"#
        )
    };
    let posts: Vec<String> = (1..8).map(post).collect();
    let seeds: Vec<Vec<u8>> = [
        posts.join("\n"),
        format!("[{}]", posts.join(",\n")),
        format!("{{\"posts\": [{}]}}", posts.join(", ")),
    ]
    .map(String::into_bytes)
    .into();
    let tokens: [&[u8]; 9] = [
        b"\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"null",
        b"1e999",
        b"[[[[[[[[[[[[",
    ];
    fuzz(
        "metadata",
        &seeds,
        &tokens,
        |_| usize::MAX,
        |bytes| {
            let mut n_posts = 0;
            let read = read_bytes(bytes, &mut |object| {
                n_posts += usize::from(Post::from_object(object).has(Field::Rating));
                Ok(())
            });
            read.is_ok() && n_posts > 0
        },
    );
}
