//! Deduplication on a synthetic corpus with known copies and variants: which copies are found, which variants survive,
//! and which image of each group is kept.
//!
//! The asserted limits are the accuracy that the documentation states. `CORPUS_WORKS=900` draws a larger corpus,
//! `CORPUS_PRINT=1` prints the table of results.

use dedup::{
    CopyQuality, GroupOptions, ImageHash, Relation, Role, SearchOptions, Thumb, VerifyOptions,
    candidates, group, verify,
};

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};
use rayon::prelude::*;
use std::collections::BTreeMap;
use test_support::drawn::{Draw, Window, Work};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Original,
    Reencoded,
    Resized,
    Png,
    Brighter,
    Darker,
    Watermark,
    Crop5,
    Mirrored,
    MirroredReencoded,
    Upscaled,
    Gray,
    Expression,
    Recolored,
    /// The same face cut out with a slightly different box, as a detector would from a copy cropped by 12 to 16 %.
    FaceOfCrop14,
    FaceOfMirrored,
    FaceOfExpression,
    FaceOfRecolored,
    Flat,
}
use Kind::*;

impl Kind {
    /// The kinds of copies that must be merged with their original, and the smallest accepted recall of each.
    const COPIES: [(Self, f64); 10] = [
        (Reencoded, 0.99),
        (Resized, 0.99),
        (Png, 0.99),
        (Brighter, 0.99),
        (Darker, 0.99),
        (Crop5, 0.90),
        (Mirrored, 0.95),
        (MirroredReencoded, 0.95),
        (FaceOfCrop14, 0.90),
        (FaceOfMirrored, 0.95),
    ];

    fn is_variant(self) -> bool {
        matches!(
            self,
            Expression | Recolored | Gray | FaceOfExpression | FaceOfRecolored
        )
    }
}

struct Image {
    work: u64,
    kind: Kind,
    thumb: Thumb,
    quality: CopyQuality,
}

fn jpeg(rgb: &[u8], width: usize, height: usize, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .write_image(rgb, width as u32, height as u32, ExtendedColorType::Rgb8)
        .expect("encodes");
    image::load_from_memory(&bytes)
        .expect("decodes")
        .to_rgb8()
        .into_raw()
}

fn mirror(rgb: &[u8], width: usize) -> Vec<u8> {
    rgb.chunks_exact(width * 3)
        .flat_map(|row| {
            row.chunks_exact(3)
                .rev()
                .flatten()
                .copied()
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The original, all copies and all variants of one drawing.
fn images_of(work_idx: u64) -> Vec<Image> {
    let mut d = Draw::new(work_idx.wrapping_mul(77) + 5);
    let work = Work::new(work_idx);
    let original = work.render(Window::ALL, 420);
    let mut out = Vec::new();
    let mut position = work_idx * 100;
    let mut push =
        |kind: Kind, rgb: &[u8], width: usize, height: usize, jpeg_quality: u8, real: f64| {
            // The original is the last input of its drawing, so that it is not kept merely because of its position.
            position += 1;
            let place = if kind == Original {
                work_idx * 100 + 99
            } else {
                position
            };
            out.push(Image {
                work: work_idx,
                kind,
                thumb: Thumb::new(rgb, width, height),
                quality: CopyQuality {
                    effective_pixels: ((width * height) as f64 * real) as u64,
                    jpeg_quality,
                    chroma: 1.0,
                    is_lossless: jpeg_quality == 100,
                    position: place,
                },
            });
        };
    let (rgb, width, height) = &original;
    let (width, height) = (*width, *height);
    push(
        Original,
        &jpeg(rgb, width, height, 95),
        width,
        height,
        95,
        1.0,
    );
    let quality = d.range(45.0, 85.0) as u8;
    push(
        Reencoded,
        &jpeg(rgb, width, height, quality),
        width,
        height,
        quality,
        1.0,
    );
    let (small, w, h) = work.render(Window::ALL, (420.0 * d.range(0.4, 0.8)) as usize);
    push(Resized, &jpeg(&small, w, h, 85), w, h, 85, 1.0);
    let (half, w, h) = work.render(Window::ALL, 300);
    push(Png, &half, w, h, 100, 1.0);
    let lit = |gain: f32| -> Vec<u8> {
        rgb.iter()
            .map(|&v| (f32::from(v) * gain).min(255.0) as u8)
            .collect()
    };
    push(
        Brighter,
        &jpeg(&lit(d.range(1.1, 1.25)), width, height, 85),
        width,
        height,
        85,
        1.0,
    );
    push(
        Darker,
        &jpeg(&lit(d.range(0.75, 0.9)), width, height, 85),
        width,
        height,
        85,
        1.0,
    );
    let mut marked = rgb.clone();
    for y in height * 9 / 10..height * 19 / 20 {
        for x in width * 6 / 10..width * 19 / 20 {
            if (x / 5 + y / 9) % 2 == 0 {
                marked[(y * width + x) * 3..][..3].fill(240);
            }
        }
    }
    push(
        Watermark,
        &jpeg(&marked, width, height, 85),
        width,
        height,
        85,
        1.0,
    );
    // Crops remove this share of the width and of the height, divided at random between opposite sides.
    let crop = |d: &mut Draw, share: f32| {
        let (x, y) = (d.range(0.0, share), d.range(0.0, share));
        Window {
            left: x,
            right: 1.0 - (share - x),
            top: y,
            bottom: 1.0 - (share - y),
        }
    };
    let share = d.range(0.04, 0.06);
    let (cropped, w, h) = work.render(crop(&mut d, share), (420.0 * (1.0 - share)) as usize);
    push(Crop5, &jpeg(&cropped, w, h, 85), w, h, 85, 1.0);
    push(
        Mirrored,
        &mirror(&jpeg(rgb, width, height, 94), width),
        width,
        height,
        94,
        1.0,
    );
    push(
        MirroredReencoded,
        &jpeg(&mirror(rgb, width), width, height, 70),
        width,
        height,
        70,
        1.0,
    );
    let (small, w, h) = work.render(Window::ALL, 210);
    let blown = image::imageops::resize(
        &image::RgbImage::from_raw(w as u32, h as u32, small).expect("size"),
        w as u32 * 3,
        h as u32 * 3,
        image::imageops::FilterType::CatmullRom,
    );
    push(Upscaled, blown.as_raw(), w * 3, h * 3, 100, 1.0 / 9.0);
    let gray: Vec<u8> = rgb
        .chunks_exact(3)
        .flat_map(|p| {
            [(0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).round()
                as u8; 3]
        })
        .collect();
    push(
        Gray,
        &jpeg(&gray, width, height, 85),
        width,
        height,
        85,
        1.0,
    );
    let other = work.with_expression(1 + (d.bits() % 5) as u32);
    let (rgb2, w, h) = other.render(Window::ALL, 420);
    push(Expression, &jpeg(&rgb2, w, h, 90), w, h, 90, 1.0);
    let recolored = work.recolored(work_idx);
    let (rgb3, w, h) = recolored.render(Window::ALL, 420);
    push(Recolored, &jpeg(&rgb3, w, h, 90), w, h, 90, 1.0);
    if d.bits().is_multiple_of(4) {
        let shade = d.range(0.0, 255.0) as u8;
        push(
            Flat,
            &jpeg(&vec![shade; 120 * 90 * 3], 120, 90, 80),
            120,
            90,
            80,
            1.0,
        );
    }
    out
}

/// Crops of the face of one drawing, with boxes that vary by 3 % as those of a detector do.
fn faces_of(work_idx: u64) -> Vec<Image> {
    let mut d = Draw::new(work_idx.wrapping_mul(131) + 9);
    let work = Work::new(work_idx);
    let mut position = work_idx * 100;
    let mut out = Vec::new();
    let mut face =
        |work: &Work, kind: Kind, size: usize, quality: u8, is_mirrored: bool, d: &mut Draw| {
            let face = work.face_box();
            let (w, h) = (face.right - face.left, face.bottom - face.top);
            let (dx, dy, zoom) = (
                d.range(-0.03, 0.03),
                d.range(-0.03, 0.03),
                d.range(0.97, 1.03),
            );
            let (cx, cy) = (
                (face.left + face.right) / 2.0 + dx * w,
                (face.top + face.bottom) / 2.0 + dy * h,
            );
            let window = Window {
                left: cx - w * zoom * 0.75,
                right: cx + w * zoom * 0.75,
                top: cy - h * zoom * 0.75,
                bottom: cy + h * zoom * 0.75,
            };
            let (rgb, width, height) = work.render(window, size);
            let mut rgb = jpeg(&rgb, width, height, quality);
            if is_mirrored {
                rgb = mirror(&rgb, width);
            }
            position += 1;
            let place = if kind == Original {
                work_idx * 100 + 99
            } else {
                position
            };
            out.push(Image {
                work: work_idx,
                kind,
                thumb: Thumb::new(&rgb, width, height),
                quality: CopyQuality {
                    effective_pixels: (width * height) as u64,
                    jpeg_quality: quality,
                    chroma: 1.0,
                    is_lossless: false,
                    position: place,
                },
            });
        };
    face(&work, Original, 256, 95, false, &mut d);
    face(&work, FaceOfCrop14, 220, 85, false, &mut d);
    face(&work, FaceOfMirrored, 230, 85, true, &mut d);
    face(
        &work.with_expression(1 + (d.bits() % 5) as u32),
        FaceOfExpression,
        240,
        90,
        false,
        &mut d,
    );
    face(
        &work.recolored(work_idx),
        FaceOfRecolored,
        240,
        90,
        false,
        &mut d,
    );
    out
}

/// Counts of the copies found, per kind, and of the mistakes.
#[derive(Default)]
struct Score {
    found: BTreeMap<Kind, usize>,
    total: BTreeMap<Kind, usize>,
    candidates: BTreeMap<Kind, usize>,
    /// `worst_tile` of each image compared with its original, whether or not the search found the pair.
    worst_tiles: BTreeMap<Kind, Vec<f32>>,
    works_lost: usize,
    strangers_merged: usize,
    best_kept: usize,
    groups: usize,
}

fn score(images: &[Image], n_works: usize, radius: u32) -> Score {
    let hashes: Vec<_> = images
        .par_iter()
        .map(|p| (ImageHash::new(&p.thumb), p.thumb.mean_rgb()))
        .collect();
    let found = candidates(
        &hashes,
        SearchOptions {
            radius,
            ..SearchOptions::default()
        },
        true,
    )
    .expect("radius");
    assert_eq!(found.capped, 0);
    let qualities: Vec<_> = images.iter().map(|p| p.quality).collect();
    let options = VerifyOptions::default();
    let judge = |a: u32, b: u32, c: &dedup::Candidate| {
        let other = &images[b as usize].thumb;
        let other = if c.is_mirrored {
            other.mirrored()
        } else {
            other.clone()
        };
        Ok::<_, std::convert::Infallible>(verify(&images[a as usize].thumb, &other, &options))
    };
    let members = group(
        &qualities,
        &found.pairs,
        GroupOptions { max_variants: None },
        judge,
    )
    .unwrap_or_else(|never| match never {});
    let mut score = Score::default();
    let near_original: std::collections::HashSet<u32> = found
        .pairs
        .iter()
        .flat_map(|c| [(c.a, c.b), (c.b, c.a)])
        .filter(|(a, b)| {
            images[*a as usize].kind == Original
                && images[*a as usize].work == images[*b as usize].work
        })
        .map(|(_, b)| b)
        .collect();
    let mut kept_of_work = BTreeMap::<u64, usize>::new();
    for (i, (image, member)) in images.iter().zip(&members).enumerate() {
        let is_merged = member.role == Role::Copy;
        *score.total.entry(image.kind).or_default() += 1;
        *score.found.entry(image.kind).or_default() += usize::from(is_merged);
        *score.candidates.entry(image.kind).or_default() +=
            usize::from(near_original.contains(&(i as u32)));
        let center = &images[member.center as usize];
        score.strangers_merged +=
            usize::from(is_merged && center.work != image.work && image.kind != Flat);
        if image.kind != Flat {
            *kept_of_work.entry(image.work).or_default() += usize::from(!is_merged);
        }
        let original = images
            .iter()
            .find(|p| p.work == image.work && p.kind == Original)
            .expect("drawn");
        let is_mirror = matches!(image.kind, Mirrored | MirroredReencoded | FaceOfMirrored);
        let thumb = if is_mirror {
            image.thumb.mirrored()
        } else {
            image.thumb.clone()
        };
        score
            .worst_tiles
            .entry(image.kind)
            .or_default()
            .push(verify(&original.thumb, &thumb, &options).worst_tile);
    }
    score.works_lost = n_works - kept_of_work.values().filter(|&&kept| kept > 0).count();
    for (i, member) in members.iter().enumerate() {
        let has_copies = members
            .iter()
            .enumerate()
            .any(|(j, m)| j != i && m.role == Role::Copy && m.center == i as u32);
        if has_copies && member.role != Role::Copy {
            score.groups += 1;
            score.best_kept += usize::from(matches!(
                images[i].kind,
                Original | Expression | Recolored | FaceOfExpression | FaceOfRecolored | Flat
            ));
        }
    }
    if std::env::var_os("CORPUS_PRINT").is_some() {
        for (kind, total) in &score.total {
            let mut tiles = score.worst_tiles[kind].clone();
            tiles.sort_by(f32::total_cmp);
            let at = |share: f32| tiles[((tiles.len() - 1) as f32 * share) as usize];
            println!(
                "{kind:18?} {:4} of {total:4} merged, {:4} near the original, worst tile min {:6.2} 1% {:6.2} 50% {:6.2} 99% {:6.2} max {:6.2}",
                score.found[kind],
                score.candidates[kind],
                at(0.0),
                at(0.01),
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
        println!(
            "groups {} best kept {} lost {} strangers {}",
            score.groups, score.best_kept, score.works_lost, score.strangers_merged
        );
    }
    score
}

fn check(score: &Score) {
    for (kind, promised) in Kind::COPIES {
        if let Some(&total) = score.total.get(&kind) {
            let recall = score.found[&kind] as f64 / total as f64;
            assert!(
                recall >= promised,
                "{kind:?}: recall {recall:.3} of {promised}"
            );
        }
    }
    let variants: Vec<Kind> = score
        .total
        .keys()
        .copied()
        .filter(|k| k.is_variant())
        .collect();
    let merged: usize = variants.iter().map(|k| score.found[k]).sum();
    let total: usize = variants.iter().map(|k| score.total[k]).sum();
    assert!(
        merged as f64 <= 0.01 * total as f64,
        "{merged} of {total} variants merged"
    );
    assert_eq!(score.works_lost, 0, "works with no copy left");
    assert_eq!(score.strangers_merged, 0, "images merged into another work");
    assert!(
        score.best_kept as f64 >= 0.99 * score.groups as f64,
        "best copy kept in {} of {}",
        score.best_kept,
        score.groups
    );
}

fn n_works() -> usize {
    std::env::var("CORPUS_WORKS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(50)
}

#[test]
fn whole_images() {
    let n = n_works();
    let images: Vec<Image> = (0..n as u64)
        .into_par_iter()
        .flat_map_iter(images_of)
        .collect();
    check(&score(&images, n, 8));
}

#[test]
fn faces() {
    let n = n_works();
    let images: Vec<Image> = (0..n as u64)
        .into_par_iter()
        .flat_map_iter(faces_of)
        .collect();
    check(&score(&images, n, 10));
}

/// For at least 98 % of the pairs, being a copy does not depend on which thumb comes first.
#[test]
fn relations_are_nearly_symmetric() {
    let images: Vec<Image> = (0..20).into_par_iter().flat_map_iter(images_of).collect();
    let (mut same, mut all) = (0, 0);
    for chunk in images.chunk_by(|a, b| a.work == b.work) {
        for other in &chunk[1..] {
            let options = VerifyOptions::default();
            let there = verify(&chunk[0].thumb, &other.thumb, &options).relation;
            let back = verify(&other.thumb, &chunk[0].thumb, &options).relation;
            same += usize::from((there == Relation::Copy) == (back == Relation::Copy));
            all += 1;
        }
    }
    assert!(same * 100 >= all * 98, "{same} of {all}");
}
