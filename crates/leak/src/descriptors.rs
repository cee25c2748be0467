//! Image descriptors that distinguish augmented images from plain ones: layout, colors, fine structure.

use crate::rgb::Rgb;

/// Number of cells along each side of the layout grid.
const CELLS: usize = 8;

/// All descriptors of an image, in one row.
pub(crate) fn describe(image: &Rgb) -> Vec<f64> {
    let luma = image.luma();
    let mut row = Vec::new();
    layout(image, &luma, &mut row);
    color(image, &mut row);
    brightness(image, &luma, &mut row);
    fine_structure(image, &luma, &mut row);
    row
}

/// Appends the layout of an image as means over 8 x 8 cells: luma and two color differences (red and blue minus luma),
/// each with its mean over the image subtracted, and the logarithm of the luma gradient.
fn layout(image: &Rgb, luma: &[f32], row: &mut Vec<f64>) {
    let (h, w) = (image.height, image.width);
    let (r, b) = (image.plane(0), image.plane(2));
    let planes = [
        luma.to_vec(),
        r.iter().zip(luma).map(|(r, l)| r - l).collect(),
        b.iter().zip(luma).map(|(b, l)| b - l).collect(),
    ];
    for plane in &planes {
        let cells = cells(plane, h, w);
        let mean = cells.iter().sum::<f64>() / cells.len() as f64;
        row.extend(cells.iter().map(|v| v - mean));
    }
    let mut busy = vec![0.0f32; h * w];
    for y in 0..h - 1 {
        for x in 0..w - 1 {
            let i = y * w + x;
            busy[i] = (luma[i + 1] - luma[i]).abs() + (luma[i + w] - luma[i]).abs();
        }
    }
    row.extend(cells(&busy, h, w).iter().map(|v| (v + 1e-3).ln()));
}

fn cells(plane: &[f32], h: usize, w: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(CELLS * CELLS);
    for cy in 0..CELLS {
        for cx in 0..CELLS {
            let (ys, xs) = (
                cy * h / CELLS..(cy + 1) * h / CELLS,
                cx * w / CELLS..(cx + 1) * w / CELLS,
            );
            let n = (ys.len() * xs.len()) as f64;
            let sum: f64 = ys
                .flat_map(|y| &plane[y * w + xs.start..y * w + xs.end])
                .map(|v| f64::from(*v))
                .sum();
            out.push(sum / n);
        }
    }
    out
}

/// Appends hue histograms weighted by chroma, one for the center of the image and one for the rest, and quantiles of
/// the chroma.
fn color(image: &Rgb, row: &mut Vec<f64>) {
    const BINS: usize = 12;
    let (h, w) = (image.height, image.width);
    let mut hues = [[0.0f64; BINS]; 2];
    let mut saturations = Vec::with_capacity(h * w);
    for i in 0..h * w {
        let rgb = [0, 1, 2].map(|c| image.plane(c)[i]);
        let (high, low) = (
            rgb[0].max(rgb[1]).max(rgb[2]),
            rgb[0].min(rgb[1]).min(rgb[2]),
        );
        let chroma = high - low;
        saturations.push(chroma);
        if chroma < 0.02 {
            continue;
        }
        let sixth = if high == rgb[0] {
            ((rgb[1] - rgb[2]) / chroma).rem_euclid(6.0)
        } else if high == rgb[1] {
            (rgb[2] - rgb[0]) / chroma + 2.0
        } else {
            (rgb[0] - rgb[1]) / chroma + 4.0
        };
        let bin = ((sixth / 6.0 * BINS as f32) as usize).min(BINS - 1);
        let (y, x) = (i / w, i % w);
        let is_middle = (h / 4..3 * h / 4).contains(&y) && (w / 4..3 * w / 4).contains(&x);
        hues[usize::from(is_middle)][bin] += f64::from(chroma);
    }
    for zone in hues {
        let total = zone.iter().sum::<f64>().max(1e-3);
        row.extend(zone.iter().map(|v| (v / total).sqrt()));
    }
    saturations.sort_by(f32::total_cmp);
    for share in [0.1, 0.5, 0.75, 0.9, 0.98] {
        let at = ((saturations.len() - 1) as f64 * share) as usize;
        row.push(f64::from(saturations[at] + 0.01).ln());
    }
}

/// Appends a histogram of luma, and the skewness of the difference between a pixel and its neighbors: negative when
/// thin structures are darker than their surroundings (outlines).
fn brightness(image: &Rgb, luma: &[f32], row: &mut Vec<f64>) {
    const BINS: usize = 8;
    let mut counts = [0.0f64; BINS];
    for v in luma {
        counts[((v * BINS as f32) as usize).min(BINS - 1)] += 1.0 / luma.len() as f64;
    }
    row.extend(counts.map(f64::sqrt));
    let w = image.width;
    let (mut squares, mut cubes) = (0.0f64, 0.0f64);
    for y in 1..image.height - 1 {
        for x in 1..w - 1 {
            let i = y * w + x;
            let around = (luma[i - 1] + luma[i + 1] + luma[i - w] + luma[i + w]) / 4.0;
            let d = f64::from(luma[i] - around);
            squares += d * d;
            cubes += d * d * d;
        }
    }
    let n = luma.len() as f64;
    row.push((cubes / n).cbrt() / ((squares / n).sqrt() + 1e-4));
}

/// Appends measures of noise and of middle-gray area, and the energy of details at four scales.
fn fine_structure(image: &Rgb, luma: &[f32], row: &mut Vec<f64>) {
    let (h, w) = (image.height, image.width);
    // The mixed second difference is 0 at horizontal and vertical edges. On most pixels what remains is noise.
    let mut crosses = Vec::with_capacity(3 * h * w);
    for c in 0..3 {
        let plane = image.plane(c);
        for y in 0..h - 1 {
            for x in 0..w - 1 {
                let i = y * w + x;
                crosses.push((plane[i] - plane[i + 1] - plane[i + w] + plane[i + w + 1]).abs());
            }
        }
    }
    crosses.sort_by(f32::total_cmp);
    for share in [0.25, 0.5, 0.8] {
        let at = ((crosses.len() - 1) as f64 * share) as usize;
        row.push(f64::from(crosses[at] + 0.002).ln());
    }
    // Noise differs between channels, whereas blur and sharpening affect them alike: measure the variation of green
    // minus luma.
    let green = image.plane(1);
    let mut odd = 0.0f64;
    for y in 0..h {
        for x in 1..w {
            let i = y * w + x;
            odd += f64::from(((green[i] - luma[i]) - (green[i - 1] - luma[i - 1])).abs());
        }
    }
    row.push((odd / (h * w) as f64 + 0.001).ln());

    let n = h * w;
    let gray = (0..n)
        .filter(|i| {
            [0, 1, 2]
                .iter()
                .all(|c| (image.plane(*c)[*i] - 0.5).abs() < 0.012)
        })
        .count();
    row.push((gray as f64 / n as f64).sqrt());
    row.push((gray as f64 / n as f64 + 0.002).ln());

    // Energy of the details that are lost by each of four successive reductions to half the size.
    let (mut plane, mut h, mut w) = (luma.to_vec(), h, w);
    for _ in 0..4 {
        if h < 4 || w < 4 {
            row.push(0.0);
            continue;
        }
        let (hh, hw) = (h / 2, w / 2);
        let mut half = vec![0.0f32; hh * hw];
        let mut energy = 0.0f64;
        for y in 0..hh {
            for x in 0..hw {
                let four = [0, 1, w, w + 1].map(|d| plane[2 * y * w + 2 * x + d]);
                let mean = four.iter().sum::<f32>() / 4.0;
                half[y * hw + x] = mean;
                energy += four
                    .iter()
                    .map(|v| f64::from(v - mean).powi(2))
                    .sum::<f64>();
            }
        }
        row.push((energy / (4 * hh * hw) as f64 + 1e-6).ln());
        (plane, h, w) = (half, hh, hw);
    }
}
