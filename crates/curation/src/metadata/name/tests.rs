//! Tests of the rule: names with the post that they name.

use super::super::post::parse_md5;
use super::Reading::{Id, Md5, Nothing};
use super::*;

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn read(name: &str) -> Reading {
    match read_name(name).reading {
        Reading::Unclear(_) => Reading::Unclear(String::new()),
        reading => reading,
    }
}

fn id(id: u64) -> Reading {
    Id(id.to_string())
}

#[test]
fn names_with_one_id() {
    for (name, number) in [
        // Bare, with decorations of boards and downloaders.
        ("1000001.png", 1_000_001),
        ("2.png", 2),
        ("1000001", 1_000_001),
        ("1000001.jpg.png", 1_000_001),
        ("1000001.png#2", 1_000_001),
        ("1000001.jpg?1612345678", 1_000_001),
        ("1234567890123456789.jpg", 1_234_567_890_123_456_789),
        ("danbooru_1000001.png", 1_000_001),
        ("danbooru_12.png", 12),
        ("danbooru-1000001.png", 1_000_001),
        ("danbooru1000001.png", 1_000_001),
        ("gelbooru 12.png", 12),
        ("e621_12.png", 12),
        ("id_12.png", 12),
        ("post-12.png", 12),
        ("id1000001.png", 1_000_001),
        ("sample-1000001.jpg", 1_000_001),
        ("sample_12.jpg", 12),
        ("preview_12.jpg", 12),
        ("thumbnail_1000001.jpg", 1_000_001),
        // Pages and sizes.
        ("1000001_p10.png", 1_000_001),
        ("1000001_p0_master1200.png", 1_000_001),
        ("1000001_p0_square1200.jpg", 1_000_001),
        ("1000001_ugoira0.jpg", 1_000_001),
        ("1000001_ugoira1920x1080.zip", 1_000_001),
        ("pixiv_1000001_p0.png", 1_000_001),
        ("12_p3.png", 12),
        ("20210304_p0.png", 20_210_304),
        ("pixiv_20210304.png", 20_210_304),
        ("12-1920x1080.png", 12),
        ("12_page_3.png", 12),
        ("1000001 page 3.png", 1_000_001),
        ("1000001_frame_12.png", 1_000_001),
        ("1000001_part2.png", 1_000_001),
        ("1000001_0012.png", 1_000_001),
        ("1000001_0.png", 1_000_001),
        ("1000001_big_p0.png", 1_000_001),
        ("illust_1000001_20210304_121314.jpg", 1_000_001),
        ("Danbooru_1000001.PNG", 1_000_001),
        ("1000001@2x.png", 1_000_001),
        ("1000001 (2).png", 1_000_001),
        ("1000001 - Copy (2).png", 1_000_001),
        ("1000001[1].png", 1_000_001),
        ("12 (3).png", 12),
        // Templates.
        ("artist_1000001_20210304_121314.jpg", 1_000_001),
        ("danbooru_12_20210304_121314.jpg", 12),
        ("artist_12_20210304_121314.jpg", 12),
        ("artist_1000001_2021-03-04_12-13-14.jpg", 1_000_001),
        ("artist_1000001_20210304121314.jpg", 1_000_001),
        ("2021-03-04_1000001.jpg", 1_000_001),
        ("20210304_121314_1000001.jpg", 1_000_001),
        ("04.03.2021 1000001.jpg", 1_000_001),
        ("artist_1000001_p0.jpg", 1_000_001),
        ("[artist] title (1000001).png", 1_000_001),
        ("hatsune_miku_1000001.png", 1_000_001),
        ("1000001-hatsune_miku-2girls.png", 1_000_001),
        ("Hatsune.Miku.full.1000001.jpg", 1_000_001),
        ("yande.re 1000001 39 hatsune_miku.jpg", 1_000_001),
        ("yande.re 1000001 sample solo 2.jpg", 1_000_001),
        ("yande.re%201000001%20solo.jpg", 1_000_001),
        ("Konachan.com - 1000001 2girls 39.png", 1_000_001),
        ("1000001_1000001.png", 1_000_001),
        (
            "550e8400-e29b-41d4-a716-446655440000_1000001.png",
            1_000_001,
        ),
        ("初音ミク_1000001.png", 1_000_001),
    ] {
        assert_eq!(read(name), id(number), "{name}");
    }
}

#[test]
fn names_with_an_md5_are_read_by_it_alone() {
    let md5 = parse_md5(MD5).unwrap();
    for name in [
        format!("{MD5}.png"),
        format!("{}.png", MD5.to_uppercase()),
        format!("__hatsune_miku__{MD5}.png"),
        format!("__hatsune_miku_vocaloid_drawn_by_artist_12__sample-{MD5}.jpg"),
        format!("sample_{MD5}.jpg"),
        format!("1000001_{MD5}.jpg"),
        format!("danbooru_1000001_{MD5}.jpg"),
        format!("{MD5}.jpg?12"),
        format!("{MD5} (2).jpg"),
        format!("{MD5}_{MD5}.jpg"),
    ] {
        assert_eq!(read(&name), Md5(md5), "{name}");
    }
    let two = format!("{MD5}_00112233445566778899aabbccddeeff.png");
    assert!(matches!(read(&two), Reading::Unclear(_)));
}

#[test]
fn names_without_a_post() {
    for name in [
        "cover.png",
        "000002.png",
        "00000012.jpg",
        "0.png",
        "frame_12.png",
        "frame12.png",
        "p12.png",
        "page 12.png",
        "image_12.png",
        "image (2).png",
        "IMG_8427.JPG",
        "IMG_20210304_121314.jpg",
        // Messengers number the images that they save.
        "photo_12@04-03-2021_12-13-14.jpg",
        "KakaoTalk_Photo_2021-03-04-12-13-14 12.jpeg",
        "photo_1234@16-11-2022_20-15-30 (2).jpg",
        "photo_12_2021-03-04_12-13-14.jpg",
        "2021-03-04.png",
        "20210304121314.png",
        "1920x1080.png",
        "data-000.tar",
        "data-12345.tar",
        "shard_12.tar",
        "0123.zip",
        "v2.png",
        // Other hashes, UUIDs.
        "da39a3ee5e6b4b0d3255bfef95601890afd80709.png",
        "550e8400-e29b-41d4-a716-446655440000.png",
        "12345678-1234-1234-1234-123456789012.png",
        "d41d8cd98f00b204.png",
        "初音ミク.png",
        "",
        ".png",
        "%",
        "%zz",
    ] {
        assert_eq!(read(name), Nothing, "{name}");
    }
}

#[test]
fn names_that_can_be_read_in_two_ways() {
    for name in [
        "1000001_1000002.png",
        "1000001_2.png",
        "12_1000001.png",
        "1000001_1200.png",
        "danbooru_2_1000001.png",
        "artist_12_1000001_20210304_121314.jpg",
        "1000001_20210304.png",
        "art_20210304.png",
        "cover_12.png",
        "miku_2021.png",
        "wallpaper_1200.png",
        "39_miku.png",
        "1,000,001.png",
        "12_0003.png",
        "12.34.png",
        "5.5.png",
        // Cameras count the images of a day.
        "20210304_121314_12.jpg",
        "20210304121314_12.jpg",
        "2021-03-04 12.jpg",
        "20210304.png",
        "2024-12.png",
        "Hatsune.Miku.600.1000001.jpg",
        "danbooru_gelbooru_1000001.png",
    ] {
        assert!(
            matches!(read(name), Reading::Unclear(_)),
            "{name}: {:?}",
            read(name)
        );
    }
}

#[test]
fn boards_are_read_from_names_and_folders() {
    let danbooru = Site::from_word("danbooru").unwrap();
    assert_eq!(read_name("danbooru_1000001.png").site, danbooru);
    assert_eq!(read_name("1000001.png").site, Site::UNKNOWN);
    assert_eq!(site_of_folders("x/danbooru/0123"), danbooru);
    assert_eq!(site_of_folders("gelbooru/danbooru"), danbooru);
    assert_eq!(site_of_folders(""), Site::UNKNOWN);
}

#[test]
fn shards_hold_ids_by_their_last_or_first_digits() {
    for (folder, id, is_shard) in [
        ("0123", "1000123", true),
        ("123", "1000123", true),
        ("12", "1000012", true),
        ("1000", "1000123", true),
        ("1000000", "1000123", true),
        ("10", "1000123", true),
        ("7654321", "2", false),
        ("7654321", "1000001", false),
        ("12", "1000123", false),
        ("artist", "1000123", false),
    ] {
        assert_eq!(is_shard_of(folder, id), is_shard, "{folder}/{id}");
    }
}
