//! Random files of every structure. A case number gives the same file on every machine.

use super::encoder::{Rng, Scan, Spec};

/// Description of a file, and the class that it is counted under.
pub struct Case {
    pub class: String,
    pub spec: Spec,
}

/// Horizontal and vertical sampling factor of a component.
type Factors = (usize, usize);

/// The file of case number `n`.
pub fn case(n: u32) -> Case {
    let mut rng = Rng(n.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995);
    rng.below(2);
    let n_components = [1, 3, 3, 3, 3, 4][rng.below(6) as usize];
    let is_common = rng.below(3) == 0;
    let factors = loop {
        let factors: Vec<Factors> = (0..n_components)
            .map(|i| match (is_common, i) {
                (true, 1 | 2) => (1, 1),
                (true, _) => (1 + rng.below(2) as usize, 1 + rng.below(2) as usize),
                (false, _) => (1 + rng.below(4) as usize, 1 + rng.below(4) as usize),
            })
            .collect();
        let max = |side: fn(&Factors) -> usize| factors.iter().map(side).max().unwrap_or(1);
        let (h, v) = (max(|f| f.0), max(|f| f.1));
        if factors.iter().all(|f| h % f.0 == 0 && v % f.1 == 0) {
            break factors;
        }
    };
    let ids: &[u8] = match rng.below(6) {
        0 => b"RGBA",
        1 => &[0, 1, 2, 3],
        2 => &[7, 77, 177, 200],
        _ => &[1, 2, 3, 4],
    };
    let components: Vec<(u8, usize, usize)> = factors
        .iter()
        .zip(ids)
        .map(|(&(h, v), &id)| (id, h, v))
        .collect();
    let size = (1 + rng.below(90) as usize, 1 + rng.below(90) as usize);
    let mut spec = Spec::new(size, &components);
    spec.seed = n;
    // An MCU has at most ten blocks.
    let is_interleavable = factors.iter().map(|(h, v)| h * v).sum::<usize>() <= 10;
    let coding = match rng.below(5) {
        0 | 1 if is_interleavable || n_components == 1 => "interleaved",
        2 if n_components > 1 && factors[1..].iter().map(|(h, v)| h * v).sum::<usize>() <= 10 => {
            spec.scans = [vec![0], (1..n_components).collect()]
                .map(|components| Scan {
                    components,
                    band: (0, 63),
                    bits: (0, 0),
                })
                .into();
            "scans of groups"
        }
        3 | 4 => {
            spec = spec.with_progression(is_interleavable && rng.below(3) > 0);
            "progressive"
        }
        _ => {
            spec = spec.with_scan_each();
            "a scan each"
        }
    };
    if rng.below(3) == 0 {
        spec.restart = 1 + rng.below(9) as usize;
    }
    let model = match n_components {
        1 => "gray",
        4 => {
            spec.adobe = [None, Some(0), Some(2)][rng.below(3) as usize];
            "four inks"
        }
        _ => {
            match rng.below(6) {
                0 => spec.adobe = Some(0),
                1 => spec.adobe = Some(1),
                2 => (spec.has_jfif, spec.adobe) = (true, Some(0)),
                3 => spec.has_jfif = true,
                _ => {}
            }
            "three components"
        }
    };
    let sampling = if is_common { "common" } else { "any" };
    let restarts = if spec.restart > 0 { ", restarts" } else { "" };
    Case {
        class: format!("{model}, {sampling} sampling, {coding}{restarts}"),
        spec,
    }
}

/// Mean colors of the four quarters of an RGB image: upper left, upper right, lower left, lower right.
#[allow(dead_code)]
pub fn quarters(pixels: &[u8], width: usize, height: usize) -> [u8; 12] {
    let mut sums = [(0u64, 0u64); 12];
    for (i, &value) in pixels.iter().enumerate() {
        let (x, y) = (i / 3 % width, i / 3 / width);
        let quarter = usize::from(2 * x >= width) + 2 * usize::from(2 * y >= height);
        let (sum, n) = &mut sums[3 * quarter + i % 3];
        *sum += u64::from(value);
        *n += 1;
    }
    sums.map(|(sum, n)| (sum / n.max(1)) as u8)
}
