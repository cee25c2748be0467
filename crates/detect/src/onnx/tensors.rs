//! Tensors that are stored in the ONNX file: initializers, constants and attributes.

use std::borrow::Cow;

use super::limits::{MAX_ELEMENTS, MAX_RANK};
use super::wire::{Fields, Value, text, varint};

/// Largest number of elements of a tensor whose values are read; shapes may depend on the values of small tensors.
const MAX_READ: usize = 4096;

/// Element types that face models are exported with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    Float32,
    Int32,
    Int64,
    Bool,
    Float16,
    Float64,
}

/// A tensor with its values as raw little-endian bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor<'a> {
    pub element: Element,
    pub dims: Vec<usize>,
    pub data: Cow<'a, [u8]>,
}

impl Element {
    fn new(number: u64) -> Result<Self, String> {
        Ok(match number {
            1 => Self::Float32,
            6 => Self::Int32,
            7 => Self::Int64,
            9 => Self::Bool,
            10 => Self::Float16,
            11 => Self::Float64,
            2 | 3 | 17..=22 => {
                return Err(
                    "is quantized (8-bit numbers): export it with float32 or float16".into(),
                );
            }
            16 => return Err("holds bfloat16 numbers: export it with float32 or float16".into()),
            8 => return Err("holds a tensor of texts, which no face model does".into()),
            other => {
                return Err(format!(
                    "holds a tensor of the unsupported element type {other}"
                ));
            }
        })
    }

    /// The number of the type in `TensorProto.DataType`.
    pub fn number(self) -> i64 {
        match self {
            Self::Float32 => 1,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Bool => 9,
            Self::Float16 => 10,
            Self::Float64 => 11,
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Float16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 | Self::Float64 => 8,
        }
    }

    /// Whether the runtime stores elements of this type as f32; it stores the others as i32.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float16 | Self::Float64)
    }
}

impl Tensor<'static> {
    pub fn ints(dims: Vec<usize>, values: &[i64]) -> Self {
        Self {
            element: Element::Int64,
            dims,
            data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    pub fn floats(dims: Vec<usize>, values: &[f32]) -> Self {
        Self {
            element: Element::Float32,
            dims,
            data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }
}

impl Tensor<'_> {
    pub fn into_owned(self) -> Tensor<'static> {
        Tensor {
            element: self.element,
            dims: self.dims,
            data: Cow::Owned(self.data.into_owned()),
        }
    }

    /// The values as the runtime stores them; `None` for more than [`MAX_READ`] elements and for f16.
    ///
    /// Integers are clamped to 32 bits, so that `i64::MAX`, which stands for the end of an axis in slices, stays the
    /// largest.
    pub fn values(&self) -> Option<Vec<f64>> {
        if self.data.len() > MAX_READ * self.element.bytes() {
            return None;
        }
        fn each<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            let (chunks, _) = data.as_chunks::<N>();
            chunks.iter().map(|bytes| value(*bytes)).collect()
        }
        let data = &*self.data;
        Some(match self.element {
            Element::Float32 => each(data, |bytes| f32::from_le_bytes(bytes).into()),
            Element::Float64 => each(data, |bytes| (f64::from_le_bytes(bytes) as f32).into()),
            Element::Int32 => each(data, |bytes| i32::from_le_bytes(bytes).into()),
            Element::Int64 => each(data, |bytes| {
                let value = i64::from_le_bytes(bytes);
                value.clamp(i32::MIN.into(), i32::MAX.into()) as f64
            }),
            Element::Bool => each(data, |[byte]| f64::from(u8::from(byte != 0))),
            // No shape depends on half-precision values.
            Element::Float16 => return None,
        })
    }
}

/// Reads a `TensorProto`: its name and the tensor. The error says that it is of an unsupported kind, or that the number
/// of values does not match the dimensions.
pub(super) fn read(message: &[u8]) -> Result<(String, Tensor<'_>), String> {
    let (mut name, mut element) = (String::new(), 0);
    let mut dims: Vec<u64> = Vec::new();
    let mut raw = None;
    let mut typed = Vec::new();
    for field in Fields::new(message) {
        let (number, value) = field?;
        match (number, value) {
            (1, Value::Varint(value)) => dims.push(value),
            (1, Value::Bytes(mut packed)) => {
                while !packed.is_empty() && dims.len() <= MAX_RANK {
                    dims.push(varint(&mut packed)?);
                }
            }
            (2, Value::Varint(value)) => element = value,
            (3, _) => return Err("has an initializer in segments".into()),
            (4 | 5 | 7 | 10, value) => typed.push((number, value)),
            (8, Value::Bytes(content)) => name = text(content)?,
            (9, Value::Bytes(content)) => raw = Some(content),
            (13, _) | (14, Value::Varint(1..)) => {
                return Err(
                    "keeps its weights in other files (external data): export it as one file"
                        .into(),
                );
            }
            _ => {}
        }
        // One dimension too many is enough for the check below.
        dims.truncate(MAX_RANK + 1);
    }
    if dims.len() > MAX_RANK {
        return Err(format!(
            "has an initializer {name} of more than {MAX_RANK} dimensions"
        ));
    }
    let element = Element::new(element)?;
    let wrong = |data: usize| {
        format!(
            "is damaged: the initializer {name} has dimensions {dims:?} but {data} bytes of numbers"
        )
    };
    let data = match raw {
        Some(raw) => Cow::Borrowed(raw),
        None => Cow::Owned(typed_data(element, &typed)?),
    };
    let sizes: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let sizes = sizes.ok_or_else(|| wrong(data.len()))?;
    let bytes = sizes
        .iter()
        .try_fold(element.bytes(), |product, &size| product.checked_mul(size));
    // An empty tensor has no values, however large its other dimensions are; limit their products, which are computed
    // later.
    let others = sizes.iter().map(|&size| size.max(1));
    let mut others = others.scan(1usize, |product, size| {
        *product = product.saturating_mul(size);
        Some(*product)
    });
    if bytes != Some(data.len()) || others.any(|product| product > MAX_ELEMENTS) {
        return Err(wrong(data.len()));
    }
    let tensor = Tensor {
        element,
        dims: sizes,
        data,
    };
    Ok((name, tensor))
}

/// The values of the fields `float_data`, `int32_data`, `int64_data` or `double_data` (4, 5, 7, 10) as raw bytes.
fn typed_data(element: Element, fields: &[(u64, Value<'_>)]) -> Result<Vec<u8>, String> {
    let wrong =
        || "is damaged: an initializer holds numbers of another type than it says".to_owned();
    let expected = match element {
        Element::Float32 => 4,
        Element::Int32 | Element::Bool | Element::Float16 => 5,
        Element::Int64 => 7,
        Element::Float64 => 10,
    };
    let mut data = Vec::new();
    let mut whole = |value: u64| match element {
        Element::Bool => data.push(u8::from(value != 0)),
        Element::Float16 => data.extend((value as u16).to_le_bytes()),
        Element::Int32 => data.extend((value as i32).to_le_bytes()),
        _ => data.extend(value.to_le_bytes()),
    };
    for &(number, value) in fields {
        if number != expected {
            return Err(wrong());
        }
        match (number, value) {
            (5 | 7, Value::Varint(value)) => whole(value),
            (5 | 7, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    whole(varint(&mut packed)?);
                }
            }
            _ => {}
        }
    }
    for &(number, value) in fields {
        match (number, value) {
            (4 | 10, Value::Bytes(packed)) => data.extend(packed),
            (4, Value::Fixed32(bits)) => data.extend(bits),
            (10, Value::Fixed64(bits)) => data.extend(bits),
            (5 | 7, Value::Varint(_) | Value::Bytes(_)) => {}
            _ => return Err(wrong()),
        }
    }
    Ok(data)
}
