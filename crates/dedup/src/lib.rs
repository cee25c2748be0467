//! Finds near-duplicate images and the best copy of each group.
//!
//! The steps are:
//!
//! 1. [`Thumb`]: the image reduced to 96 x 96 RGB by integer area averaging;
//! 2. [`ImageHash`]: perceptual hashes of 64 and 256 bits, plain and mirrored;
//! 3. [`candidates`]: all pairs of images whose hashes are within a Hamming radius, by the exact [`search`];
//! 4. [`verify`]: from the pixels of two thumbs, whether they are copies, variants or unrelated;
//! 5. [`group`]: builds groups as stars around the best copies; a copy of a copy does not join a star for that alone.
//!
//! A hash alone cannot distinguish a copy from a variant with another expression or other colors, so no image is
//! dropped because of a hash distance alone. Nothing here reads files, and no result depends on the number of threads.
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
