//! The kinds of files in a dump.

use serde::{Deserialize, Serialize};

/// Kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An original.
    Work,
    /// A JPEG of lower quality.
    Reencoded,
    /// Shrunk to 50 to 80 %.
    Resized,
    /// 4 to 6 % of each side cut off.
    Cropped,
    /// Left and right swapped.
    Mirrored,
    /// Darker or brighter by up to 22 %.
    Brightness,
    /// A site's name in the corner.
    Watermark,
    /// The same drawing with another expression.
    Expression,
    /// The same drawing with hair and eyes in other colors.
    #[serde(rename = "colours")]
    Colors,
    /// A gray copy, stored as RGB.
    Gray,
    /// A sepia copy.
    Sepia,
    /// A copy in one other tint.
    Tinted,
    /// One flat color.
    Blank,
    /// Much wider than high.
    Banner,
    /// An image of some 50 pixels.
    Tiny,
    /// A JPEG whose end is missing.
    Truncated,
    /// A file of 0 bytes.
    Empty,
    /// Text under the name of an image.
    Text,
    /// A PNG signature and noise.
    Noise,
    /// A PNG header that promises 100,000 x 100,000 pixels.
    Bomb,
}

impl Kind {
    /// Whether the file is a copy that a cleaned dataset should not hold beside its original.
    pub fn is_copy(self) -> bool {
        matches!(
            self,
            Self::Reencoded
                | Self::Resized
                | Self::Cropped
                | Self::Mirrored
                | Self::Brightness
                | Self::Watermark
        )
    }

    /// Whether the file is another version of a drawing, not a copy of it.
    pub fn is_variant(self) -> bool {
        matches!(self, Self::Expression | Self::Colors)
    }

    /// Whether the file has no color, or one tint only.
    pub fn is_monochrome(self) -> bool {
        matches!(self, Self::Gray | Self::Sepia | Self::Tinted)
    }

    /// Whether the file is no image that can be read as a whole.
    pub fn is_broken(self) -> bool {
        matches!(
            self,
            Self::Truncated | Self::Empty | Self::Text | Self::Noise | Self::Bomb
        )
    }
}
