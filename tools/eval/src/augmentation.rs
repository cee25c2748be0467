//! The augmentation that a run was trained with, as its files tell it.

use std::fmt;

use augment::AugPipe;
use report::short;
use run_folder::RunRecord;

/// The augmentation of a run.
pub struct RunAugmentation {
    pub mode: AugmentationMode,
    /// `None` without augmentation.
    pub pipe: Option<AugPipe>,
}

/// How the probability p is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AugmentationMode {
    Off,
    Fixed(f64),
    /// Adaptive, towards this mean sign.
    Adaptive(f64),
}

impl RunAugmentation {
    /// `None` for runs without readable options.
    pub fn of(run: &RunRecord) -> Option<Self> {
        run.options.as_object()?;
        let kwargs = run.option(&["augment_kwargs"]).as_object();
        let strengths = kwargs.into_iter().flatten().filter_map(|(name, strength)| {
            let strength = strength.as_f64().filter(|strength| *strength > 0.0)?;
            Some(format!("{name}={strength}"))
        });
        // Also ranges of the reference's pipe (`scale_std`), which are no transforms.
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

/// `ADA blit,geom`, `fixed p 0.2 blit,geom,color`, `no augmentation`.
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

/// The largest p in the last quarter of a run up to a snapshot; 0 where the ticks do not tell.
pub fn recent_p(run: &RunRecord, kimg: f64) -> f64 {
    let recent = run.ticks.iter();
    let recent = recent.filter(|tick| tick.kimg <= kimg && tick.kimg >= 0.75 * kimg);
    recent
        .filter_map(|tick| tick.means.get("Progress/augment").copied())
        .fold(0.0, f64::max)
}
