//! Draws a character in a given pose, for tests of face detectors.

use image::RgbImage;

use crate::character::{EXPRESSIONS, Extra, Lid};
use crate::draw::Draw;
use crate::scene::Scene;

/// Pose of a character. By default it looks straight ahead with open eyes, and the face takes a third of the image's
/// width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Half the width of the face, as a share of the image's side.
    pub half_face: f32,
    /// Tilt of the head in degrees, clockwise.
    pub tilt: f32,
    /// Direction of the head: 0 is straight ahead, 1 somewhat to the right of the image, 2 a half profile.
    pub turn: f32,
    /// Whether the character wears glasses.
    pub has_glasses: bool,
    /// Whether the eyes are closed in a smile; else they are open.
    pub has_closed_eyes: bool,
    /// Whether the character wears a hat; else there is nothing on the head.
    pub has_hat: bool,
}

impl Default for Pose {
    fn default() -> Self {
        Self {
            half_face: 0.17,
            tilt: 0.0,
            turn: 0.0,
            has_glasses: false,
            has_closed_eyes: false,
            has_hat: false,
        }
    }
}

/// Draws one character in a square image of `size` x `size` pixels. Returns the image, and the face box in pixels as
/// `[x0, y0, x1, y1]`, from the hairline to the chin.
///
/// # Panics
/// When `size` is 0.
pub fn posed(seed: u32, size: u32, pose: &Pose) -> (RgbImage, [f32; 4]) {
    let mut scene = Scene::portrait(size, &mut Draw::new(seed, 0));
    let mut face_box = [0.0; 4];
    for figure in &mut scene.people {
        figure.half_face = size as f32 * pose.half_face;
        figure.tilt = pose.tilt / 360.0;
        figure.look.turn = pose.turn;
        figure.who.has_glasses = pose.has_glasses;
        figure.who.extra = if pose.has_hat {
            Extra::Hat
        } else {
            Extra::Nothing
        };
        let is_asked = |lid| (lid == Lid::Happy) == pose.has_closed_eyes;
        let fitting = |e: &&crate::character::Expression| is_asked(e.left) && is_asked(e.right);
        if let Some(&expression) = EXPRESSIONS.iter().find(fitting) {
            figure.expression = expression;
        }
        face_box = figure.face_box().unwrap_or(face_box);
    }
    (scene.paint(), face_box)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wish_shows() {
        let plain = Pose::default();
        let (first, face) = posed(1, 200, &plain);
        assert!(
            (face[2] - face[0] - 0.34 * 200.0 * 1.08).abs() < 0.1,
            "{face:?}"
        );
        let wishes = [
            Pose {
                tilt: 20.0,
                ..plain
            },
            Pose { turn: 2.0, ..plain },
            Pose {
                has_glasses: true,
                ..plain
            },
            Pose {
                has_closed_eyes: true,
                ..plain
            },
            Pose {
                has_hat: true,
                ..plain
            },
            Pose {
                half_face: 0.1,
                ..plain
            },
        ];
        for pose in wishes {
            assert_ne!(posed(1, 200, &pose).0, first, "{pose:?}");
        }
        assert_eq!(posed(1, 200, &plain).0, first);
    }
}
