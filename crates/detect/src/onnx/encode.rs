//! Encodes a checked graph as the ONNX file that the runtime reads.
//!
//! The file contains only what `graph` has parsed, so the runtime cannot interpret a field differently.

use super::graph::{Attribute, Dimension, Model, Node};
use super::tensors::Tensor;
use protobuf::Message;

/// The bytes of a `ModelProto`.
pub(super) fn encode(model: &Model<'_>) -> Vec<u8> {
    let mut small = Message::default();
    for node in &model.nodes {
        small = small.bytes(1, self::node(node));
    }
    small = small.bytes(2, "checked");
    for argument in &model.inputs {
        let dims = argument.dims.iter().flatten();
        let shape = dims.fold(Message::default(), |message, dimension| {
            let dimension = match dimension {
                Dimension::Fixed(size) => Message::default().int(1, *size as i64),
                Dimension::Free(name) => Message::default().bytes(2, name),
            };
            message.bytes(1, dimension)
        });
        let element = Message::default().int(1, argument.element as i64);
        let tensor = match argument.dims {
            Some(_) => element.bytes(2, shape),
            None => element,
        };
        let value = Message::default()
            .bytes(1, &argument.name)
            .bytes(2, Message::default().bytes(1, tensor));
        small = small.bytes(11, value);
    }
    for name in &model.outputs {
        small = small.bytes(12, Message::default().bytes(1, name));
    }
    // Compute the length first, so that weights are copied only once, into the file.
    let heads: Vec<Vec<u8>> = model
        .tensors
        .iter()
        .map(|(name, tensor)| tensor_head(name, tensor))
        .collect();
    let weights = heads.iter().zip(&model.tensors);
    let length: usize = weights
        .clone()
        .map(|(head, (_, tensor))| head.len() + tensor.data.len())
        .sum();
    let mut start = Message::default().int(1, 8);
    if let Some(opset) = model.opset {
        start = start.bytes(8, Message::default().bytes(1, "").int(2, opset.into()));
    }
    let mut file = start.head(7, small.as_ref().len() + length).into_bytes();
    file.reserve_exact(small.as_ref().len() + length);
    file.extend(small.as_ref());
    for (head, (_, tensor)) in weights {
        file.extend(head);
        file.extend(&*tensor.data);
    }
    file
}

fn node(node: &Node) -> Message {
    let mut message = Message::default();
    for input in &node.inputs {
        message = message.bytes(1, input);
    }
    for output in &node.outputs {
        message = message.bytes(2, output);
    }
    message = message.bytes(3, &node.name).bytes(4, &node.operator);
    for (name, value) in &node.attributes {
        let attribute = Message::default().bytes(1, name);
        let attribute = match value {
            Attribute::Int(value) => attribute.int(3, *value).int(20, 2),
            Attribute::Float(value) => attribute.float(2, *value).int(20, 1),
            Attribute::Text(value) => attribute.bytes(4, value).int(20, 3),
            Attribute::Ints(values) => values
                .iter()
                .fold(attribute, |message, &value| message.int(8, value))
                .int(20, 7),
            Attribute::Floats(values) => values
                .iter()
                .fold(attribute, |message, &value| message.float(7, value))
                .int(20, 6),
            Attribute::Tensor(tensor) => {
                let mut bytes = tensor_fields("", tensor)
                    .head(9, tensor.data.len())
                    .into_bytes();
                bytes.extend(&*tensor.data);
                attribute.bytes(5, bytes).int(20, 4)
            }
            // No supported operator has such an attribute.
            Attribute::Other(_) => continue,
        };
        message = message.bytes(5, attribute);
    }
    message
}

fn tensor_fields(name: &str, tensor: &Tensor<'_>) -> Message {
    let dims = tensor.dims.iter();
    dims.fold(Message::default(), |message, &size| {
        message.int(1, size as i64)
    })
    .int(2, tensor.element.number())
    .bytes(8, name)
}

/// The encoded initializer up to its raw values: field tag, total length, and all fields before the values.
fn tensor_head(name: &str, tensor: &Tensor<'_>) -> Vec<u8> {
    let fields = tensor_fields(name, tensor)
        .head(9, tensor.data.len())
        .into_bytes();
    let mut head = Message::default()
        .head(5, fields.len() + tensor.data.len())
        .into_bytes();
    head.extend(fields);
    head
}
