//! The wire format of Protocol Buffers, without schemas or generated code.
//!
//! [`Fields`] iterates over the fields of a message, [`Message`] builds one. Both know only field numbers and wire
//! types; the caller knows what a field means (TensorBoard's events, ONNX graphs). Groups, which the format deprecated,
//! are refused.
//!
//! ```
//! let message = protobuf::Message::default().int(1, 150).bytes(2, "testing");
//! let bytes = message.into_bytes();
//! let fields: Result<Vec<_>, _> = protobuf::Fields::new(&bytes).collect();
//! let expected = vec![(1, protobuf::Value::Varint(150)), (2, protobuf::Value::Bytes(b"testing"))];
//! assert_eq!(fields, Ok(expected));
//! ```

mod reader;
mod writer;

pub use reader::{Error, Fields, Value, varint};
pub use writer::Message;
