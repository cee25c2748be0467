//! ONNX files by hand, written as the embedded detector writes its own.

#[path = "../../src/onnx/write.rs"]
#[allow(dead_code, reason = "the tests need only a part")]
mod write;

pub use write::*;

/// `NodeProto` with one attribute that is a number.
pub fn node_with_int(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    (name, value): (&str, i64),
) -> Message {
    let attribute = Message::default().bytes(1, name).int(3, value).int(20, 2);
    node(op, inputs, outputs, &[]).bytes(5, attribute)
}
