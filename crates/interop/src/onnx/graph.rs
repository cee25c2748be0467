//! Builds the protobuf message of an ONNX graph and model.

use std::collections::HashSet;

use protobuf::Message;

/// Version of ONNX's operator set: the last one in which `ReduceMean` takes its axes as an attribute.
const OPSET: i64 = 17;
/// Version of the ONNX file format (`ir_version`) that belongs to [`OPSET`].
const IR_VERSION: i64 = 8;
/// Element types in ONNX's enumeration `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// The value of a node's attribute.
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

/// An ONNX graph (`GraphProto`). Nodes must be added in the order of computation.
#[derive(Default)]
pub(super) struct Graph {
    message: Message,
    constants: HashSet<String>,
    n_nodes: usize,
}

impl Graph {
    /// Adds an f32 input of the graph. The size `None` stands for the batch size, which is free; an empty shape is a
    /// scalar.
    pub fn input(&mut self, name: &str, shape: &[Option<usize>]) {
        self.push(11, value_info(name, shape));
    }

    /// Adds an f32 output of the graph; `shape` is as in [`Graph::input`].
    pub fn output(&mut self, name: &str, shape: &[Option<usize>]) {
        self.push(12, value_info(name, shape));
    }

    /// Adds an f32 constant and returns its name. If there is a constant of that name already, nothing is added.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, FLOAT, &raw)
    }

    /// Adds a one-dimensional i64 constant and returns its name, as [`Graph::constant`].
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, &[values.len()], INT64, &raw)
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: i64, raw: &[u8]) -> String {
        if self.constants.insert(name.to_owned()) {
            let dims = shape.iter();
            let tensor = dims.fold(Message::default(), |tensor, &d| tensor.int(1, d as i64));
            self.push(5, tensor.int(2, kind).bytes(8, name).bytes(9, raw));
        }
        name.to_owned()
    }

    /// Adds a node of the operator `op` with one output, and returns the generated name of the output.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let output = format!("{op}_{}", self.n_nodes);
        self.node_named(op, inputs, attributes, &output);
        output
    }

    /// Adds a node of the operator `op` with one output named `output`.
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
            node = node.bytes(1, input);
        }
        node = node.bytes(2, output).bytes(3, output).bytes(4, op);
        for (name, attribute) in attributes {
            let message = Message::default().bytes(1, name);
            let message = match attribute {
                Attribute::Float(value) => message.float(2, *value).int(20, 1),
                Attribute::Int(value) => message.int(3, *value).int(20, 2),
                Attribute::Ints(values) => {
                    let ints = values.iter();
                    ints.fold(message, |message, &value| message.int(8, value))
                        .int(20, 7)
                }
            };
            node = node.bytes(5, message);
        }
        self.push(1, node);
    }

    /// Appends a message to the graph as the protobuf field number `field` of `GraphProto`.
    fn push(&mut self, field: u64, message: Message) {
        self.message = std::mem::take(&mut self.message).bytes(field, message);
    }

    /// Returns the bytes of an ONNX file (`ModelProto`) with this graph under `name`, and `metadata` as pairs of key
    /// and value.
    pub fn into_model(self, name: &str, metadata: &[(String, String)]) -> Vec<u8> {
        let graph = self.message.bytes(2, name);
        let opset = Message::default().bytes(1, "").int(2, OPSET);
        let mut model = Message::default()
            .int(1, IR_VERSION)
            .bytes(2, "kaogan")
            .bytes(3, env!("CARGO_PKG_VERSION"))
            .bytes(7, graph)
            .bytes(8, opset);
        for (key, value) in metadata {
            let entry = Message::default().bytes(1, key).bytes(2, value);
            model = model.bytes(14, entry);
        }
        model.into_bytes()
    }
}

fn value_info(name: &str, shape: &[Option<usize>]) -> Message {
    let mut dimensions = Message::default();
    for size in shape {
        let dimension = match size {
            Some(n) => Message::default().int(1, *n as i64),
            None => Message::default().bytes(2, "batch"),
        };
        dimensions = dimensions.bytes(1, dimension);
    }
    let tensor = Message::default().int(1, FLOAT).bytes(2, dimensions);
    let kind = Message::default().bytes(1, tensor);
    Message::default().bytes(1, name).bytes(2, kind)
}
