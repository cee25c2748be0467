//! A small dump of anime-style illustrations that are drawn by code, so that everything about them is known.
//!
//! [`Dump`] writes a folder as somebody may have downloaded it (works, copies of them, gray ones, broken files),
//! together with the [`Truth`] about every file. [`face`], which draws one character in a square, and [`posed`], which
//! draws one in a given pose, are for tests. Everything depends only on a seed and on arithmetic that is the same on
//! every machine, so a dump need not be stored, it can be drawn again.

mod alter;
mod background;
mod body;
mod canvas;
mod character;
mod color;
mod curve;
mod draw;
mod dump;
mod encode;
mod extras;
mod eye;
mod face;
mod faces;
mod hair;
mod kind;
mod lettering;
mod options;
mod plan;
mod pose;
mod scene;
mod style;
mod truth;

pub use dump::{Dump, DumpError, Progress};
pub use faces::FaceCrops;
pub use kind::Kind;
pub use options::DumpOptions;
pub use pose::{Pose, posed};
pub use scene::SceneKind;
pub use style::Style;
pub use truth::{FileTruth, Truth};

/// Draws one character, head and shoulders, in a square image of `size` x `size` pixels.
///
/// # Panics
/// When `size` is 0.
pub fn face(seed: u32, size: u32) -> image::RgbImage {
    scene::Scene::portrait(size, &mut draw::Draw::new(seed, 0)).paint()
}

/// Draws one image of the given kind, as in a dump.
pub fn image(seed: u32, kind: SceneKind) -> image::RgbImage {
    scene::Scene::plan(kind, &mut draw::Draw::new(seed, 0)).paint()
}
