//! Augmentation of color and quality: brightness, contrast, saturation, noise, blur and JPEG compression.

use image::codecs::jpeg::JpegEncoder;
use rng::RandomState;

use crate::canvas::Canvas;
use crate::random::{chance, uniform};

/// Weights of red, green and blue in luma (Rec. 601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Share of dark images among those whose color is changed.
const NIGHT: f64 = 0.12;

/// Applies random changes of color and quality to the whole canvas.
pub fn change(canvas: &mut Canvas, random: &mut RandomState) {
    if chance(random, 0.8) {
        let gain: [f32; 3] = {
            let all = if chance(random, NIGHT) {
                uniform(random, 0.3, 0.7)
            } else {
                uniform(random, 0.7, 1.25)
            };
            std::array::from_fn(|_| all * uniform(random, 0.88, 1.12))
        };
        let shift = uniform(random, -30.0, 30.0);
        let saturation = if chance(random, 0.15) {
            0.0
        } else {
            uniform(random, 0.5, 1.5)
        };
        let contrast = if chance(random, 0.1) {
            uniform(random, 1.3, 2.2)
        } else {
            1.0
        };
        for pixel in &mut canvas.pixels {
            let gray: f32 = pixel.iter().zip(LUMA).map(|(v, w)| v * w).sum();
            for (value, gain) in pixel.iter_mut().zip(gain) {
                let colored = gray + saturation * (*value - gray);
                *value = ((colored - 128.0) * contrast + 128.0) * gain + shift;
            }
        }
    }
    if chance(random, 0.12) {
        let deviation = uniform(random, 2.0, 12.0);
        for pixel in &mut canvas.pixels {
            let noise =
                deviation * (random.random_sample() + random.random_sample() - 1.0) as f32 * 2.4;
            pixel.iter_mut().for_each(|value| *value += noise);
        }
    }
    if chance(random, 0.15) {
        blur(canvas);
    }
    if chance(random, 0.25) {
        compress(canvas, random.randint(25, 80) as u8);
    }
    for pixel in &mut canvas.pixels {
        *pixel = pixel.map(|value| value.clamp(0.0, 255.0));
    }
}

/// Averages each pixel with its right neighbor, then with its lower one; both twice.
fn blur(canvas: &mut Canvas) {
    let side = canvas.side;
    for step in [1, side, 1, side] {
        for i in 0..side * side - step {
            for c in 0..3 {
                canvas.pixels[i][c] = 0.5 * (canvas.pixels[i][c] + canvas.pixels[i + step][c]);
            }
        }
    }
}

fn compress(canvas: &mut Canvas, quality: u8) {
    let mut bytes = Vec::new();
    let image = canvas.image();
    if JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(&image)
        .is_err()
    {
        return;
    }
    if let Ok(image) = image::load_from_memory(&bytes) {
        canvas.show(&image.into_rgb8());
    }
}
