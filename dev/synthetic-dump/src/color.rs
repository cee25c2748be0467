//! Colors and palettes.

use tiny_skia::Color;

/// An opaque color: red, green and blue, 0 to 1 each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpaqueColor(pub [f32; 3]);

impl OpaqueColor {
    pub const WHITE: Self = Self([1.0; 3]);

    /// A color given as `0xRRGGBB`.
    pub const fn hex(value: u32) -> Self {
        Self([
            ((value >> 16) & 255) as f32 / 255.0,
            ((value >> 8) & 255) as f32 / 255.0,
            (value & 255) as f32 / 255.0,
        ])
    }

    /// A color by its hue in turns, and its saturation and value in 0 to 1.
    pub fn hsv(hue: f32, saturation: f32, value: f32) -> Self {
        let channel = |shift: f32| {
            let k = (shift + hue * 6.0) % 6.0;
            value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        Self([channel(5.0), channel(3.0), channel(1.0)])
    }

    /// A mixture of this color with `share` (0 to 1) of another one.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let mut mixed = self.0;
        for (mine, its) in mixed.iter_mut().zip(other.0) {
            *mine += (its - *mine) * share;
        }
        Self(mixed)
    }

    /// A lighter color: a mixture with `share` of white.
    pub fn tint(self, share: f32) -> Self {
        self.mix(Self::WHITE, share)
    }

    /// A darker color, as painters shade: a mixture with `share` of a dark violet.
    pub fn shade(self, share: f32) -> Self {
        self.mix(Self([0.16, 0.08, 0.22]), share)
    }

    pub fn opaque(self) -> Color {
        self.alpha(1.0)
    }

    /// This color with an opacity of 0 to 1.
    pub fn alpha(self, alpha: f32) -> Color {
        let [r, g, b] = self.0.map(|v| v.clamp(0.0, 1.0));
        Color::from_rgba(r, g, b, alpha.clamp(0.0, 1.0)).unwrap_or(Color::BLACK)
    }
}

/// Hair colors, each with its tag.
pub const HAIR: [(&str, OpaqueColor); 14] = [
    ("black_hair", OpaqueColor::hex(0x3a3544)),
    ("brown_hair", OpaqueColor::hex(0x8a5a3c)),
    ("light_brown_hair", OpaqueColor::hex(0xc08a5a)),
    ("blonde_hair", OpaqueColor::hex(0xf5d77a)),
    ("orange_hair", OpaqueColor::hex(0xf09a50)),
    ("red_hair", OpaqueColor::hex(0xcf4a4a)),
    ("pink_hair", OpaqueColor::hex(0xf5a3bf)),
    ("purple_hair", OpaqueColor::hex(0x9a78c8)),
    ("blue_hair", OpaqueColor::hex(0x5a8ad8)),
    ("aqua_hair", OpaqueColor::hex(0x6ccfd8)),
    ("green_hair", OpaqueColor::hex(0x78b878)),
    ("silver_hair", OpaqueColor::hex(0xc4c8d8)),
    ("white_hair", OpaqueColor::hex(0xeeeaf2)),
    ("dark_blue_hair", OpaqueColor::hex(0x3f4f86)),
];

/// Eye colors, each with its tag.
pub const EYES: [(&str, OpaqueColor); 9] = [
    ("blue_eyes", OpaqueColor::hex(0x3f86e0)),
    ("red_eyes", OpaqueColor::hex(0xd8404e)),
    ("green_eyes", OpaqueColor::hex(0x3fae6a)),
    ("brown_eyes", OpaqueColor::hex(0x9a5f38)),
    ("purple_eyes", OpaqueColor::hex(0x8f5fd0)),
    ("yellow_eyes", OpaqueColor::hex(0xe0a828)),
    ("aqua_eyes", OpaqueColor::hex(0x30b4c4)),
    ("pink_eyes", OpaqueColor::hex(0xe868a0)),
    ("orange_eyes", OpaqueColor::hex(0xe88838)),
];

pub const SKIN: [OpaqueColor; 5] = [
    OpaqueColor::hex(0xffeadd),
    OpaqueColor::hex(0xffe2d0),
    OpaqueColor::hex(0xfcd9c2),
    OpaqueColor::hex(0xf0c4a2),
    OpaqueColor::hex(0xc98f68),
];

pub const CLOTH: [OpaqueColor; 12] = [
    OpaqueColor::hex(0xf7f5f2),
    OpaqueColor::hex(0x3d4a78),
    OpaqueColor::hex(0xd9566a),
    OpaqueColor::hex(0x6aa9d8),
    OpaqueColor::hex(0xf2c14e),
    OpaqueColor::hex(0x7fb685),
    OpaqueColor::hex(0x9b7fc4),
    OpaqueColor::hex(0x4c4654),
    OpaqueColor::hex(0xf4b6c2),
    OpaqueColor::hex(0xe88d5a),
    OpaqueColor::hex(0x8fd3c8),
    OpaqueColor::hex(0xa3794f),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_lie_where_they_belong() {
        assert_eq!(
            OpaqueColor::hsv(0.0, 1.0, 1.0),
            OpaqueColor([1.0, 0.0, 0.0])
        );
        assert_eq!(
            OpaqueColor::hsv(1.0 / 3.0, 1.0, 1.0),
            OpaqueColor([0.0, 1.0, 0.0])
        );
        assert_eq!(OpaqueColor::hsv(0.5, 0.0, 0.5), OpaqueColor([0.5; 3]));
        assert_eq!(
            OpaqueColor::hex(0xff0000).mix(OpaqueColor::WHITE, 1.0),
            OpaqueColor::WHITE
        );
    }
}
