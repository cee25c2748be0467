//! A small dump of anime-style illustrations, drawn by code: images to try the tools on, with known truth.
//!
//! Public: [`Dump`], which writes a folder as somebody's download would be (works, copies of them, gray ones, broken
//! files) beside the [`Truth`] about every file; [`face`], one character in a square, and [`posed`],
//! one that is shown as asked, are for tests. Everything hangs on
//! a seed and on arithmetic that is the same on every machine, so a dump is never stored, only drawn again.

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
mod plan;
mod pose;
mod scene;
mod style;
mod truth;

pub use dump::{Dump, DumpError, DumpOptions, Progress};
pub use faces::FaceCrops;
pub use kind::Kind;
pub use pose::{Pose, posed};
pub use scene::SceneKind;
pub use style::Style;
pub use truth::{FileTruth, Truth};

/// One character, head and shoulders, in a square image of `size` x `size` pixels.
///
/// # Panics
/// When `size` is 0.
pub fn face(seed: u32, size: u32) -> image::RgbImage {
    scene::Scene::portrait(size, &mut draw::Draw::new(seed, 0)).paint()
}

/// One image of a kind, as a dump holds it.
pub fn image(seed: u32, kind: SceneKind) -> image::RgbImage {
    scene::Scene::plan(kind, &mut draw::Draw::new(seed, 0)).paint()
}
