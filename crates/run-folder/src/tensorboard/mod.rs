//! Writes and reads scalars in TensorBoard's event files.
//!
//! A file is a sequence of records ([`record`]), each with a protobuf message `Event`. The fields used here, with their
//! tag numbers and types: `wall_time` (1, double), `step` (2, varint), `file_version` (3, string; in the first record)
//! and `summary` (5, message). A summary contains `value` messages (1) with `tag` (1, string) and `simple_value` (2,
//! float), or `tensor` (8, message) in files of TensorFlow 2.

mod reader;
mod record;
mod writer;

pub use reader::{Events, Scalar};
pub(crate) use record::whole_length;
pub use writer::{EventWriter, events_path};
