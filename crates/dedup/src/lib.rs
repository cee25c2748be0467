//! Finds near-duplicate images and the best copy of each group.
//!
//! The steps are: [`Thumb`] (96 x 96 RGB, integer area average) -> [`ImageHash`] (64 and 256 bit, plain and mirrored)
//! -> [`search`] (every pair within a Hamming radius, exact) -> [`verify`] (are the *pixels* a copy, a variant, or
//! neither?) -> [`group`] (stars around the best copy, no chaining).
//!
//! A hash alone cannot tell a copy from an expression or color variant, so no image is ever dropped on a hash
//! distance. Nothing here reads files, and nothing depends on the number of threads.
//!
//! ```
//! use dedup::{Relation, Thumb, VerifyOptions, verify};
//!
//! let side = 128;
//! let rgb: Vec<u8> = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 90]).collect();
//! let thumb = Thumb::new(&rgb, side, side);
//! let verification = verify(&thumb, &thumb, &VerifyOptions::default());
//! assert_eq!(verification.relation, Relation::Copy);
//! ```

mod align;
mod group;
mod hash;
mod index;
mod quality;
mod thumb;
mod verify;

pub use group::{Candidate, Candidates, GroupOptions, Member, Role, candidates, group};
pub use hash::{HASH_VERSION, Hash64, Hash256, ImageHash};
pub use index::{
    MAX_RADIUS, Match, Matches, SearchError, SearchOptions, kernel_name, search, search_between,
};
pub use quality::CopyQuality;
pub use thumb::{THUMB_BYTES, THUMB_SIDE, Thumb, area_average};
pub use verify::{Relation, Verification, VerifyOptions, verify};
