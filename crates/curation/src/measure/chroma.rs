//! Measures by which grayscale and blank images are recognized. Both are computed on the 96 x 96 thumb, in which
//! averaging has removed the chroma noise of JPEG.

use super::round4;
use dedup::Thumb;

/// Computes how far the colors of an image lie from a single hue axis, 0 to about 100; near 0 for gray, sepia and other
/// single-tint images.
///
/// In a gray, toned or tinted image, chroma lies on one hue axis and is a function of brightness. So two distances are
/// computed for each pixel in the plane of Cb and Cr: from the chroma predicted by its luma (the mean of each of 16
/// luma bins, interpolated between bins), and from the main axis of all chroma. The larger one counts. The result is
/// the mean over the 2 % of pixels with the largest distances, so that a small colored figure on white makes a colored
/// image.
pub fn chroma(thumb: &Thumb) -> f64 {
    const BINS: usize = 16;
    let pixels: Vec<[f64; 3]> = thumb.as_bytes().chunks_exact(3).map(to_ycc).collect();
    let n = pixels.len() as f64;

    // The main axis of chroma through its mean.
    let mean = [1, 2].map(|c| pixels.iter().map(|p| p[c]).sum::<f64>() / n);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for p in &pixels {
        let (dx, dy) = (p[1] - mean[0], p[2] - mean[1]);
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (cos, sin) = (angle.cos(), angle.sin());

    // Chroma as a function of luma, piecewise linear between bin means.
    let mut bins = [[0f64; 3]; BINS];
    for p in &pixels {
        let bin = ((p[0] / 256.0 * BINS as f64) as usize).min(BINS - 1);
        bins[bin][0] += 1.0;
        bins[bin][1] += p[1];
        bins[bin][2] += p[2];
    }
    let means: Vec<Option<(f64, f64)>> = bins
        .iter()
        .map(|b| (b[0] > 0.0).then(|| (b[1] / b[0], b[2] / b[0])))
        .collect();
    let predict = |luma: f64| -> (f64, f64) {
        let at = (luma / 256.0 * BINS as f64 - 0.5).clamp(0.0, (BINS - 1) as f64);
        let (low, share) = (at.floor() as usize, at.fract());
        match (means[low], means[(low + 1).min(BINS - 1)]) {
            (Some(a), Some(b)) => (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => (mean[0], mean[1]),
        }
    };
    let mut beyond: Vec<f64> = pixels
        .iter()
        .map(|p| {
            let expected = predict(p[0]);
            let along_luma = (p[1] - expected.0).hypot(p[2] - expected.1);
            let off_axis = ((p[2] - mean[1]) * cos - (p[1] - mean[0]) * sin).abs();
            along_luma.max(off_axis)
        })
        .collect();
    let top = beyond.len() / 50;
    let cut = beyond.len() - top;
    beyond.select_nth_unstable_by(cut, f64::total_cmp);
    round4(beyond[cut..].iter().sum::<f64>() / top as f64)
}

/// Largest share of the thumb's pixels, 0 to 1, whose luma is within 6 levels of a common value; 1 for a blank page.
pub fn blank_share(thumb: &Thumb) -> f64 {
    let mut histogram = [0u32; 256];
    for pixel in thumb.as_bytes().chunks_exact(3) {
        histogram[to_ycc(pixel)[0].round() as usize] += 1;
    }
    let window = |i: usize| {
        histogram[i.saturating_sub(6)..(i + 7).min(256)]
            .iter()
            .sum::<u32>()
    };
    let most = (0..256).map(window).max().unwrap_or(0);
    round4(f64::from(most) / (thumb.as_bytes().len() / 3) as f64)
}

/// Y (0 to 255), Cb and Cr (centered at 0) of an RGB pixel.
fn to_ycc(p: &[u8]) -> [f64; 3] {
    let [r, g, b] = [p[0], p[1], p[2]].map(f64::from);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, 0.564 * (b - y), 0.713 * (r - y)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumb(f: impl Fn(usize, usize) -> [u8; 3]) -> Thumb {
        let rgb: Vec<u8> = (0..192 * 192).flat_map(|i| f(i % 192, i / 192)).collect();
        Thumb::new(&rgb, 192, 192)
    }

    fn ink(x: usize, y: usize) -> f64 {
        let wave = ((x as f64 / 17.0).sin() * (y as f64 / 23.0).cos() + 1.0) / 2.0;
        if (x / 9 + y / 7).is_multiple_of(5) {
            0.0
        } else {
            wave
        }
    }

    #[test]
    fn gray_and_single_tints_have_no_chroma() {
        let mix = |a: [f64; 3], b: [f64; 3], t: f64| -> [u8; 3] {
            std::array::from_fn(|i| (a[i] + (b[i] - a[i]) * t) as u8)
        };
        let tints = [
            ([0.0, 0.0, 0.0], [255.0, 255.0, 255.0]),
            ([40.0, 20.0, 0.0], [250.0, 235.0, 200.0]),
            ([20.0, 30.0, 120.0], [255.0, 250.0, 235.0]),
            ([120.0, 0.0, 60.0], [255.0, 220.0, 240.0]),
        ];
        for (dark, light) in tints {
            let score = chroma(&thumb(|x, y| mix(dark, light, ink(x, y))));
            assert!(score < 3.0, "{dark:?} {light:?}: {score}");
        }
        // JPEG-like chroma noise in 8 x 8 blocks.
        let noisy = thumb(|x, y| {
            let v = ink(x, y) * 255.0;
            let n = (((x / 8) * 31 + (y / 8) * 17) % 7) as f64 - 3.0;
            [
                (v + n).clamp(0.0, 255.0) as u8,
                v as u8,
                (v - n).clamp(0.0, 255.0) as u8,
            ]
        });
        assert!(chroma(&noisy) < 5.0, "{}", chroma(&noisy));
    }

    #[test]
    fn a_small_colored_figure_on_white_has_chroma() {
        let figure = thumb(
            |x, y| match ((x as i32 - 60).abs() < 16, (y as i32 - 90).abs() < 20) {
                (true, true) if y < 85 => [90, 140, 230],
                (true, true) => [240, 190, 170],
                _ => [255; 3],
            },
        );
        assert!(chroma(&figure) > 12.0, "{}", chroma(&figure));
    }

    #[test]
    fn blank_pages_are_blank() {
        assert_eq!(blank_share(&thumb(|_, _| [250; 3])), 1.0);
        assert!(blank_share(&thumb(|x, _| if x < 2 { [0; 3] } else { [251; 3] })) > 0.97);
        assert!(blank_share(&thumb(|x, y| [(ink(x, y) * 255.0) as u8; 3])) < 0.5);
    }
}
