//! The summary says how to find smaller faces when many images have none.

mod common;

use common::prep;
use image::{Rgb, RgbImage};

#[test]
fn a_dump_without_faces_is_told_how_to_look_closer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dump")).unwrap();
    let stripes = RgbImage::from_fn(400, 300, |x, y| Rgb([x as u8, (x * 3 + y) as u8, y as u8]));
    stripes.save(folder.path().join("dump/a.png")).unwrap();
    let words = |args: &str| {
        let output = prep(folder.path(), &format!("run dump --out a.zip {args}"));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = words("");
    assert!(text.contains("1 no_face"), "{text}");
    assert!(text.contains("--longest-side 2048 finds more"), "{text}");
    for closer in ["--longest-side 2048", "--tiles"] {
        let text = words(closer);
        assert!(text.contains("1 no_face"), "{text}");
        assert!(!text.contains("finds more"), "{text}");
    }
}
