//! Decodes numpy arrays and scalars in pickles.

use crate::error::{Error, Result};
use crate::pickle::{Constructor, Value};
use crate::tensor::{Tensor, numel};

/// Decodes a `numpy.ndarray` or a numpy scalar. `name` is the name of the tensor in error messages.
///
/// # Errors
/// `Tensor` when the value is neither, or has an unsupported element type.
pub(crate) fn array(value: Value<'_, '_>, name: &str) -> Result<Tensor> {
    match value.constructor() {
        Some(Constructor::NumpyScalar) => value
            .numpy_scalar()
            .ok_or_else(|| Error::tensor(name, "a numpy scalar that cannot be read")),
        Some(Constructor::NumpyReconstruct) => {
            // BUILD state: (version, shape, dtype, is_fortran, bytes)
            let parts = value.state().and_then(Value::few).unwrap_or_default();
            let parts = match parts.len() {
                5 => &parts[1..],
                4 => &parts[..],
                _ => return Err(Error::tensor(name, "a numpy array without its contents")),
            };
            let fortran = parts[2].int() == Some(1);
            dense(name, parts[0], parts[1], fortran, parts[3])
        }
        Some(Constructor::NumpyFromBuffer) => {
            // (buffer, dtype, shape, order)
            let args = value.args().unwrap_or_default();
            let [buffer, dtype, shape, order] = args[..] else {
                return Err(Error::tensor(name, "a numpy array without its contents"));
            };
            dense(name, shape, dtype, order.text() == Some("F"), buffer)
        }
        _ => Err(Error::tensor(
            name,
            format!("expected a numpy array, found {}", value.kind()),
        )),
    }
}

fn dense(
    name: &str,
    shape: Value<'_, '_>,
    kind: Value<'_, '_>,
    fortran: bool,
    buffer: Value<'_, '_>,
) -> Result<Tensor> {
    let shape: Vec<usize> = shape
        .few()
        .and_then(|dims| dims.into_iter().map(Value::size).collect())
        .ok_or_else(|| Error::tensor(name, "a numpy shape that is no tuple of sizes"))?;
    if shape.len() > 32 {
        return Err(Error::tensor(name, "more than 32 axes"));
    }
    let (dtype, big_endian) = kind
        .numpy_dtype()
        .ok_or_else(|| Error::tensor(name, "a numpy array of an element kind that is no number"))?;
    let bytes = buffer
        .bytes()
        .ok_or_else(|| Error::tensor(name, "a numpy array whose contents are no bytes"))?;
    if numel(&shape).and_then(|n| n.checked_mul(dtype.size())) != Some(bytes.len()) {
        return Err(Error::tensor(
            name,
            format!("{} bytes do not fill the shape {shape:?}", bytes.len()),
        ));
    }
    let mut data = bytes.into_owned();
    if big_endian {
        data.chunks_exact_mut(dtype.size())
            .for_each(<[u8]>::reverse);
    }
    if fortran && shape.len() > 1 {
        let axes: Vec<usize> = (0..shape.len()).rev().collect();
        let reversed = Tensor {
            dtype,
            shape: shape.into_iter().rev().collect(),
            data,
        };
        return reversed.permute(&axes);
    }
    Ok(Tensor { dtype, shape, data })
}
