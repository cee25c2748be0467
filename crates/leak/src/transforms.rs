//! Augments images by one category each, strongly enough to be detected.

use rng::RandomState;

use crate::category::Category;
use crate::rgb::Rgb;

/// The image with a random augmentation of one category.
pub(crate) fn transform(image: &Rgb, category: Category, random: &mut RandomState) -> Rgb {
    let mut between = |a: f64, b: f64| a + (b - a) * random.random_sample();
    match category {
        Category::Orientation => turn(image, 1 + (between(0.0, 3.0) as usize).min(2)),
        Category::Scale => {
            let exponent = between(0.4, 0.9);
            let factor = if between(0.0, 1.0) < 0.5 {
                exponent.exp2()
            } else {
                (-exponent).exp2()
            };
            zoom(image, factor as f32)
        }
        Category::Hue => {
            let angle = between(60.0, 300.0).to_radians();
            colors(image, |rgb| turn_hue(rgb, angle as f32))
        }
        Category::LumaInversion => colors(image, |[r, g, b]| {
            // Reflect at middle gray along the gray axis; hue and saturation stay the same.
            let shift = 2.0 * ((r + g + b) / 3.0 - 0.5);
            [r - shift, g - shift, b - shift]
        }),
        Category::Saturation => {
            let factor = if between(0.0, 1.0) < 0.5 {
                between(0.0, 0.35)
            } else {
                between(2.0, 4.0)
            };
            colors(image, |[r, g, b]| {
                let mean = (r + g + b) / 3.0;
                [r, g, b].map(|v| mean + (v - mean) * factor as f32)
            })
        }
        Category::Noise => {
            let sigma = between(0.03, 0.1);
            let mut out = image.clone();
            for v in &mut out.values {
                *v += (random.standard_normal() * sigma) as f32;
            }
            clamped(out)
        }
        Category::Cutout => {
            let (cx, cy) = (between(0.0, 1.0), between(0.0, 1.0));
            let (h, w) = (image.height, image.width);
            let mut out = image.clone();
            for (i, v) in out.values.iter_mut().enumerate() {
                let (y, x) = (i / w % h, i % w);
                let inside = |at: usize, size: usize, centre: f64| {
                    ((at as f64 + 0.5) / size as f64 - centre).abs() < 0.25
                };
                if inside(x, w, cx) && inside(y, h, cy) {
                    *v = 0.5;
                }
            }
            out
        }
        Category::Filtering => {
            let amount = if between(0.0, 1.0) < 0.5 {
                -1.0
            } else {
                between(1.0, 2.5)
            };
            let smooth = blur(image);
            let mut out = image.clone();
            for (v, s) in out.values.iter_mut().zip(&smooth.values) {
                *v += (*v - s) * amount as f32;
            }
            clamped(out)
        }
    }
}

/// Rotates the image by 90 degrees, `times` times (1 to 3). The size stays the same, so the content of an image that is
/// not square is stretched.
fn turn(image: &Rgb, times: usize) -> Rgb {
    let (h, w) = (image.height, image.width);
    sample(image, |y, x| {
        let (v, u) = (y as f32 / (h - 1) as f32, x as f32 / (w - 1) as f32);
        let (v, u) = match times {
            1 => (u, 1.0 - v),
            2 => (1.0 - v, 1.0 - u),
            _ => (1.0 - u, v),
        };
        (v * (h - 1) as f32, u * (w - 1) as f32)
    })
}

fn zoom(image: &Rgb, factor: f32) -> Rgb {
    let (cy, cx) = (
        (image.height - 1) as f32 / 2.0,
        (image.width - 1) as f32 / 2.0,
    );
    sample(image, |y, x| {
        ((y as f32 - cy) / factor + cy, (x as f32 - cx) / factor + cx)
    })
}

/// Resamples an image bilinearly, reflected at the borders. `from` maps an output (row, column) to its source position.
fn sample(image: &Rgb, from: impl Fn(usize, usize) -> (f32, f32)) -> Rgb {
    let (h, w) = (image.height, image.width);
    let reflect = |i: i64, n: usize| -> usize {
        let period = 2 * (n as i64 - 1).max(1);
        let i = i.rem_euclid(period);
        i.min(period - i) as usize
    };
    let mut out = image.clone();
    for y in 0..h {
        for x in 0..w {
            let (sy, sx) = from(y, x);
            let (fy, fx) = (sy - sy.floor(), sx - sx.floor());
            let (y0, x0) = (sy.floor() as i64, sx.floor() as i64);
            for c in 0..3 {
                let plane = image.plane(c);
                let at = |dy: i64, dx: i64| plane[reflect(y0 + dy, h) * w + reflect(x0 + dx, w)];
                let top = at(0, 0) * (1.0 - fx) + at(0, 1) * fx;
                let bottom = at(1, 0) * (1.0 - fx) + at(1, 1) * fx;
                out.values[(c * h + y) * w + x] = top * (1.0 - fy) + bottom * fy;
            }
        }
    }
    out
}

fn colors(image: &Rgb, change: impl Fn([f32; 3]) -> [f32; 3]) -> Rgb {
    let n = image.height * image.width;
    let mut out = image.clone();
    for i in 0..n {
        let rgb = change([0, 1, 2].map(|c| image.values[c * n + i]));
        for (c, v) in rgb.into_iter().enumerate() {
            out.values[c * n + i] = v;
        }
    }
    clamped(out)
}

/// Rotates a color by `angle`, in radians, around the gray axis (Rodrigues' rotation formula).
fn turn_hue(rgb: [f32; 3], angle: f32) -> [f32; 3] {
    let (sin, cos) = angle.sin_cos();
    let mean = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
    let across = [rgb[2] - rgb[1], rgb[0] - rgb[2], rgb[1] - rgb[0]];
    [0, 1, 2].map(|c| mean + (rgb[c] - mean) * cos + across[c] * sin / 3f32.sqrt())
}

/// Blurs an image with the 3 x 3 binomial filter.
pub(crate) fn blur(image: &Rgb) -> Rgb {
    let (h, w) = (image.height, image.width);
    let mut out = image.clone();
    for c in 0..3 {
        let plane = image.plane(c);
        let row = |y: usize, x: usize| {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(w - 1));
            (plane[y * w + left] + 2.0 * plane[y * w + x] + plane[y * w + right]) / 4.0
        };
        for y in 0..h {
            for x in 0..w {
                let (up, down) = (y.saturating_sub(1), (y + 1).min(h - 1));
                out.values[(c * h + y) * w + x] =
                    (row(up, x) + 2.0 * row(y, x) + row(down, x)) / 4.0;
            }
        }
    }
    out
}

fn clamped(mut image: Rgb) -> Rgb {
    for v in &mut image.values {
        *v = v.clamp(0.0, 1.0);
    }
    image
}
