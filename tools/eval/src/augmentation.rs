//! The augmentation that a run was trained with, read from its `training_options.json`.

use std::fmt;

use augment::AugPipe;
use report::short;
use run_folder::RunRecord;

/// The augmentation of a run.
pub struct RunAugmentation {
    pub mode: AugmentationMode,
    /// The augmentation pipe; `None` without augmentation.
    pub pipe: Option<AugPipe>,
}

/// The way in which the augmentation probability p is determined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AugmentationMode {
    Off,
    Fixed(f64),
    /// Adaptive: p is adjusted so that the mean sign of the logits for real images approaches this target.
    Adaptive(f64),
}

impl RunAugmentation {
    /// The augmentation of a run; `None` when its options are missing or damaged.
    pub fn of(run: &RunRecord) -> Option<Self> {
        run.options.as_object()?;
        let kwargs = run.option(&["augment_kwargs"]).as_object();
        let strengths = kwargs.into_iter().flatten().filter_map(|(name, strength)| {
            let strength = strength.as_f64().filter(|strength| *strength > 0.0)?;
            Some(format!("{name}={strength}"))
        });
        // NVIDIA's options also contain ranges of transforms (`scale_std`), which are not transforms: skip them.
        let known = strengths.filter(|item| item.parse::<AugPipe>().is_ok());
        let pipe = known.collect::<Vec<_>>().join(",").parse::<AugPipe>();
        let pipe = pipe.ok().filter(|pipe| pipe.active().next().is_some());
        let mode = match (
            &pipe,
            run.option(&["ada_target"]).as_f64(),
            run.option(&["augment_p"]).as_f64(),
        ) {
            (None, ..) => AugmentationMode::Off,
            (_, Some(target), _) => AugmentationMode::Adaptive(target),
            (_, None, p) => AugmentationMode::Fixed(p.unwrap_or(0.0)),
        };
        Some(Self { mode, pipe })
    }
}

/// Formats as `ADA blit,geom`, `fixed p 0.2 blit,geom,color` or `no augmentation`.
impl fmt::Display for RunAugmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pipe) = &self.pipe else {
            return f.write_str("no augmentation");
        };
        match self.mode {
            AugmentationMode::Off => f.write_str("no augmentation"),
            AugmentationMode::Adaptive(_) => write!(f, "ADA {pipe}"),
            AugmentationMode::Fixed(p) => write!(f, "fixed p {} {pipe}", short(p)),
        }
    }
}

/// The largest augmentation probability from `0.75 * kimg` to `kimg`; 0 where the ticks do not record it.
pub fn recent_p(run: &RunRecord, kimg: f64) -> f64 {
    let recent = run.ticks.iter();
    let recent = recent.filter(|tick| tick.kimg <= kimg && tick.kimg >= 0.75 * kimg);
    recent
        .filter_map(|tick| tick.means.get("Progress/augment").copied())
        .fold(0.0, f64::max)
}
