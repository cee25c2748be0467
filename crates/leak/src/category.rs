//! Kinds of augmentation that can leak.

/// Kinds of augmentation that can leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Turned by 90, 180 or 270 degrees.
    Orientation,
    /// Zoomed in or out.
    Scale,
    /// Hues turned.
    Hue,
    /// Light and dark exchanged.
    LumaInversion,
    /// Colors stronger or weaker.
    Saturation,
    /// Noise on each pixel.
    Noise,
    /// A gray square.
    Cutout,
    /// Blurred or sharpened.
    Filtering,
}

impl Category {
    /// All of them.
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

    /// In words.
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
