//! Tests that decoders read back the videos.

use std::io::BufReader;
use std::path::Path;

use image::AnimationDecoder;
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use report::{Video, VideoError, VideoOptions};

const OPTIONS: VideoOptions = VideoOptions {
    width: 6,
    height: 5,
    fps: 25,
    n_frames: 7,
};

/// Frames of one color each, with one row of another color.
fn frames() -> Vec<Vec<u8>> {
    (0..OPTIONS.n_frames as u8)
        .map(|i| {
            let row = |y: u8| match y == i % 5 {
                true => [255, 255 - i * 30, 0].repeat(6),
                false => [i * 30, 0, 128].repeat(6),
            };
            (0..5).flat_map(row).collect()
        })
        .collect()
}

fn write(path: &Path) -> Result<(), VideoError> {
    let frames = frames();
    let mut video = Video::create(path, &OPTIONS)?;
    video.push(&frames[..3])?;
    video.push(&frames[3..])?;
    assert!(!path.exists());
    video.finish()
}

fn check<'a>(decoder: impl AnimationDecoder<'a>) {
    let read = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(read.len(), 7);
    for (frame, expected) in read.iter().zip(frames()) {
        assert_eq!(frame.delay().numer_denom_ms(), (40, 1));
        let rgb: Vec<u8> = frame
            .buffer()
            .pixels()
            .flat_map(|p| [p.0[0], p.0[1], p.0[2]])
            .collect();
        assert_eq!(rgb, expected);
    }
}

#[test]
fn animated_images_hold_every_frame() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = dir.path().join(name);
        write(&path).unwrap();
        BufReader::new(std::fs::File::open(path).unwrap())
    };
    check(WebPDecoder::new(write("a.webp")).unwrap());
    // Two colors in a frame fit into a palette exactly.
    check(GifDecoder::new(write("a.gif")).unwrap());
    check(PngDecoder::new(write("a.png")).unwrap().apng().unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn an_unfinished_film_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.webp", "a.gif", "a.png"] {
        let mut video = Video::create(&dir.path().join(name), &OPTIONS).unwrap();
        video.push(&frames()[..2]).unwrap();
        let error = video.finish().unwrap_err().to_string();
        assert!(error.contains("2 of 7"), "{error}");
        let mut video = Video::create(&dir.path().join(name), &OPTIONS).unwrap();
        assert!(video.push(&[vec![0; 5]]).is_err());
        video.push(&frames()).unwrap();
        assert!(video.push(&frames()[..1]).is_err());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn every_film_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.webp", "a.gif", "a.png"] {
        let path = dir.path().join(name);
        write(&path).unwrap();
        assert!(files::mark::is_marked(&path), "{name}");
    }
}

/// Uses a script in place of ffmpeg. This is one test, since the environment variable belongs to the whole process.
#[cfg(unix)]
#[test]
fn ffmpeg_gets_the_frames_and_its_words_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ffmpeg");
    let play = |script: &str| {
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        // SAFETY: no other test of this program reads or sets the environment.
        unsafe { std::env::set_var("KAOGAN_FFMPEG", &program) };
        write(&dir.path().join("a.mp4"))
    };
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };

    let error = play("cat > /dev/null; echo 'Unknown encoder libx264' >&2; exit 1").unwrap_err();
    let video = dir.path().join("a.mp4");
    assert_eq!(
        error.to_string(),
        format!(
            "ffmpeg: cannot write '{}': Unknown encoder libx264",
            video.display()
        )
    );
    assert_eq!(names(), ["ffmpeg"]);

    // The last argument is the file to write, with `file:` in front: a name like `12:30.mp4` is not taken for a
    // protocol.
    play("for last; do true; done; cat > \"${last#file:}\"").unwrap();
    assert_eq!(names(), ["a.mp4", "ffmpeg"]);
    let written = std::fs::read(dir.path().join("a.mp4")).unwrap();
    let mark = files::mark::MP4_BOX;
    assert_eq!(written, [frames().concat(), mark.to_vec()].concat());

    // SAFETY: as above.
    unsafe { std::env::set_var("KAOGAN_FFMPEG", "") };
    let error = write(&dir.path().join("b.mp4")).unwrap_err().to_string();
    assert!(error.contains(".webp"), "{error}");
}
