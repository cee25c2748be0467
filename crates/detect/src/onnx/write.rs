//! Writes small ONNX graphs, for the embedded network and for tests.

pub use protobuf::Message;

/// A dimension of a tensor: fixed, or free with a name.
#[derive(Clone, Copy)]
pub enum Side {
    Fixed(i64),
    Free(&'static str),
}

/// The `ValueInfoProto` (name and shape) of an f32 input or output.
pub fn value_info(name: &str, shape: &[Side]) -> Message {
    let shape = shape.iter().fold(Message::default(), |message, side| {
        let dimension = match side {
            Side::Fixed(size) => Message::default().int(1, *size),
            Side::Free(name) => Message::default().bytes(2, name),
        };
        message.bytes(1, dimension)
    });
    let tensor = Message::default().int(1, 1).bytes(2, shape);
    Message::default()
        .bytes(1, name)
        .bytes(2, Message::default().bytes(1, tensor))
}

/// The `TensorProto` of an f32 initializer.
pub fn floats(name: &str, shape: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let message = shape
        .iter()
        .fold(Message::default(), |message, &size| message.int(1, size));
    message.int(2, 1).bytes(8, name).bytes(9, raw)
}

/// A `NodeProto` whose attributes are lists of integers.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, &[i64])]) -> Message {
    let message = inputs
        .iter()
        .fold(Message::default(), |message, input| message.bytes(1, input));
    let message = outputs
        .iter()
        .fold(message, |message, output| message.bytes(2, output));
    attributes.iter().fold(
        message
            .bytes(3, format!("{op}_{}", outputs[0]))
            .bytes(4, op),
        |message, (name, values)| {
            let attribute = Message::default().bytes(1, name).int(20, 7);
            message.bytes(
                5,
                values
                    .iter()
                    .fold(attribute, |attribute, &value| attribute.int(8, value)),
            )
        },
    )
}

/// The `AttributeProto` of a text attribute.
pub fn text(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).bytes(4, value).int(20, 3)
}

/// The parts of a graph under construction, each an encoded message.
#[derive(Default)]
pub struct Graph {
    pub nodes: Vec<Message>,
    pub weights: Vec<Message>,
    pub inputs: Vec<Message>,
    pub outputs: Vec<Message>,
    pub metadata: Vec<(&'static str, &'static str)>,
}

impl Graph {
    /// The bytes of a `ModelProto` with the graph, of operator set 13.
    pub fn file(self) -> Vec<u8> {
        let add = |graph: Message, field, parts: Vec<Message>| {
            parts
                .into_iter()
                .fold(graph, |graph, part| graph.bytes(field, part))
        };
        let graph = add(Message::default(), 1, self.nodes).bytes(2, "drawn");
        let graph = add(
            add(add(graph, 5, self.weights), 11, self.inputs),
            12,
            self.outputs,
        );
        let model = Message::default()
            .int(1, 8)
            .bytes(7, graph)
            .bytes(8, Message::default().bytes(1, "").int(2, 13));
        let model = self.metadata.iter().fold(model, |model, (key, value)| {
            model.bytes(14, Message::default().bytes(1, key).bytes(2, value))
        });
        model.as_ref().to_vec()
    }
}

/// The `TensorProto` of a one-dimensional i64 initializer.
pub fn ints(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Message::default()
        .int(1, values.len() as i64)
        .int(2, 7)
        .bytes(8, name)
        .bytes(9, raw)
}
