//! Decodes numpy scalars and numpy element types.

use super::Value;
use crate::pickle::allow::Constructor;
use crate::tensor::{DType, Tensor};

impl Value<'_, '_> {
    /// The tensor of shape `[]` that `numpy.core.multiarray.scalar(dtype, bytes)` describes; `None` for other values.
    pub(crate) fn numpy_scalar(self) -> Option<Tensor> {
        if self.constructor() != Some(Constructor::NumpyScalar) {
            return None;
        }
        let args = self.args()?;
        let (dtype, big_endian) = args.first()?.numpy_dtype()?;
        let data = args.get(1)?.bytes()?;
        if data.len() != dtype.size() {
            return None;
        }
        let mut data = data.into_owned();
        if big_endian {
            data.reverse();
        }
        Some(Tensor {
            dtype,
            shape: Vec::new(),
            data,
        })
    }

    /// Whether this is a numpy scalar of a floating-point type.
    pub(crate) fn is_numpy_float(self) -> bool {
        self.numpy_scalar()
            .is_some_and(|t| matches!(t.dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16))
    }

    /// The element type of a `numpy.dtype(code, align, copy)` object, and whether its byte order is big-endian.
    pub(crate) fn numpy_dtype(self) -> Option<(DType, bool)> {
        if self.constructor() != Some(Constructor::NumpyDtype) {
            return None;
        }
        let args = self.args()?;
        let code = args.first()?.text()?;
        let code = code.trim_start_matches(['<', '>', '=', '|']);
        let kind = match code {
            "f8" => DType::F64,
            "f4" => DType::F32,
            "f2" => DType::F16,
            "i8" => DType::I64,
            "i4" => DType::I32,
            "i2" => DType::I16,
            "i1" => DType::I8,
            "u1" => DType::U8,
            "b1" => DType::Bool,
            _ => return None,
        };
        // BUILD state: (version, byte order, ...)
        let order = self
            .state()
            .and_then(Value::few)
            .and_then(|s| s.get(1)?.text().map(|t| t == ">"));
        Some((kind, order.unwrap_or(false)))
    }
}
