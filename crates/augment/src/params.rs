//! The random parameters of a batch, drawn in the order of NVIDIA's code.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::erfinv::erfinv;
use crate::{AugPipe, AugmentError, Distribution, RandomSource, Transform};

/// The ranges of the random parameters. The defaults are those of ADA (arXiv:2006.06676).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ranges {
    /// The largest translation by whole pixels, as a fraction of the image size.
    pub xint_max: f64,
    /// The standard deviation of log2 of the isotropic scale.
    pub scale_std: f64,
    /// The largest rotation in either direction, as a fraction of 180 degrees.
    pub rotate_max: f64,
    /// The standard deviation of log2 of the anisotropic scale.
    pub aniso_std: f64,
    /// The standard deviation of the translation by fractions of a pixel, as a fraction of the image size.
    pub xfrac_std: f64,
    /// The standard deviation of the brightness offset, for colors in -1..1.
    pub brightness_std: f64,
    /// The standard deviation of log2 of the contrast factor.
    pub contrast_std: f64,
    /// The largest rotation of the hue in either direction, as a fraction of 180 degrees.
    pub hue_max: f64,
    /// The standard deviation of log2 of the saturation factor.
    pub saturation_std: f64,
    /// A factor on the probability of each frequency band, the lowest band first.
    pub imgfilter_bands: [f64; 4],
    /// The standard deviation of log2 of a band's gain.
    pub imgfilter_std: f64,
    /// The scale of the noise strength, for colors in -1..1: the noise of each image has its own standard deviation,
    /// which is the absolute value of a normal number with standard deviation `noise_std`.
    pub noise_std: f64,
    /// The side of the rectangle, as a fraction of the image size.
    pub cutout_size: f64,
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges {
            xint_max: 0.125,
            scale_std: 0.2,
            rotate_max: 1.0,
            aniso_std: 0.2,
            xfrac_std: 0.125,
            brightness_std: 0.2,
            contrast_std: 0.5,
            hue_max: 1.0,
            saturation_std: 1.0,
            imgfilter_bands: [1.0; 4],
            imgfilter_std: 1.0,
            noise_std: 0.1,
            cutout_size: 0.5,
        }
    }
}

/// The shape of a batch of images, `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchShape {
    /// The number of images.
    pub batch: usize,
    /// The number of channels: 1 or 3; any number when no color transform is on.
    pub channels: usize,
    /// The height in pixels.
    pub height: usize,
    /// The width in pixels.
    pub width: usize,
}

/// The values of one random parameter for all images of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// The transform that the parameter belongs to. `Rotate` has two draws (before and after the anisotropic scaling),
    /// and `ImgFilter` has one for each of four bands.
    pub transform: Transform,
    /// For each image, whether the transform is applied.
    pub gates: Vec<bool>,
    /// The parameter, `components` values per image; where the transform is not applied, the values that change
    /// nothing.
    pub values: Vec<f32>,
    /// The number of values per image.
    pub components: usize,
}

impl Draw {
    /// The values of one image.
    pub fn of(&self, image: usize) -> &[f32] {
        &self.values[image * self.components..(image + 1) * self.components]
    }
}

/// All random parameters of the augmentation of one batch. They can be applied any number of times, saved and replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AugmentParams {
    /// The shape of the batch that the parameters were drawn for.
    pub shape: BatchShape,
    /// The parameters in the order in which they were drawn.
    pub draws: Vec<Draw>,
    /// Standard normal noise, `[batch, channels, height, width]` in row-major order; empty when noise is off.
    pub noise: Vec<f32>,
    /// The center (x, y) of the cut-out rectangle of each image, 0..1 across the image; empty when cutout is off.
    pub cutout_centers: Vec<[f32; 2]>,
}

/// The distribution of a parameter. Each value is computed from one uniform or normal random number.
#[derive(Clone, Copy)]
enum Law {
    /// Uniform over the integers `0..n` for the given `n`.
    Choice(f64),
    /// Uniform between minus and plus the given value.
    Within(f64),
    /// Normal with mean 0 and the given standard deviation.
    Normal(f64),
    /// `2^x` for a normal `x` with mean 0 and the given standard deviation.
    LogNormal(f64),
    /// The absolute value of a normal number with mean 0 and the given standard deviation.
    Amplitude(f64),
}

impl Law {
    fn distribution(self) -> Distribution {
        match self {
            Law::Choice(_) | Law::Within(_) => Distribution::Uniform,
            Law::Normal(_) | Law::LogNormal(_) | Law::Amplitude(_) => Distribution::Normal,
        }
    }

    /// The parameter for a random number `raw` from [`Law::distribution`].
    fn value(self, raw: f32) -> f32 {
        match self {
            Law::Choice(count) => (raw * count as f32).floor(),
            Law::Within(max) => (raw * 2.0 - 1.0) * max as f32,
            Law::Normal(std) => raw * std as f32,
            Law::LogNormal(std) => (raw * std as f32).exp2(),
            Law::Amplitude(std) => raw.abs() * std as f32,
        }
    }

    fn at_percentile(self, q: f64) -> f32 {
        let value = match self {
            Law::Choice(count) => (q * count).floor(),
            Law::Within(max) => (2.0 * q - 1.0) * max,
            Law::Normal(std) => erfinv(2.0 * q - 1.0) * std,
            Law::LogNormal(std) => (erfinv(2.0 * q - 1.0) * std).exp2(),
            Law::Amplitude(std) => erfinv(q) * std,
        };
        value as f32
    }

    /// The parameter value for which the transform changes nothing.
    fn identity(self) -> f32 {
        match self {
            Law::LogNormal(_) => 1.0,
            _ => 0.0,
        }
    }
}

/// The way in which parameters are chosen.
#[derive(Clone, Copy)]
enum Mode {
    /// Drawn at random; each transform is applied with this probability, times its strength.
    Random(f32),
    /// The given percentile (0 to 1) of every distribution, applied to all images.
    Percentile(f64),
}

/// One parameter to be drawn.
struct Step {
    transform: Transform,
    law: Law,
    components: usize,
    /// A factor on the strength of the transform.
    strength: f64,
    /// Whether this is the second rotation, which changes nothing in the mode `Percentile`.
    second: bool,
}

impl Ranges {
    /// All parameters in the order in which they are drawn. Noise and cutout draw further numbers after these.
    fn steps(&self) -> Vec<Step> {
        let step = |transform, law, components| Step {
            transform,
            law,
            components,
            strength: 1.0,
            second: false,
        };
        let rotate = step(Transform::Rotate, Law::Within(PI * self.rotate_max), 1);
        let mut steps = vec![
            step(Transform::XFlip, Law::Choice(2.0), 1),
            step(Transform::Rotate90, Law::Choice(4.0), 1),
            step(Transform::XInt, Law::Within(self.xint_max), 2),
            step(Transform::Scale, Law::LogNormal(self.scale_std), 1),
            rotate,
            step(Transform::Aniso, Law::LogNormal(self.aniso_std), 1),
            Step {
                second: true,
                ..step(Transform::Rotate, Law::Within(PI * self.rotate_max), 1)
            },
            step(Transform::XFrac, Law::Normal(self.xfrac_std), 2),
            step(Transform::Brightness, Law::Normal(self.brightness_std), 1),
            step(Transform::Contrast, Law::LogNormal(self.contrast_std), 1),
            step(Transform::LumaFlip, Law::Choice(2.0), 1),
            step(Transform::Hue, Law::Within(PI * self.hue_max), 1),
            step(
                Transform::Saturation,
                Law::LogNormal(self.saturation_std),
                1,
            ),
        ];
        for strength in self.imgfilter_bands {
            steps.push(Step {
                strength,
                ..step(Transform::ImgFilter, Law::LogNormal(self.imgfilter_std), 1)
            });
        }
        steps.push(step(Transform::Noise, Law::Amplitude(self.noise_std), 1));
        steps
    }
}

/// For each image, whether a new uniform random number in [0, 1) is below `threshold`.
fn gates<R: RandomSource>(
    source: &mut R,
    batch: usize,
    threshold: f32,
) -> Result<Vec<bool>, AugmentError> {
    let mut raw = vec![0.0; batch];
    source.fill(Distribution::Uniform, &mut raw)?;
    Ok(raw.into_iter().map(|raw| raw < threshold).collect())
}

impl AugmentParams {
    /// Draws parameters at random; each transform is applied to an image with probability `p` times its strength. For
    /// each transform the values are drawn first, then the gates, which say whether it is applied.
    pub(crate) fn random<R: RandomSource>(
        pipe: &AugPipe,
        ranges: &Ranges,
        source: &mut R,
        p: f64,
        shape: BatchShape,
    ) -> Result<Self, AugmentError> {
        if !(p.is_finite() && p >= 0.0) {
            return Err(AugmentError::Probability(p));
        }
        Self::draw(pipe, ranges, source, Mode::Random(p as f32), shape)
    }

    /// Parameters that apply every transform that is on to every image, at one percentile (0 to 1) of its distribution.
    /// Only the noise is random.
    pub(crate) fn percentile<R: RandomSource>(
        pipe: &AugPipe,
        ranges: &Ranges,
        source: &mut R,
        percentile: f64,
        shape: BatchShape,
    ) -> Result<Self, AugmentError> {
        if !(0.0..=1.0).contains(&percentile) {
            return Err(AugmentError::Percentile(percentile));
        }
        Self::draw(pipe, ranges, source, Mode::Percentile(percentile), shape)
    }

    fn draw<R: RandomSource>(
        pipe: &AugPipe,
        ranges: &Ranges,
        source: &mut R,
        mode: Mode,
        shape: BatchShape,
    ) -> Result<Self, AugmentError> {
        let batch = shape.batch;
        let mut params = AugmentParams {
            shape,
            draws: Vec::new(),
            noise: Vec::new(),
            cutout_centers: Vec::new(),
        };
        let is_on = |transform| {
            // Hue and saturation do not exist for gray images.
            let is_color = matches!(transform, Transform::Hue | Transform::Saturation);
            pipe.strength(transform) > 0.0 && !(is_color && shape.channels == 1)
        };

        // The parameters: values first, then gates.
        for step in ranges.steps() {
            let Step {
                transform,
                law,
                components,
                ..
            } = step;
            if !is_on(transform) {
                continue;
            }
            let (values, gates) = match mode {
                Mode::Percentile(q) => {
                    let value = if step.second || step.strength == 0.0 {
                        law.identity()
                    } else {
                        law.at_percentile(q)
                    };
                    (vec![value; batch * components], vec![true; batch])
                }
                Mode::Random(p) => {
                    let mut values = vec![0.0; batch * components];
                    source.fill(law.distribution(), &mut values)?;
                    let mut threshold = pipe.strength(transform) as f32 * p * step.strength as f32;
                    if transform == Transform::Rotate {
                        // There are two rotations. Both get the same probability, such that at least one of them is
                        // applied with probability `threshold`.
                        threshold = 1.0 - (1.0 - threshold).clamp(0.0, 1.0).sqrt();
                    }
                    let gates = gates(source, batch, threshold)?;
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = if gates[i / components] {
                            law.value(*value)
                        } else {
                            law.identity()
                        };
                    }
                    (values, gates)
                }
            };
            params.draws.push(Draw {
                transform,
                gates,
                values,
                components,
            });
        }

        // The noise values.
        if is_on(Transform::Noise) {
            params.noise = vec![0.0; batch * shape.channels * shape.height * shape.width];
            source.fill(Distribution::Normal, &mut params.noise)?;
        }

        // Cutout: gates first, then centers.
        if is_on(Transform::Cutout) {
            let (gates, centers) = match mode {
                Mode::Percentile(q) => (vec![true; batch], vec![q as f32; 2 * batch]),
                Mode::Random(p) => {
                    let gates = gates(source, batch, pipe.strength(Transform::Cutout) as f32 * p)?;
                    let mut centers = vec![0.0; 2 * batch];
                    source.fill(Distribution::Uniform, &mut centers)?;
                    (gates, centers)
                }
            };
            let size = ranges.cutout_size as f32;
            let sizes = gates
                .iter()
                .flat_map(|&open| [if open { size } else { 0.0 }; 2]);
            params.cutout_centers = centers.chunks_exact(2).map(|c| [c[0], c[1]]).collect();
            params.draws.push(Draw {
                transform: Transform::Cutout,
                values: sizes.collect(),
                gates,
                components: 2,
            });
        }
        Ok(params)
    }

    /// All draws of one transform, in the order in which they were drawn.
    pub fn of(&self, transform: Transform) -> impl Iterator<Item = &Draw> {
        self.draws.iter().filter(move |d| d.transform == transform)
    }
}

#[cfg(test)]
mod tests {
    use rng::RandomState;

    use super::*;

    const SHAPE: BatchShape = BatchShape {
        batch: 2000,
        channels: 3,
        height: 2,
        width: 2,
    };

    fn draw(pipe: &str, p: f64, shape: BatchShape) -> AugmentParams {
        let pipe = pipe.parse().unwrap();
        let mut random = RandomState::new(7);
        AugmentParams::random(&pipe, &Ranges::default(), &mut random, p, shape).unwrap()
    }

    #[test]
    fn strengths_scale_the_probability() {
        let params = draw("xflip,scale=0.5,rotate,noise=0", 0.6, SHAPE);
        let fractions: Vec<f64> = params
            .draws
            .iter()
            .map(|d| d.gates.iter().filter(|g| **g).count() as f64 / 2000.0)
            .collect();
        let rotate = 1.0 - 0.4_f64.sqrt();
        for (fraction, expected) in fractions.iter().zip([0.6, 0.3, rotate, rotate]) {
            assert!((fraction - expected).abs() < 0.05, "{fractions:?}");
        }
        assert_eq!(fractions.len(), 4);
    }

    #[test]
    fn p_zero_is_the_identity() {
        for draw in draw("bgcfnc", 0.0, SHAPE).draws {
            let identity = match draw.transform {
                Transform::Scale
                | Transform::Aniso
                | Transform::Contrast
                | Transform::Saturation
                | Transform::ImgFilter => 1.0,
                _ => 0.0,
            };
            assert!(
                draw.values.iter().all(|v| *v == identity),
                "{}",
                draw.transform
            );
        }
    }

    #[test]
    fn gray_images_draw_neither_hue_nor_saturation() {
        let names = |channels| -> Vec<_> {
            let shape = BatchShape { channels, ..SHAPE };
            let draws = draw("color", 0.5, shape).draws;
            draws.iter().map(|d| d.transform.name()).collect()
        };
        assert_eq!(names(1), ["brightness", "contrast", "lumaflip"]);
        assert_eq!(names(3).len(), 5);
    }

    #[test]
    fn wrong_probabilities_are_refused() {
        let pipe = "bgc".parse().unwrap();
        let mut random = RandomState::new(0);
        for p in [-0.1, f64::NAN, f64::INFINITY] {
            let ranges = Ranges::default();
            assert!(AugmentParams::random(&pipe, &ranges, &mut random, p, SHAPE).is_err());
            assert!(AugmentParams::percentile(&pipe, &ranges, &mut random, p, SHAPE).is_err());
        }
    }
}
