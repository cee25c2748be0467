//! Resolves the augmentation settings.

use training::{Error, Result};

use super::{check, is_transfer, within};
use crate::augment_mode::AugmentMode;
use crate::overrides::Overrides;
use crate::run_name::RunName;

/// Default upper limit of the adaptive probability. Above it augmentations leak into the generated images
/// (arXiv:2006.06676, section 2.2). Without a limit, adaptation can raise it above 1; values up to 34 were observed.
const DEFAULT_MAX_P: f64 = 0.85;

/// The augmentation settings of a run; the fields become those of `TrainConfig`.
pub(super) struct Augmentation {
    /// Strength of each transform; `None` for no augmentation.
    pub pipe: Option<augment::AugPipe>,
    /// Augmentation probability at the start of the run.
    pub p: f64,
    /// Target of adaptation: mean sign of the logits for real images; `None` keeps the probability at `p`.
    pub target: Option<f64>,
    /// Thousands of images in which adaptation can move the probability from 0 to 1.
    pub kimg: u64,
    /// Upper limit of the probability under adaptation; `None` for no limit.
    pub max_p: Option<f64>,
}

/// Resolves the augmentation flags. Appends the values of `--aug`, `--p`, `--target` and `--augpipe`, where given, to
/// `name`, the name of the run.
///
/// # Errors
/// `Setting`, with the name of a flag that is invalid or contradicts another one.
pub(super) fn augmentation(flags: &Overrides, name: &mut RunName) -> Result<Augmentation> {
    let aug = flags.aug.unwrap_or(AugmentMode::Ada);
    if flags.aug.is_some() {
        name.note(aug.name());
    }
    let max_p = flags.ada_max_p.unwrap_or(DEFAULT_MAX_P);
    let is_limit = max_p == f64::INFINITY || (max_p > 0.0 && max_p <= 1.0);
    let reason = "must be above 0 and at most 1, or 'none'";
    check(is_limit, "ada-max-p", reason)?;
    let probability = |p: f64| (0.0..=1.0).contains(&p);
    let p = match (aug, flags.p) {
        (AugmentMode::Fixed, Some(p)) => {
            check(probability(p), "p", "must be from 0 to 1")?;
            name.note_number("p", p);
            p
        }
        (AugmentMode::Fixed, None) => return Err(Error::setting("p", "needed with aug=fixed")),
        (_, Some(_)) => return Err(Error::setting("p", "only with aug=fixed")),
        (_, None) => 0.0,
    };
    let target = match (aug, flags.target) {
        (AugmentMode::Ada, Some(target)) => {
            check(probability(target), "target", "must be from 0 to 1")?;
            name.note_number("target", target);
            Some(target)
        }
        (AugmentMode::Ada, None) => Some(0.6),
        (_, Some(_)) => return Err(Error::setting("target", "only with aug=ada")),
        (_, None) => None,
    };
    if flags.ada_kimg.is_some() && aug != AugmentMode::Ada {
        return Err(Error::setting("ada-kimg", "needs aug = ada"));
    }
    // Transfer learning needs faster adaptation; NVIDIA's StyleGAN2-ADA does the same.
    let kimg = if is_transfer(flags) { 100 } else { 500 };
    let kimg = within("ada-kimg", flags.ada_kimg, kimg, 1..=1_000_000)?;
    if flags.augpipe.is_some() {
        let reason = "not with aug=noaug: there would be no pipe";
        check(aug != AugmentMode::Noaug, "augpipe", reason)?;
    }
    let pipe: Option<augment::AugPipe> = match aug {
        AugmentMode::Noaug => None,
        _ => Some(flags.augpipe.as_deref().unwrap_or("bgc").parse()?),
    };
    if let (Some(pipe), Some(_)) = (&pipe, &flags.augpipe) {
        name.note(&part_of_name(&pipe.to_string()));
    }
    Ok(Augmentation {
        pipe,
        p,
        target,
        kimg,
        max_p: max_p.is_finite().then_some(max_p),
    })
}

/// The part of a run folder's name for a pipe: NVIDIA's name (`bg` for `blit,geom`), or else the list of transforms
/// with their strengths (`xflip-scale0.5`), or, where this list is too long, its checksum. Different pipes have
/// different names.
fn part_of_name(pipe: &str) -> String {
    const LONGEST: usize = 32;
    match pipe.len() > LONGEST {
        true => format!("aug{:08x}", crc32fast::hash(pipe.as_bytes())),
        false => pipe.replace(',', "-").replace('=', ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_that_differ_have_names_that_differ() {
        let named = |augpipe: &str| {
            let flags = Overrides {
                augpipe: Some(augpipe.into()),
                ..Overrides::default()
            };
            let mut name = RunName::new("faces");
            augmentation(&flags, &mut name).unwrap();
            name.into_text()
        };
        assert_eq!(named("bg"), "faces-bg");
        assert_eq!(named("geom, blit"), "faces-bg");
        assert_eq!(named("xflip,scale=0.5"), "faces-xflip-scale0.5");
        let long = "xflip,xint,scale=0.5,rotate=0.3,brightness";
        assert_ne!(named(long), named(&format!("{long}=2")));
        assert!(named(long).len() < 20, "{}", named(long));
    }
}
