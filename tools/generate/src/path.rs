//! Paths through latent space, as functions of `time`, which goes from 0 to 1 over the video.

use std::f64::consts::TAU;

use rng::RandomState;

/// A point on a circle in z through the latent of `seed`, `z_dim` values: `cos(t) a + sin(t) b` with `t = 2 pi time`
/// and two independent normal latents. Each point is normally distributed, too.
pub fn circular(seed: u32, z_dim: usize, time: f64) -> Vec<f32> {
    let mut random = RandomState::new(seed);
    // The first latent is the one that `generate images` makes from this seed.
    let (a, b) = (random.randn(z_dim), random.randn(z_dim));
    let (sin, cos) = (time * TAU).sin_cos();
    a.iter()
        .zip(&b)
        .map(|(a, b)| (cos * a + sin * b) as f32)
        .collect()
}

/// A point on a smooth closed random curve in z, `z_dim` values. Each element is a random Fourier series of `windings`
/// terms with variance 1.
pub fn noise_loop(seed: u32, z_dim: usize, windings: u32, time: f64) -> Vec<f32> {
    let mut random = RandomState::new(seed);
    let mut z = vec![0f64; z_dim];
    for k in 1..=windings {
        let (sin, cos) = (f64::from(k) * time * TAU).sin_cos();
        let (a, b) = (random.randn(z_dim), random.randn(z_dim));
        for (z, (a, b)) in z.iter_mut().zip(a.iter().zip(&b)) {
            *z += cos * a + sin * b;
        }
    }
    let scale = 1.0 / f64::from(windings).sqrt();
    z.iter().map(|v| (v * scale) as f32).collect()
}

/// Spherical interpolation from `a` (`time` 0) to `b` (`time` 1). The length of the vector is interpolated linearly.
pub fn slerp(a: &[f32], b: &[f32], time: f64) -> Vec<f32> {
    let norm = |v: &[f32]| {
        let sum: f64 = v.iter().map(|&x| f64::from(x).powi(2)).sum();
        sum.sqrt()
    };
    let (na, nb) = (norm(a), norm(b));
    let dot: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum();
    let cos = if na * nb > 0.0 {
        (dot / (na * nb)).clamp(-1.0, 1.0)
    } else {
        1.0
    };
    let angle = cos.acos();
    // Parallel vectors have no arc between them, and opposite ones have infinitely many: interpolate linearly.
    let (wa, wb) = if angle.sin() < 1e-6 {
        (1.0 - time, time)
    } else {
        let length = na + (nb - na) * time;
        (
            ((1.0 - time) * angle).sin() / angle.sin() * length / na,
            (time * angle).sin() / angle.sin() * length / nb,
        )
    };
    a.iter()
        .zip(b)
        .map(|(&x, &y)| (wa * f64::from(x) + wb * f64::from(y)) as f32)
        .collect()
}

/// The index of the segment in which a frame lies, and the time within the segment from 0 to below 1, for `frames`
/// frames in each segment.
pub fn segment(frame: usize, frames: usize) -> (usize, f64) {
    (frame / frames, (frame % frames) as f64 / frames as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variance(z: &[f32]) -> f64 {
        z.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / z.len() as f64
    }

    #[test]
    fn walks_are_closed_smooth_and_stay_normal() {
        let walks: [&dyn Fn(f64) -> Vec<f32>; 2] =
            [&|t| circular(7, 512, t), &|t| noise_loop(7, 512, 3, t)];
        for walk in walks {
            let (start, end) = (walk(0.0), walk(1.0));
            let most = start.iter().zip(&end).map(|(a, b)| (a - b).abs());
            assert!(most.fold(0.0, f32::max) < 1e-5);
            for i in 0..100 {
                let (z, next) = (walk(f64::from(i) / 100.0), walk(f64::from(i + 1) / 100.0));
                assert!((0.7..1.4).contains(&variance(&z)), "{}", variance(&z));
                let step: Vec<f32> = z.iter().zip(&next).map(|(a, b)| a - b).collect();
                assert!(
                    (0.0001..0.1).contains(&variance(&step)),
                    "{}",
                    variance(&step)
                );
            }
        }
        let z: Vec<f32> = RandomState::new(7)
            .randn(512)
            .iter()
            .map(|&v| v as f32)
            .collect();
        assert_eq!(circular(7, 512, 0.0), z);
    }

    #[test]
    fn arcs_go_from_end_to_end_at_even_speed() {
        let (a, b) = ([3.0, 0.0], [0.0, 1.0]);
        assert_eq!(slerp(&a, &b, 0.0), [3.0, 0.0]);
        let end = slerp(&a, &b, 1.0);
        assert!(end[0].abs() < 1e-6 && (end[1] - 1.0).abs() < 1e-6);
        let half = slerp(&a, &b, 0.5);
        let root2 = 2f32.sqrt();
        assert!(
            (half[0] - root2).abs() < 1e-6 && (half[1] - root2).abs() < 1e-6,
            "{half:?}"
        );
        // Equal vectors have no arc; the result must not be NaN.
        assert_eq!(slerp(&a, &a, 0.3), a);
        assert!(slerp(&a, &[-3.0, 0.0], 0.3).iter().all(|v| v.is_finite()));
        assert!(slerp(&a, &[0.0, 0.0], 0.3).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn segments() {
        assert_eq!(segment(0, 4), (0, 0.0));
        assert_eq!(segment(7, 4), (1, 0.75));
        assert_eq!(segment(8, 4), (2, 0.0));
    }
}
