//! The strength of each transform, and its text form, for example `bgc`, `blit,geom` or `xflip,xint,scale=0.5,hue=0`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::AugmentError;

/// One transform of the pipe. The variants are in the order in which transforms are drawn and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transform {
    /// Mirrors horizontally.
    XFlip,
    /// Rotates by a random multiple of 90 degrees.
    Rotate90,
    /// Translates by whole pixels.
    XInt,
    /// Scales both axes by the same factor.
    Scale,
    /// Rotates by a random angle. There are two such rotations, one before and one after the anisotropic scaling.
    Rotate,
    /// Scales the axes by reciprocal factors (anisotropic scaling).
    Aniso,
    /// Translates by fractions of a pixel.
    XFrac,
    /// Adds the same offset to all colors (brightness).
    Brightness,
    /// Scales all colors by the same factor (contrast).
    Contrast,
    /// Inverts the luma and keeps the chroma.
    LumaFlip,
    /// Rotates colors around the luma axis (hue).
    Hue,
    /// Scales the distance of colors from the luma axis (saturation).
    Saturation,
    /// Amplifies or attenuates each of four frequency bands.
    ImgFilter,
    /// Adds Gaussian noise to every pixel and channel.
    Noise,
    /// Sets the pixels of a rectangle to 0, which is mid-gray (cutout).
    Cutout,
}

use Transform::*;

impl Transform {
    /// All transforms, in the order in which they are applied.
    pub const ALL: [Transform; 15] = [
        XFlip, Rotate90, XInt, Scale, Rotate, Aniso, XFrac, Brightness, Contrast, LumaFlip, Hue,
        Saturation, ImgFilter, Noise, Cutout,
    ];

    /// The name of the transform in the text form of [`AugPipe`].
    pub fn name(self) -> &'static str {
        match self {
            XFlip => "xflip",
            Rotate90 => "rotate90",
            XInt => "xint",
            Scale => "scale",
            Rotate => "rotate",
            Aniso => "aniso",
            XFrac => "xfrac",
            Brightness => "brightness",
            Contrast => "contrast",
            LumaFlip => "lumaflip",
            Hue => "hue",
            Saturation => "saturation",
            ImgFilter => "imgfilter",
            Noise => "noise",
            Cutout => "cutout",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The categories of ADA (arXiv:2006.06676), as ranges of indices in [`Transform::ALL`].
const CATEGORIES: [(&str, std::ops::Range<usize>); 6] = [
    ("blit", 0..3),
    ("geom", 3..7),
    ("color", 7..12),
    ("filter", 12..13),
    ("noise", 13..14),
    ("cutout", 14..15),
];

/// Names for several categories at once, as ranges of indices in [`Transform::ALL`].
const UNIONS: [(&str, std::ops::Range<usize>); 5] = [
    ("bg", 0..7),
    ("bgc", 0..12),
    ("bgcf", 0..13),
    ("bgcfn", 0..14),
    ("bgcfnc", 0..15),
];

/// The strength of each transform: a factor on the probability p; 0 turns the transform off.
///
/// The text form is a list separated by commas, of categories (`blit geom color filter noise cutout`), unions of
/// categories (`bg bgc bgcf bgcfn bgcfnc`) and transforms. Each may be followed by its strength, `=strength`; the
/// default is 1. Later items override earlier ones (`bgc,hue=0`). `none` turns everything off.
///
/// ```
/// let pipe: augment::AugPipe = "bgc,hue=0".parse()?;
/// assert_eq!(pipe.strength(augment::Transform::Hue), 0.0);
/// assert_eq!(pipe.to_string(), "blit,geom,brightness,contrast,lumaflip,saturation");
/// # Ok::<(), augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AugPipe {
    strengths: [f64; 15],
}

impl AugPipe {
    /// The strength of `transform`; 0 means that it is off.
    pub fn strength(&self, transform: Transform) -> f64 {
        self.strengths[transform.index()]
    }

    /// Returns the pipe with a new strength for `transform`.
    ///
    /// # Errors
    /// When the strength is negative or not a number.
    pub fn with(mut self, transform: Transform, strength: f64) -> Result<Self, AugmentError> {
        if !(strength.is_finite() && strength >= 0.0) {
            return Err(AugmentError::Strength {
                item: transform.to_string(),
                strength: strength.to_string(),
            });
        }
        self.strengths[transform.index()] = strength;
        Ok(self)
    }

    /// The transforms with a strength above 0, in the order in which they are applied.
    pub fn active(&self) -> impl Iterator<Item = Transform> + '_ {
        Transform::ALL
            .into_iter()
            .filter(|&transform| self.strength(transform) > 0.0)
    }

    /// Whether all transforms are off.
    pub fn is_empty(&self) -> bool {
        self.active().next().is_none()
    }

    /// All names that the text form may contain.
    pub fn names() -> Vec<&'static str> {
        let sets = CATEGORIES.iter().chain(&UNIONS).map(|(name, _)| *name);
        let mut names: Vec<_> = sets.collect();
        for transform in Transform::ALL {
            if !names.contains(&transform.name()) {
                names.push(transform.name());
            }
        }
        names.push("none");
        names
    }
}

impl FromStr for AugPipe {
    type Err = AugmentError;

    fn from_str(text: &str) -> Result<Self, AugmentError> {
        let mut pipe = AugPipe::default();
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(pipe);
        }
        for item in text.split(',').map(str::trim) {
            let (name, strength) = match item.split_once('=') {
                None => (item, 1.0),
                Some((name, value)) => {
                    let strength = value.trim().parse::<f64>().ok();
                    let strength = strength.filter(|s| s.is_finite() && *s >= 0.0);
                    let strength = strength.ok_or_else(|| AugmentError::Strength {
                        item: name.trim().to_owned(),
                        strength: value.trim().to_owned(),
                    })?;
                    (name.trim(), strength)
                }
            };
            let name = name.to_ascii_lowercase();
            let set = CATEGORIES.iter().chain(&UNIONS).find(|(n, _)| *n == name);
            let range = match set {
                Some((_, range)) => range.clone(),
                None => {
                    let one = Transform::ALL.into_iter().find(|t| t.name() == name);
                    let one = one.ok_or_else(|| AugmentError::Name {
                        name: name.clone(),
                        text: text.to_owned(),
                        valid: Self::names().join(" "),
                    })?;
                    one.index()..one.index() + 1
                }
            };
            pipe.strengths[range].fill(strength);
        }
        Ok(pipe)
    }
}

impl fmt::Display for AugPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let is_union = |end: usize| {
            (0..self.strengths.len()).all(|i| self.strengths[i] == f64::from(u8::from(i < end)))
        };
        if let Some((name, _)) = UNIONS.iter().find(|(_, range)| is_union(range.end)) {
            return f.write_str(name);
        }
        let mut items = Vec::new();
        let mut item = |name: &str, strength: f64| {
            if strength == 1.0 {
                items.push(name.to_owned());
            } else if strength > 0.0 {
                items.push(format!("{name}={strength}"));
            }
        };
        for (name, range) in CATEGORIES {
            let strengths = &self.strengths[range.clone()];
            if strengths.iter().all(|&s| s == strengths[0]) {
                item(name, strengths[0]);
            } else {
                for transform in &Transform::ALL[range] {
                    item(transform.name(), self.strength(*transform));
                }
            }
        }
        f.write_str(&items.join(","))
    }
}

impl TryFrom<String> for AugPipe {
    type Error = AugmentError;

    fn try_from(text: String) -> Result<Self, AugmentError> {
        text.parse()
    }
}

impl From<AugPipe> for String {
    fn from(pipe: AugPipe) -> String {
        pipe.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AugPipe {
        text.parse().unwrap()
    }

    #[test]
    fn names_of_the_reference_mean_their_sets() {
        let active = |text: &str| -> Vec<_> { parse(text).active().map(Transform::name).collect() };
        assert_eq!(active("blit"), ["xflip", "rotate90", "xint"]);
        assert_eq!(active("geom"), ["scale", "rotate", "aniso", "xfrac"]);
        let color = ["brightness", "contrast", "lumaflip", "hue", "saturation"];
        assert_eq!(active("color"), color);
        assert_eq!(active("filter"), ["imgfilter"]);
        assert_eq!(parse("bg"), parse("blit,geom"));
        assert_eq!(parse("bgc"), parse("blit,geom,color"));
        assert_eq!(parse("bgcf"), parse("bgc,filter"));
        assert_eq!(parse("bgcfn"), parse("bgc,filter,noise"));
        assert_eq!(parse("bgcfnc"), parse("bgc,filter,noise,cutout"));
        assert!(parse("none").is_empty());
    }

    #[test]
    fn the_text_goes_there_and_back() {
        for (text, canonical) in [
            ("bgc", "bgc"),
            ("geom, blit", "bg"),
            ("xflip,xint,scale=0.5,hue=0", "xflip,xint,scale=0.5"),
            (
                "BGC,hue=0",
                "blit,geom,brightness,contrast,lumaflip,saturation",
            ),
            ("geom=0.25,cutout", "geom=0.25,cutout"),
            ("color,noise=2", "color,noise=2"),
            ("hue=0", "none"),
        ] {
            let pipe = parse(text);
            assert_eq!(pipe.to_string(), canonical);
            assert_eq!(parse(canonical), pipe);
            let json = serde_json::to_string(&pipe).unwrap();
            assert_eq!(json, format!("\"{canonical}\""));
            assert_eq!(serde_json::from_str::<AugPipe>(&json).unwrap(), pipe);
        }
    }

    #[test]
    fn mistakes_name_the_way_out() {
        let error = "blit,geo".parse::<AugPipe>().unwrap_err().to_string();
        assert!(
            error.contains("'geo'") && error.contains("blit geom color"),
            "{error}"
        );
        for wrong in ["scale=x", "scale=-1", "scale=nan", "scale="] {
            let error = wrong.parse::<AugPipe>().unwrap_err().to_string();
            assert!(error.contains("scale"), "{error}");
        }
        assert!("".parse::<AugPipe>().is_err());
        assert!("blit,,geom".parse::<AugPipe>().is_err());
        assert!(AugPipe::default().with(Hue, f64::NAN).is_err());
    }
}
