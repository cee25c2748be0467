//! The parameters of a character, and of a face's expression. Lengths are in head units (see `face`).

use crate::color::{self, OpaqueColor};
use crate::draw::Draw;

/// All parameters of a character except the expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Character {
    pub hair: (&'static str, OpaqueColor),
    pub eyes: (&'static str, OpaqueColor),
    /// Color of the eye on the right of the image; few characters have eyes of two colors.
    pub other_eye: OpaqueColor,
    pub skin: OpaqueColor,
    pub bangs: Bangs,
    pub back: Back,
    /// Length of side locks and back hair, 0 to 1.
    pub length: f32,
    pub has_side_locks: bool,
    pub has_ahoge: bool,
    /// Numbers in [-1, 1) that vary the shapes of single locks.
    pub locks: [f32; 8],
    /// Half the width and half the height of an open eye.
    pub eye_size: (f32, f32),
    /// Height by which the outer corners of the eyes are raised.
    pub eye_slant: f32,
    /// The y of the chin.
    pub chin: f32,
    /// Roundness of the chin, 0 (pointed) to 1.
    pub roundness: f32,
    pub outfit: Outfit,
    pub cloth: OpaqueColor,
    pub trim: OpaqueColor,
    pub extra: Extra,
    pub has_glasses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bangs {
    Straight,
    Parted,
    Swept,
    Spiky,
    Strand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Short,
    Bob,
    Long,
    Wavy,
    TwinTails,
    Ponytail,
    Buns,
    Spiky,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outfit {
    Sailor,
    Shirt,
    Hoodie,
    Kimono,
    Dress,
    Turtleneck,
    Tee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    Nothing,
    Bow,
    Clips,
    Flower,
    CatEars,
    Headphones,
    Hairband,
    /// Only where it is asked for: characters drawn at random never have it.
    Hat,
}

/// Expression of a face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expression {
    pub name: &'static str,
    pub left: Lid,
    pub right: Lid,
    pub mouth: Mouth,
    /// Height by which the brows are raised, and by which their inner ends are raised (worried) or, when negative,
    /// lowered (angry).
    pub brow: (f32, f32),
    /// Strength of the blush, 0 to 1.
    pub blush: f32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lid {
    /// An open eye; 1 is the usual openness.
    Open(f32),
    /// Closed in a smile.
    Happy,
    /// Closed, at rest.
    Calm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouth {
    Smile,
    OpenSmile,
    Round,
    Cat,
    Flat,
    Frown,
    Grin,
    Wavy,
}

const fn expression(
    name: &'static str,
    lids: [Lid; 2],
    mouth: Mouth,
    brow: (f32, f32),
    blush: f32,
) -> Expression {
    Expression {
        name,
        left: lids[0],
        right: lids[1],
        mouth,
        brow,
        blush,
    }
}

/// Every expression.
pub const EXPRESSIONS: [Expression; 12] = [
    expression("smile", [Lid::Open(1.0); 2], Mouth::Smile, (0.0, 0.0), 0.5),
    expression(
        "open_mouth",
        [Lid::Open(1.0); 2],
        Mouth::OpenSmile,
        (3.0, 1.0),
        0.6,
    ),
    expression(
        "closed_eyes",
        [Lid::Happy; 2],
        Mouth::OpenSmile,
        (5.0, 1.0),
        0.8,
    ),
    expression(
        "surprised",
        [Lid::Open(1.13); 2],
        Mouth::Round,
        (9.0, 2.0),
        0.3,
    ),
    expression(":3", [Lid::Open(1.0); 2], Mouth::Cat, (1.0, 1.0), 0.6),
    expression(
        "expressionless",
        [Lid::Open(0.86); 2],
        Mouth::Flat,
        (0.0, 0.0),
        0.1,
    ),
    expression(
        "angry",
        [Lid::Open(0.88); 2],
        Mouth::Frown,
        (-4.0, -8.0),
        0.2,
    ),
    expression("grin", [Lid::Open(0.95); 2], Mouth::Grin, (1.0, -3.0), 0.3),
    expression(
        "embarrassed",
        [Lid::Open(0.92); 2],
        Mouth::Wavy,
        (4.0, 7.0),
        1.0,
    ),
    expression(
        "one_eye_closed",
        [Lid::Open(1.0), Lid::Happy],
        Mouth::OpenSmile,
        (4.0, 1.0),
        0.6,
    ),
    expression("sleepy", [Lid::Calm; 2], Mouth::Smile, (2.0, 2.0), 0.6),
    expression(
        "half-closed_eyes",
        [Lid::Open(0.62); 2],
        Mouth::Flat,
        (-1.0, 0.0),
        0.2,
    ),
];

impl Character {
    /// Draws a new character at random.
    pub fn draw(draw: &mut Draw) -> Self {
        let eyes = draw.pick(&color::EYES);
        let other_eye = if draw.chance(0.04) {
            draw.pick(&color::EYES).1
        } else {
            eyes.1
        };
        let cloth = draw.pick(&color::CLOTH);
        let mut trim = draw.pick(&color::CLOTH);
        if trim == cloth {
            trim = if cloth == OpaqueColor::WHITE {
                color::CLOTH[1]
            } else {
                OpaqueColor::WHITE
            };
        }
        let (name, hair) = draw.pick(&color::HAIR);
        // The hair of each character gets a slightly different color.
        let toward = OpaqueColor::hsv(draw.range(0.0, 1.0), 0.5, 0.8);
        let eye_height = draw.range(28.0, 36.0);
        Self {
            hair: (name, hair.mix(toward, draw.range(0.0, 0.1))),
            eyes,
            other_eye,
            skin: color::SKIN[[0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4][draw.below(11)]],
            bangs: draw.pick(&[
                Bangs::Straight,
                Bangs::Parted,
                Bangs::Swept,
                Bangs::Swept,
                Bangs::Spiky,
                Bangs::Strand,
                Bangs::Strand,
            ]),
            back: draw.pick(&[
                Back::Short,
                Back::Bob,
                Back::Bob,
                Back::Long,
                Back::Long,
                Back::Wavy,
                Back::TwinTails,
                Back::Ponytail,
                Back::Buns,
                Back::Spiky,
            ]),
            length: draw.range(0.0, 1.0),
            has_side_locks: draw.chance(0.75),
            has_ahoge: draw.chance(0.35),
            locks: std::array::from_fn(|_| draw.signed()),
            eye_size: (draw.range(27.0, 32.0), eye_height),
            eye_slant: draw.range(-3.0, 6.0),
            chin: draw.range(116.0, 129.0),
            roundness: draw.range(0.0, 1.0),
            outfit: draw.pick(&[
                Outfit::Sailor,
                Outfit::Sailor,
                Outfit::Shirt,
                Outfit::Hoodie,
                Outfit::Kimono,
                Outfit::Dress,
                Outfit::Turtleneck,
                Outfit::Tee,
            ]),
            cloth,
            trim,
            extra: draw.pick(&[
                Extra::Nothing,
                Extra::Nothing,
                Extra::Nothing,
                Extra::Bow,
                Extra::Clips,
                Extra::Flower,
                Extra::CatEars,
                Extra::Headphones,
                Extra::Hairband,
            ]),
            has_glasses: draw.chance(0.08),
        }
    }

    /// The color of outlines around a shape of the color `fill`.
    pub fn line(fill: OpaqueColor) -> OpaqueColor {
        fill.shade(0.72)
    }
}
