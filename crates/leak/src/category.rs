//! Kinds of augmentation that can leak.

use augment::{AugPipe, Transform};

/// A kind of augmentation that can leak into generated images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The image is rotated by 90, 180 or 270 degrees.
    Orientation,
    /// The image is enlarged or reduced.
    Scale,
    /// All hues are rotated by the same angle.
    Hue,
    /// The brightness is inverted: light and dark are exchanged.
    LumaInversion,
    /// The saturation of colors is increased or decreased.
    Saturation,
    /// Random noise is added to each pixel.
    Noise,
    /// A gray square covers a part of the image.
    Cutout,
    /// The image is blurred or sharpened.
    Filtering,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 8] = [
        Self::Orientation,
        Self::Scale,
        Self::Hue,
        Self::LumaInversion,
        Self::Saturation,
        Self::Noise,
        Self::Cutout,
        Self::Filtering,
    ];

    /// Whether an augmentation pipe contains a transform of this category with a strength above 0.
    pub fn is_in(self, pipe: &AugPipe) -> bool {
        let transforms: &[Transform] = match self {
            Self::Orientation => &[Transform::Rotate90, Transform::Rotate],
            Self::Scale => &[Transform::Scale, Transform::Aniso],
            Self::Hue => &[Transform::Hue],
            Self::LumaInversion => &[Transform::LumaFlip],
            Self::Saturation => &[Transform::Saturation],
            Self::Noise => &[Transform::Noise],
            Self::Cutout => &[Transform::Cutout],
            Self::Filtering => &[Transform::ImgFilter],
        };
        transforms
            .iter()
            .any(|transform| pipe.strength(*transform) > 0.0)
    }

    /// The name of the category in words, such as `luma inversion`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orientation => "orientation",
            Self::Scale => "scale",
            Self::Hue => "hue",
            Self::LumaInversion => "luma inversion",
            Self::Saturation => "saturation",
            Self::Noise => "noise",
            Self::Cutout => "cutout",
            Self::Filtering => "filtering",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_has_the_categories_of_its_transforms() {
        let of = |pipe: &str| -> Vec<Category> {
            let pipe: AugPipe = pipe.parse().unwrap();
            let all = Category::ALL.into_iter();
            all.filter(|category| category.is_in(&pipe)).collect()
        };
        assert_eq!(of("blit,geom"), [Category::Orientation, Category::Scale]);
        assert_eq!(of("xflip,xint"), []);
        assert_eq!(
            of("color,hue=0"),
            [Category::LumaInversion, Category::Saturation]
        );
        assert_eq!(of("bgcfnc"), Category::ALL);
    }
}
