//! Random numbers and colors from a seeded generator.

use rng::RandomState;

/// A uniform number in `low..high`.
pub fn uniform(random: &mut RandomState, low: f32, high: f32) -> f32 {
    low + (high - low) * random.random_sample() as f32
}

/// True with this probability (0 to 1).
pub fn chance(random: &mut RandomState, probability: f64) -> bool {
    random.random_sample() < probability
}

/// A random number in `low..high` whose logarithm is uniformly distributed.
pub fn log_uniform(random: &mut RandomState, (low, high): (f32, f32)) -> f32 {
    uniform(random, low.ln(), high.ln()).exp()
}

/// A random color, 0 to 255 per channel: near white, a gray, or any color.
pub fn any_color(random: &mut RandomState) -> [f32; 3] {
    match random.index(4) {
        0 => [uniform(random, 235.0, 255.0); 3],
        1 => [uniform(random, 0.0, 255.0); 3],
        _ => std::array::from_fn(|_| uniform(random, 0.0, 255.0)),
    }
}
