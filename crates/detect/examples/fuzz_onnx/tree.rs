//! An ONNX file as a tree of its protobuf messages, which can be changed and written back.

/// The messages of `onnx.proto` that are parsed into fields, and two kinds of number lists.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    /// A message whose fields are numbers and texts only.
    Plain,
    /// Not a message: a packed list of varints.
    Packed,
    /// Not a message: the raw values of a tensor, read as 8-byte numbers.
    Raw,
}

impl Kind {
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8) | (Self::Shape, 1) => Self::Plain,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Attribute, 8) | (Self::Tensor, 1 | 7) => Self::Packed,
            (Self::Tensor, 9) => Self::Raw,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return None,
        })
    }
}

/// Content of a field.
#[derive(Clone)]
pub enum Content {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// Texts, and data that is not parsed further.
    Bytes(Vec<u8>),
    Packed(Vec<u64>),
    Raw(Vec<u64>),
    Message(Vec<Field>),
}

#[derive(Clone)]
pub struct Field {
    pub number: u64,
    pub content: Content,
}

/// Raw data of more numbers than this are weights, which influence no shape, and are not parsed.
const MAX_RAW: usize = 64;

/// Parses a whole file; `None` when it is not valid protobuf.
pub fn read(bytes: &[u8]) -> Option<Vec<Field>> {
    message(bytes, Kind::Model)
}

fn message(mut bytes: &[u8], kind: Kind) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let mut take = |length: usize| {
            let (head, tail) = bytes.split_at_checked(length)?;
            bytes = tail;
            Some(head)
        };
        let content = match tag & 7 {
            0 => Content::Varint(varint(&mut bytes)?),
            1 => Content::Fixed64(take(8)?.try_into().ok()?),
            5 => Content::Fixed32(take(4)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, tail) = bytes.split_at_checked(length)?;
                bytes = tail;
                match kind.field(tag >> 3) {
                    Some(Kind::Packed) => {
                        let (mut values, mut rest) = (Vec::new(), inner);
                        while !rest.is_empty() {
                            values.push(varint(&mut rest)?);
                        }
                        Content::Packed(values)
                    }
                    Some(Kind::Raw) if length.is_multiple_of(8) && length <= 8 * MAX_RAW => {
                        let (values, _) = inner.as_chunks::<8>();
                        Content::Raw(values.iter().map(|v| u64::from_le_bytes(*v)).collect())
                    }
                    Some(Kind::Raw) | None => Content::Bytes(inner.to_vec()),
                    Some(kind) => Content::Message(message(inner, kind)?),
                }
            }
            _ => return None,
        };
        fields.push(Field {
            number: tag >> 3,
            content,
        });
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Encodes fields as a protobuf message.
pub fn write(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    let put = |out: &mut Vec<u8>, mut value: u64| {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    for field in fields {
        let bytes = |out: &mut Vec<u8>, content: &[u8]| {
            put(out, field.number << 3 | 2);
            put(out, content.len() as u64);
            out.extend(content);
        };
        match &field.content {
            Content::Varint(value) => {
                put(&mut out, field.number << 3);
                put(&mut out, *value);
            }
            Content::Fixed32(bits) => {
                put(&mut out, field.number << 3 | 5);
                out.extend(bits);
            }
            Content::Fixed64(bits) => {
                put(&mut out, field.number << 3 | 1);
                out.extend(bits);
            }
            Content::Bytes(content) => bytes(&mut out, content),
            Content::Packed(values) => {
                let mut content = Vec::new();
                values.iter().for_each(|value| put(&mut content, *value));
                bytes(&mut out, &content);
            }
            Content::Raw(values) => {
                let content: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                bytes(&mut out, &content);
            }
            Content::Message(fields) => bytes(&mut out, &write(fields)),
        }
    }
    out
}
