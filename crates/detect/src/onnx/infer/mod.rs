//! Shape inference: computes the shapes of all tensors of a graph for one input size, before the runtime allocates any.
//!
//! Small tensors that shapes depend on (results of `Shape`, `Gather`, `Concat`, ...) are evaluated, in the 32-bit
//! arithmetic of the runtime. Every size is computed with checked arithmetic and must stay within the limits of
//! `limits` and `budget`. A shape that depends on the content of the image is an error.

use super::graph::Attribute;
use super::limits::{MAX_ELEMENTS, MAX_RANK};

pub(super) mod elementwise;
pub(super) mod grow;
pub(super) mod layout;
pub(super) mod pieces;
pub(super) mod reduce;
pub(super) mod window;

/// Largest number of elements of a tensor that is evaluated.
const MAX_VALUES: usize = 1024;

/// The inference of an operator: computes the shapes of a node's results and their cost.
pub(super) type Infer = fn(&Call<'_>) -> Inferred;
pub(super) type Inferred = Result<Outcome, String>;

/// Shape, type and possibly values of a tensor for one input size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shaped {
    pub dims: Vec<usize>,
    pub kind: Kind,
    /// The values in row-major order, if known; each is an exact i32 or f32 value.
    pub values: Option<Vec<f64>>,
}

/// Element type of a tensor in the runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Float,
    /// i32; the runtime stores 64-bit integers (clamped) and booleans in it too.
    Int,
}

/// A node with the shapes of its inputs; an omitted input is `None`.
pub(super) struct Call<'a> {
    pub operator: &'static str,
    pub inputs: &'a [Option<&'a Shaped>],
    pub attributes: &'a [(String, Attribute)],
    pub n_outputs: usize,
}

/// The results of a node and the cost of computing them.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub outputs: Vec<Shaped>,
    /// Multiply-adds besides writing the elements of the results.
    pub work: u64,
    /// Temporary memory during the run of the node, in elements.
    pub scratch: usize,
}

impl Shaped {
    pub fn new(dims: Vec<usize>, kind: Kind) -> Self {
        Self {
            dims,
            kind,
            values: None,
        }
    }

    /// The same tensor with known values, if they fit the shape and are at most [`MAX_VALUES`].
    pub fn with(self, values: Option<Vec<f64>>) -> Self {
        let n = self.dims.iter().product::<usize>();
        Self {
            values: values.filter(|values| values.len() == n && n <= MAX_VALUES),
            ..self
        }
    }

    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

impl From<Shaped> for Outcome {
    fn from(output: Shaped) -> Self {
        Self {
            outputs: vec![output],
            work: 0,
            scratch: 0,
        }
    }
}

/// Number of elements of a shape; the error says that it is empty, has too many dimensions or too many elements.
pub(super) fn elements(dims: &[usize]) -> Result<usize, String> {
    if dims.len() > MAX_RANK {
        return Err(format!("makes a tensor of {} dimensions", dims.len()));
    }
    if dims.contains(&0) {
        return Err(format!("makes an empty tensor {dims:?}"));
    }
    let n = dims
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    n.filter(|&n| n <= MAX_ELEMENTS)
        .ok_or_else(|| format!("makes a tensor {dims:?}, beyond {MAX_ELEMENTS} elements"))
}

/// The shape that two shapes broadcast to, aligned at their last dimensions as in numpy.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let side = |dims: &[usize], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .map_or(1, |index| dims[index])
    };
    (0..rank)
        .map(|axis| match (side(a, axis), side(b, axis)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(format!("joins shapes {a:?} and {b:?}, which do not fit")),
        })
        .collect()
}

/// The index of an axis in a tensor of `rank` dimensions; negative axes count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("names axis {axis} of a tensor of {rank} dimensions"))
}

impl<'a> Call<'a> {
    pub fn optional(&self, index: usize) -> Option<&'a Shaped> {
        self.inputs.get(index).copied().flatten()
    }

    pub fn input(&self, index: usize) -> Result<&'a Shaped, String> {
        self.optional(index)
            .ok_or_else(|| format!("lacks input {index}"))
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(known, value)| (known == name).then_some(value))
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attribute(name) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name).map_or(default, |value| value != 0)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        match self.attribute(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        match self.attribute(name) {
            Some(Attribute::Floats(values)) => Some(values),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.attribute(name) {
            Some(Attribute::Text(value)) => Some(value),
            _ => None,
        }
    }

    pub fn tensor(&self, name: &str) -> Option<&'a super::tensors::Tensor<'static>> {
        match self.attribute(name) {
            Some(Attribute::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }

    /// The values of an input that must be known integers in at most one dimension; `None` when the input is omitted.
    pub fn known(&self, index: usize) -> Result<Option<Vec<i64>>, String> {
        let Some(input) = self.optional(index) else {
            return Ok(None);
        };
        if input.dims.len() > 1 || input.kind != Kind::Int {
            return Err(format!(
                "has an input {index} that is no list of whole numbers"
            ));
        }
        let values = input.values.as_ref();
        let values = values.ok_or("has a result whose size depends on the image")?;
        Ok(Some(values.iter().map(|&value| value as i64).collect()))
    }

    /// Integers that are an input in newer operator sets and the attribute `name` in older ones; `None` without either.
    pub fn list(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, String> {
        let attribute = self.ints(name).map(<[i64]>::to_vec);
        match (self.known(index)?, attribute) {
            (Some(_), Some(_)) => Err(format!("has {name} both as input and as attribute")),
            (input, attribute) => Ok(input.or(attribute)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert_eq!(elements(&[1, 3, 640, 640]), Ok(1_228_800));
        assert_eq!(elements(&[]), Ok(1));
        assert!(elements(&[usize::MAX, 2]).unwrap_err().contains("beyond"));
        assert!(
            elements(&[1 << 14, 1 << 15])
                .unwrap_err()
                .contains("beyond")
        );
        assert!(elements(&[3, 0]).unwrap_err().contains("empty"));
    }

    #[test]
    fn shapes_spread_as_in_numpy() {
        assert_eq!(broadcast(&[8, 1, 6, 1], &[7, 1, 5]), Ok(vec![8, 7, 6, 5]));
        assert_eq!(broadcast(&[], &[2]), Ok(vec![2]));
        assert!(broadcast(&[2], &[3]).is_err());
        assert_eq!(axis(-1, 4), Ok(3));
        assert!(axis(4, 4).is_err() && axis(-5, 4).is_err() && axis(0, 0).is_err());
    }
}
