//! Decides from their thumbs whether two images with near hashes are copies, variants or unrelated.
//!
//! One thumb is registered onto the other (scale and shift of a crop), brightness is fitted per channel, and the
//! difference that remains is averaged over each tile of 8 x 8 pixels. Copies differ in no tile, variants (another
//! expression or hair color) in a few tiles, unrelated images in nearly all. The mean difference over the whole thumb
//! cannot separate copies from variants; the tiles that differ most can.

use crate::align::{Plane, Pyramid, Transform, bilinear, register};
use crate::thumb::{THUMB_SIDE, Thumb};
use serde::{Deserialize, Serialize};

/// Side of a tile in thumb pixels; a thumb has 12 x 12 tiles.
const TILE: usize = 8;
const TILES: usize = THUMB_SIDE / TILE;
/// Standard deviation of luma, in 8-bit levels, below which brightness is not fitted: gain and offset could make any
/// two flat images equal.
const FLAT_DEVIATION: f32 = 6.0;

/// Relation between two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same image, re-encoded, resized, changed in brightness, slightly cropped or mirrored.
    Copy,
    /// The same drawing with a difference in content: expression, colors, text.
    Variant,
    /// Different images.
    Unrelated,
}

/// Limits of [`verify`]. Differences are means over a tile of 8 x 8 thumb pixels, in 8-bit levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerifyOptions {
    /// Largest [`Verification::worst_tile`] of a copy.
    pub max_worst_tile: f32,
    /// Unless brightness was changed, a copy's `worst_tile` must also be at most `slack.0 + slack.1 * median_tile`:
    /// compression and resizing change all tiles, an opened mouth only a few.
    pub slack: (f32, f32),
    /// Largest [`Verification::median_tile`] of a variant.
    pub max_median_tile: f32,
    /// Largest ratio between the fitted gains of two color channels of a copy. A larger ratio is a change of color, not
    /// only of brightness.
    pub max_channel_ratio: f32,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            max_worst_tile: 10.0,
            slack: (2.5, 5.5),
            max_median_tile: 8.0,
            max_channel_ratio: 1.12,
        }
    }
}

/// Result of [`verify`]: the relation of two images and the differences from which it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The relation of the two images.
    pub relation: Relation,
    /// Mean difference between the two thumbs in the three tiles that differ most, in 8-bit levels, rounded to 2
    /// decimals; 255 when nothing could be compared.
    pub worst_tile: f32,
    /// Median over the tiles of the mean difference between the two thumbs, in the same unit.
    pub median_tile: f32,
}

impl Verification {
    const UNRELATED: Self = Self {
        relation: Relation::Unrelated,
        worst_tile: 255.0,
        median_tile: 255.0,
    };
}

/// Compares two thumbs. To test whether one is a mirrored copy of the other, pass one of them
/// [mirrored](Thumb::mirrored).
pub fn verify(a: &Thumb, b: &Thumb, options: &VerifyOptions) -> Verification {
    let (pa, pb) = (Planes::new(a), Planes::new(b));
    if pa.deviation < FLAT_DEVIATION || pb.deviation < FLAT_DEVIATION {
        return compare_tiles(
            &residual(&pa, &pb, &Transform::IDENTITY, [(1.0, 0.0); 3]),
            false,
            options,
        );
    }
    // Compare without registration first: most copies are not cropped.
    let still = compare(&pa, &pb, &Transform::IDENTITY, options);
    if still.relation == Relation::Copy {
        return still;
    }
    let starts = [
        Transform::IDENTITY,
        Transform::zoom(0.88),
        Transform::zoom(1.0 / 0.88),
    ];
    let (pyramid_a, pyramid_b) = (Pyramid::new(pa.luma.clone()), Pyramid::new(pb.luma.clone()));
    let moved = register(&pyramid_a, &pyramid_b, &starts)
        .filter(|t| t.is_plausible() && !t.is_still())
        .map_or(Verification::UNRELATED, |t| compare(&pa, &pb, &t, options));
    if moved.worst_tile < still.worst_tile {
        moved
    } else {
        still
    }
}

/// Compares two thumbs under a given transform, after fitting brightness.
///
/// The darker thumb is mapped to the brightness of the brighter one and not the reverse, since clipped highlights
/// cannot be restored.
fn compare(a: &Planes, b: &Planes, transform: &Transform, options: &VerifyOptions) -> Verification {
    let Some(light) = fit_light(a, b, transform) else {
        return Verification::UNRELATED;
    };
    let brightens = light[1].0 >= 1.0;
    let tiles = if brightens {
        residual(a, b, transform, light)
    } else {
        // `b` is the darker thumb: predict `a` from it.
        let inverse = Transform {
            scale: transform.scale.map(|s| 1.0 / s),
            shift: std::array::from_fn(|i| -transform.shift[i] / transform.scale[i]),
            ..Transform::IDENTITY
        };
        let Some(light) = fit_light(b, a, &inverse) else {
            return Verification::UNRELATED;
        };
        residual(b, a, &inverse, light)
    };
    let is_lit = light
        .iter()
        .any(|(gain, offset)| (gain - 1.0).abs() > 0.04 || offset.abs() > 4.0);
    let mut verification = compare_tiles(&tiles, is_lit, options);
    let gains = light.map(|(gain, _)| gain);
    let ratio =
        gains.iter().copied().fold(0.0, f32::max) / gains.iter().copied().fold(f32::MAX, f32::min);
    if verification.relation == Relation::Copy && ratio > options.max_channel_ratio {
        verification.relation = Relation::Variant;
    }
    verification
}

/// Decides the relation from `tiles`, the mean difference between both thumbs in each tile. `is_lit` is `true` when the
/// fit had to change brightness; then [`VerifyOptions::slack`] does not apply.
fn compare_tiles(tiles: &[f32], is_lit: bool, options: &VerifyOptions) -> Verification {
    if tiles.len() < TILES * TILES / 2 {
        return Verification::UNRELATED;
    }
    let mut sorted = tiles.to_vec();
    sorted.sort_by(f32::total_cmp);
    let worst = sorted[sorted.len() - 3..].iter().sum::<f32>() / 3.0;
    let median = sorted[sorted.len() / 2];
    let local = if is_lit {
        f32::MAX
    } else {
        options.slack.0 + options.slack.1 * median
    };
    let relation = if worst <= options.max_worst_tile.min(local) {
        Relation::Copy
    } else if median <= options.max_median_tile {
        Relation::Variant
    } else {
        Relation::Unrelated
    };
    let round = |v: f32| (v * 100.0).round() / 100.0;
    Verification {
        relation,
        worst_tile: round(worst),
        median_tile: round(median),
    }
}

/// A thumb as f32 planes in 8-bit levels, and the standard deviation of its luma.
struct Planes {
    channels: [Plane; 3],
    luma: Plane,
    deviation: f32,
}

impl Planes {
    fn new(thumb: &Thumb) -> Self {
        let bytes = thumb.as_bytes();
        let plane = |f: &dyn Fn(&[u8]) -> f32| Plane {
            side: THUMB_SIDE,
            values: bytes.chunks_exact(3).map(f).collect(),
        };
        let luma =
            plane(&|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]));
        let n = luma.values.len() as f32;
        let mean = luma.values.iter().sum::<f32>() / n;
        let deviation = (luma.values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
        let channels = std::array::from_fn(|c| plane(&|p| f32::from(p[c])));
        Self {
            channels,
            luma,
            deviation,
        }
    }
}

/// Least-squares `(gain, offset)` of each RGB channel, such that `gain * a + offset` is near `b`.
///
/// Uses the pixels that both thumbs show, except clipped ones and those with the largest residuals. `None` when a gain
/// or offset is implausible.
fn fit_light(a: &Planes, b: &Planes, transform: &Transform) -> Option<[(f32, f32); 3]> {
    let mut out = [(1.0, 0.0); 3];
    for (c, fitted) in out.iter_mut().enumerate() {
        let mut pairs = Vec::with_capacity(THUMB_SIDE * THUMB_SIDE);
        for_each_pair(transform, |cell, w, at| {
            let (x, y) = (
                mix(&a.channels[c].values, cell, w),
                b.channels[c].values[at],
            );
            if (4.0..=251.0).contains(&x) && (4.0..=251.0).contains(&y) {
                pairs.push((x, y));
            }
        });
        if pairs.len() < 200 {
            continue; // nearly all clipped: black on white needs no fit
        }
        let mut line = least_squares(&pairs);
        for _ in 0..2 {
            let mut errors: Vec<f32> = pairs
                .iter()
                .map(|(x, y)| (line.0 * x + line.1 - y).abs())
                .collect();
            let keep = errors.len() * 8 / 10;
            let (_, &mut limit, _) = errors.select_nth_unstable_by(keep, f32::total_cmp);
            pairs.retain(|(x, y)| (line.0 * x + line.1 - y).abs() <= limit.max(1.0));
            line = least_squares(&pairs);
        }
        *fitted = line;
    }
    // Gains and offsets beyond these limits are more than a change of brightness.
    out.iter()
        .all(|(gain, offset)| (0.5..=2.0).contains(gain) && offset.abs() <= 80.0)
        .then_some(out)
}

fn least_squares(pairs: &[(f32, f32)]) -> (f32, f32) {
    let n = pairs.len() as f64;
    let (mut sx, mut sy, mut sxx, mut sxy) = (0f64, 0f64, 0f64, 0f64);
    for &(x, y) in pairs {
        let (x, y) = (f64::from(x), f64::from(y));
        sx += x;
        sy += y;
        sxx += x * x;
        sxy += x * y;
    }
    let variance = sxx - sx * sx / n;
    // Without contrast a gain cannot be estimated.
    let gain = if variance / n < 9.0 {
        1.0
    } else {
        (sxy - sx * sy / n) / variance
    };
    (gain as f32, ((sy - gain * sx) / n) as f32)
}

/// Computes the mean absolute difference between `b` and `a` in each tile, after `a` was mapped by `transform` and, for
/// each RGB channel, by the `(gain, offset)` in `light`. Tiles of which less than half is visible in both thumbs are
/// left out.
///
/// The signed difference in each channel is blurred first, so that noise and half-pixel offsets cancel. In each pixel,
/// the channel with the largest absolute difference counts.
fn residual(a: &Planes, b: &Planes, transform: &Transform, light: [(f32, f32); 3]) -> Vec<f32> {
    const SIDE: usize = THUMB_SIDE;
    let mut difference = vec![[0f32; 3]; SIDE * SIDE];
    let mut seen = vec![false; SIDE * SIDE];
    for_each_pair(transform, |cell, w, at| {
        seen[at] = true;
        for c in 0..3 {
            let predicted =
                (light[c].0 * mix(&a.channels[c].values, cell, w) + light[c].1).clamp(0.0, 255.0);
            difference[at][c] = predicted - b.channels[c].values[at];
        }
    });
    let blurred = blur(&difference);
    let mut tiles = Vec::with_capacity(TILES * TILES);
    for tile in 0..TILES * TILES {
        let (ty, tx) = (tile / TILES * TILE, tile % TILES * TILE);
        let (mut sum, mut count) = (0f32, 0usize);
        for y in ty..ty + TILE {
            for x in tx..tx + TILE {
                if seen[y * SIDE + x] {
                    let d = blurred[y * SIDE + x];
                    sum += d[0].abs().max(d[1].abs()).max(d[2].abs());
                    count += 1;
                }
            }
        }
        if count * 2 >= TILE * TILE {
            tiles.push(sum / count as f32);
        }
    }
    tiles
}

/// 3 x 3 binomial blur of a `[96, 96]` image; pixels outside repeat the border.
fn blur(values: &[[f32; 3]]) -> Vec<[f32; 3]> {
    const SIDE: usize = THUMB_SIDE;
    let pass = |from: &[[f32; 3]], step_x: usize, step_y: usize| -> Vec<[f32; 3]> {
        (0..SIDE * SIDE)
            .map(|i| {
                let (x, y) = (i % SIDE, i / SIDE);
                let before = y.saturating_sub(step_y) * SIDE + x.saturating_sub(step_x);
                let after = (y + step_y).min(SIDE - 1) * SIDE + (x + step_x).min(SIDE - 1);
                std::array::from_fn(|c| {
                    (from[before][c] + 2.0 * from[i][c] + from[after][c]) * 0.25
                })
            })
            .collect()
    };
    pass(&pass(values, 1, 0), 0, 1)
}

fn mix(plane: &[f32], cell: usize, w: [f32; 4]) -> f32 {
    plane[cell] * w[0]
        + plane[cell + 1] * w[1]
        + plane[cell + THUMB_SIDE] * w[2]
        + plane[cell + THUMB_SIDE + 1] * w[3]
}

/// Calls `f(source index, bilinear weights, target index)` for every target pixel that the source covers. The source
/// index is that of the upper left of four pixels, see [`bilinear`].
fn for_each_pair(transform: &Transform, mut f: impl FnMut(usize, [f32; 4], usize)) {
    let size = THUMB_SIDE as f32;
    let place = |i: usize, axis: usize| {
        ((((i as f32 + 0.5) / size - 0.5) * transform.scale[axis]) + transform.shift[axis] + 0.5)
            * size
            - 0.5
    };
    for y in 0..THUMB_SIDE {
        for x in 0..THUMB_SIDE {
            if let Some((cell, w)) = bilinear(place(x, 0), place(y, 1), THUMB_SIDE) {
                f(cell, w, y * THUMB_SIDE + x);
            }
        }
    }
}
