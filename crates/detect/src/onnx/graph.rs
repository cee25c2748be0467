//! Parses the graph of an ONNX file without the runtime: nodes, attributes, initializers, inputs and outputs.
//!
//! Only what this module has parsed reaches the runtime (`encode` writes it again), so both see the same graph. Fields
//! without influence on the result (names of producers, documentation, shapes of intermediate values) are skipped.

use super::limits::MAX_RANK;
use super::tensors::{self, Tensor};
use super::wire::{Fields, Value, text, varint};

/// Largest number of nodes of a graph; the largest YOLO exports have about 1,000.
const MAX_NODES: usize = 4096;
/// Largest number of inputs of a node, and of outputs of a node or of the graph; the runtime's scheduling time is
/// quadratic in it.
const MAX_ARGUMENTS: usize = 64;
/// Largest number of attributes of a node.
const MAX_ATTRIBUTES: usize = 32;
/// Largest number of values in a list attribute.
const MAX_LIST: usize = 64;
/// Largest number of initializers, and of graph inputs, which in old files repeat the initializers.
const MAX_TENSORS: usize = 16_384;

/// The parsed content of an ONNX file.
#[derive(Default)]
pub(super) struct Model<'a> {
    /// Version of the standard operator set, if the file states it.
    pub opset: Option<u16>,
    pub nodes: Vec<Node>,
    /// Initializers and the values of `Constant` nodes, each with its name.
    pub tensors: Vec<(String, Tensor<'a>)>,
    /// Graph inputs without an initializer of the same name.
    pub inputs: Vec<Argument>,
    pub outputs: Vec<String>,
    /// The metadata entry `names`, the class names as Ultralytics writes them: `{0: 'face', 1: 'body'}`.
    pub class_names: Option<String>,
}

/// A node: an operator with the names of its inputs and outputs; an empty name stands for an omitted input or output.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub operator: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<(String, Attribute)>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Tensor(Tensor<'static>),
    /// A value of a kind that no supported operator uses, with a description of the kind.
    Other(&'static str),
}

/// A graph input.
#[derive(Clone, Debug, Default)]
pub(super) struct Argument {
    pub name: String,
    /// Element type, numbered as in `TensorProto.DataType`; 1 is f32, 0 is unknown.
    pub element: u64,
    pub dims: Option<Vec<Dimension>>,
}

/// A dimension of a graph input: fixed, or free with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dimension {
    Fixed(u64),
    Free(String),
}

type Reading<T> = Result<T, String>;

impl<'a> Model<'a> {
    /// Parses the bytes of a file; the error describes the problem.
    pub fn read(bytes: &'a [u8]) -> Reading<Self> {
        if bytes.is_empty() {
            return Err("is empty".into());
        }
        let mut model = Self::default();
        let mut graph = None;
        for field in Fields::new(bytes) {
            match field? {
                (7, Value::Bytes(content)) => {
                    if graph.is_some() {
                        return Err("is damaged: it has two graphs".into());
                    }
                    graph = Some(content);
                }
                (8, Value::Bytes(content)) => model.read_opset(content)?,
                (14, Value::Bytes(content)) => model.read_metadata(content)?,
                (25, _) => {
                    return Err(
                        "defines functions of its own: export it with standard operators only"
                            .into(),
                    );
                }
                _ => {}
            }
        }
        let graph = graph.ok_or("is not an ONNX model, or damaged: it has no graph")?;
        model.read_graph(graph)?;
        Ok(model)
    }

    fn read_opset(&mut self, message: &[u8]) -> Reading<()> {
        let (mut domain, mut version) = (String::new(), None);
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(content)) => domain = text(content)?,
                (2, Value::Varint(value)) => version = u16::try_from(value).ok(),
                _ => {}
            }
        }
        if is_standard(&domain) {
            self.opset = version;
        }
        Ok(())
    }

    fn read_metadata(&mut self, message: &[u8]) -> Reading<()> {
        let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(content)) => key = content,
                (2, Value::Bytes(content)) => value = content,
                _ => {}
            }
        }
        if key == b"names" {
            self.class_names = Some(String::from_utf8_lossy(value).into_owned());
        }
        Ok(())
    }

    fn read_graph(&mut self, message: &'a [u8]) -> Reading<()> {
        let mut arguments = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(content)) => {
                    at_most(MAX_NODES, self.nodes.len(), "nodes")?;
                    self.nodes.push(Node::read(content)?);
                }
                (5, Value::Bytes(content)) => {
                    at_most(MAX_TENSORS, self.tensors.len(), "initializers")?;
                    self.tensors.push(tensors::read(content)?);
                }
                (11, Value::Bytes(content)) => {
                    at_most(MAX_TENSORS, arguments.len(), "inputs")?;
                    arguments.push(Argument::read(content)?);
                }
                (12, Value::Bytes(content)) => {
                    at_most(MAX_ARGUMENTS, self.outputs.len(), "outputs")?;
                    self.outputs.push(Argument::read(content)?.name);
                }
                (15, _) => {
                    return Err("has sparse initializers: export it with dense ones".into());
                }
                _ => {}
            }
        }
        self.take_constants()?;
        let filled: std::collections::HashSet<&str> =
            self.tensors.iter().map(|(name, _)| name.as_str()).collect();
        arguments.retain(|argument| !filled.contains(argument.name.as_str()));
        self.inputs = arguments;
        Ok(())
    }

    /// Moves the values of `Constant` nodes to `tensors` and removes the nodes.
    fn take_constants(&mut self) -> Reading<()> {
        let (constants, nodes) = std::mem::take(&mut self.nodes)
            .into_iter()
            .partition(|node| node.operator == "Constant");
        self.nodes = nodes;
        for node in constants {
            let wrong = || {
                format!(
                    "has a Constant {} without one value of a supported kind",
                    node.name
                )
            };
            let ([output], [(_, value)]) = (&node.outputs[..], &node.attributes[..]) else {
                return Err(wrong());
            };
            let tensor = match value {
                Attribute::Tensor(tensor) => tensor.clone(),
                Attribute::Int(value) => Tensor::ints(Vec::new(), &[*value]),
                Attribute::Ints(values) => Tensor::ints(vec![values.len()], values),
                Attribute::Float(value) => Tensor::floats(Vec::new(), &[*value]),
                Attribute::Floats(values) => Tensor::floats(vec![values.len()], values),
                Attribute::Text(_) | Attribute::Other(_) => return Err(wrong()),
            };
            self.tensors.push((output.clone(), tensor));
        }
        Ok(())
    }
}

impl Node {
    fn read(message: &[u8]) -> Reading<Self> {
        let mut node = Self::default();
        let mut domain = String::new();
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(content)) => {
                    at_most(MAX_ARGUMENTS, node.inputs.len(), "inputs of a node")?;
                    node.inputs.push(text(content)?);
                }
                (2, Value::Bytes(content)) => {
                    at_most(MAX_ARGUMENTS, node.outputs.len(), "outputs of a node")?;
                    node.outputs.push(text(content)?);
                }
                (3, Value::Bytes(content)) => node.name = text(content)?,
                (4, Value::Bytes(content)) => node.operator = text(content)?,
                (5, Value::Bytes(content)) => {
                    at_most(
                        MAX_ATTRIBUTES,
                        node.attributes.len(),
                        "attributes of a node",
                    )?;
                    let attribute = read_attribute(content)?;
                    if node.attributes.iter().any(|(name, _)| *name == attribute.0) {
                        return Err(format!(
                            "is damaged: {} {} has two attributes {}",
                            node.operator, node.name, attribute.0
                        ));
                    }
                    node.attributes.push(attribute);
                }
                (7, Value::Bytes(content)) => domain = text(content)?,
                _ => {}
            }
        }
        if !is_standard(&domain) {
            node.operator = format!("{domain}/{}", node.operator);
        }
        if node.name.is_empty() {
            node.name = node.outputs.first().cloned().unwrap_or_default();
        }
        Ok(node)
    }
}

/// Reads the name and value of an attribute. The attribute's type, if the file states it, says which field holds the
/// value; otherwise the last field with a value is taken.
fn read_attribute(message: &[u8]) -> Reading<(String, Attribute)> {
    let mut name = String::new();
    let (mut kind, mut present) = (None, None);
    let (mut int, mut float, mut string) = (0, 0.0, String::new());
    let (mut ints, mut floats, mut tensor) = (Vec::new(), Vec::new(), None);
    for field in Fields::new(message) {
        let (number, value) = field?;
        let implied = match (number, value) {
            (1, Value::Bytes(content)) => {
                name = text(content)?;
                continue;
            }
            (20, Value::Varint(value)) => {
                kind = Some(value);
                continue;
            }
            (2, Value::Fixed32(bits)) => {
                float = f32::from_le_bytes(bits);
                1
            }
            (3, Value::Varint(value)) => {
                int = value as i64;
                2
            }
            (4, Value::Bytes(content)) => {
                string = text(content)?;
                3
            }
            (5, Value::Bytes(content)) => {
                tensor = Some(tensors::read(content)?.1.into_owned());
                4
            }
            (7, value) => {
                each_float(value, &mut floats)?;
                6
            }
            (8, value) => {
                each_int(value, &mut ints)?;
                7
            }
            (6 | 11, _) => 5,
            (9, _) => 8,
            (21, _) => return Err(format!("has an attribute {name} that refers to a function")),
            _ => continue,
        };
        present = Some(implied);
    }
    let kind = kind.filter(|kind| *kind != 0).or(present);
    let value = match kind {
        Some(1) => Attribute::Float(float),
        Some(2) => Attribute::Int(int),
        Some(3) => Attribute::Text(string),
        Some(4) => tensor
            .map(Attribute::Tensor)
            .ok_or_else(|| format!("is damaged: the attribute {name} has no tensor"))?,
        Some(5 | 10) => Attribute::Other("a graph"),
        Some(6) => Attribute::Floats(floats),
        // An empty list has no field in the file except the type.
        Some(7) => Attribute::Ints(ints),
        Some(8) => Attribute::Other("a list of texts"),
        _ => Attribute::Other("a value of an unsupported kind"),
    };
    Ok((name, value))
}

impl Argument {
    fn read(message: &[u8]) -> Reading<Self> {
        let mut argument = Self::default();
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(content)) => argument.name = text(content)?,
                (2, Value::Bytes(content)) => {
                    for field in Fields::new(content) {
                        match field? {
                            (1, Value::Bytes(content)) => argument.read_tensor_type(content)?,
                            (number, _) => {
                                return Err(format!(
                                    "has an argument {} that is no tensor (type {number}): sequences, maps and \
                                     sparse tensors are not supported",
                                    argument.name
                                ));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if argument.name.is_empty() {
            return Err("has an input or output without a name".into());
        }
        Ok(argument)
    }

    fn read_tensor_type(&mut self, message: &[u8]) -> Reading<()> {
        for field in Fields::new(message) {
            match field? {
                (1, Value::Varint(value)) => self.element = value,
                (2, Value::Bytes(shape)) => {
                    let mut dims = Vec::new();
                    for field in Fields::new(shape) {
                        if let (1, Value::Bytes(content)) = field? {
                            at_most(MAX_RANK, dims.len(), "dimensions of an argument")?;
                            dims.push(read_dimension(content)?);
                        }
                    }
                    self.dims = Some(dims);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_dimension(message: &[u8]) -> Reading<Dimension> {
    let mut dimension = Dimension::Free("?".into());
    for field in Fields::new(message) {
        match field? {
            // Some files write free dimensions as negative sizes.
            (1, Value::Varint(value)) if (value as i64) >= 0 => dimension = Dimension::Fixed(value),
            (2, Value::Bytes(content)) => dimension = Dimension::Free(text(content)?),
            _ => {}
        }
    }
    Ok(dimension)
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn at_most(limit: usize, present: usize, what: &str) -> Reading<()> {
    if present < limit {
        return Ok(());
    }
    Err(format!(
        "has more than {limit} {what}, which no face model has"
    ))
}

fn each_int(value: Value<'_>, list: &mut Vec<i64>) -> Reading<()> {
    let mut push = |value: u64| {
        at_most(MAX_LIST, list.len(), "numbers in an attribute")?;
        list.push(value as i64);
        Ok(())
    };
    match value {
        Value::Varint(value) => push(value),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                push(varint(&mut packed)?)?;
            }
            Ok(())
        }
        _ => Err("is damaged: a list of whole numbers holds something else".into()),
    }
}

fn each_float(value: Value<'_>, list: &mut Vec<f32>) -> Reading<()> {
    let mut push = |bits: [u8; 4]| {
        at_most(MAX_LIST, list.len(), "numbers in an attribute")?;
        list.push(f32::from_le_bytes(bits));
        Ok(())
    };
    match value {
        Value::Fixed32(bits) => push(bits),
        Value::Bytes(packed) if packed.len().is_multiple_of(4) => {
            let (values, _) = packed.as_chunks::<4>();
            values.iter().try_for_each(|bits| push(*bits))
        }
        _ => Err("is damaged: a list of floats holds something else".into()),
    }
}
