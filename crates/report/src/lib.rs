//! Self-contained HTML pages: one file, no scripts from elsewhere, pictures inside.
//!
//! A [`Page`] is a list of sections; each method adds one. All text is escaped.

mod base64;
mod histogram;
mod page;

pub use histogram::Histogram;
pub use page::{Page, Tile, escape};
