//! TensorBoard's event files: scalars written and read.
//!
//! A file is a sequence of records ([`record`]) around protobuf messages `Event`: `wall_time` (1, double), `step` (2, varint),
//! `file_version` (3, text) in the first, `summary` (5) of `value` (1) with `tag` (1) and `simple_value` (2, float), or
//! `tensor` (8) as TensorFlow 2 writes it.

mod reader;
mod record;
mod writer;

pub use reader::{Events, Scalar};
pub(crate) use record::whole_length;
pub use writer::{EventWriter, events_path};
