//! The kinds of files in a dump.

use serde::{Deserialize, Serialize};

/// Kind of a file in a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An original.
    Work,
    /// A copy, as a JPEG of lower quality.
    Reencoded,
    /// A copy, shrunk to 50 to 80 % of the width and height.
    Resized,
    /// A copy with 4 to 6 % of its width and of its height cut off.
    Cropped,
    /// A copy with left and right swapped.
    Mirrored,
    /// A copy that is 10 to 22 % darker or 6 to 15 % brighter.
    Brightness,
    /// A copy with a site's name in the corner.
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
    /// A copy in a single tint of a random hue.
    Tinted,
    /// One flat color.
    Blank,
    /// An image much wider than high.
    Banner,
    /// An image with sides of about 50 pixels.
    Tiny,
    /// A JPEG whose end is missing.
    Truncated,
    /// A file of 0 bytes.
    Empty,
    /// Text in a file with the extension of an image.
    Text,
    /// A PNG signature followed by noise.
    Noise,
    /// A small PNG whose header states 100,000 x 100,000 pixels.
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

    /// Whether the file is not an image that can be read completely.
    pub fn is_broken(self) -> bool {
        matches!(
            self,
            Self::Truncated | Self::Empty | Self::Text | Self::Noise | Self::Bomb
        )
    }
}
