//! An ONNX graph under construction.

use std::collections::HashSet;

use super::protobuf::Message;

/// Version of the operators: the last in which `ReduceMean` takes its axes as an attribute.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;
/// `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// A setting of a node.
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

/// Nodes and constants, in the order of computation.
#[derive(Default)]
pub(super) struct Graph {
    message: Message,
    constants: HashSet<String>,
    n_nodes: usize,
}

impl Graph {
    /// An input `[batch, ...]` of floats; without extents a scalar.
    pub fn input(&mut self, name: &str, shape: &[Option<usize>]) {
        let info = value_info(name, shape);
        self.message.message(11, &info);
    }

    /// An output `[batch, ...]` of floats.
    pub fn output(&mut self, name: &str, shape: &[Option<usize>]) {
        let info = value_info(name, shape);
        self.message.message(12, &info);
    }

    /// A constant; given again under the same name it is kept once.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, FLOAT, &raw)
    }

    /// A constant list of whole numbers.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], INT64, &raw)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: i64, raw: &[u8]) -> String {
        if self.constants.insert(name.to_owned()) {
            let mut tensor = Message::default();
            for &d in shape {
                tensor.int(1, d as i64);
            }
            tensor.int(2, kind).text(8, name).bytes(9, raw);
            self.message.message(5, &tensor);
        }
        name.to_owned()
    }

    /// A node with one output, whose name is returned.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let output = format!("{op}_{}", self.n_nodes);
        self.node_named(op, inputs, attributes, &output);
        output
    }

    /// A node whose output has a given name.
    pub fn node_named(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
        output: &str,
    ) {
        self.n_nodes += 1;
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        node.text(2, output).text(3, output).text(4, op);
        for (name, attribute) in attributes {
            let mut message = Message::default();
            message.text(1, name);
            match attribute {
                Attribute::Float(value) => message.float(2, *value).int(20, 1),
                Attribute::Int(value) => message.int(3, *value).int(20, 2),
                Attribute::Ints(values) => {
                    for value in values {
                        message.int(8, *value);
                    }
                    message.int(20, 7)
                }
            };
            node.message(5, &message);
        }
        self.message.message(1, &node);
    }

    /// The complete file.
    pub fn into_model(mut self, name: &str, metadata: &[(String, String)]) -> Vec<u8> {
        self.message.text(2, name);
        let mut opset = Message::default();
        opset.text(1, "").int(2, OPSET);
        let mut model = Message::default();
        model
            .int(1, IR_VERSION)
            .text(2, "kaogan")
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(7, &self.message)
            .message(8, &opset);
        for (key, value) in metadata {
            let mut entry = Message::default();
            entry.text(1, key).text(2, value);
            model.message(14, &entry);
        }
        model.into_bytes()
    }
}

fn value_info(name: &str, shape: &[Option<usize>]) -> Message {
    let mut extents = Message::default();
    for extent in shape {
        let mut dimension = Message::default();
        match extent {
            Some(n) => dimension.int(1, *n as i64),
            None => dimension.text(2, "batch"),
        };
        extents.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.int(1, FLOAT).message(2, &extents);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name).message(2, &kind);
    info
}
