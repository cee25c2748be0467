//! Shape inference of elementwise operators.

use super::{Call, Inferred, Kind, Outcome, Shaped, broadcast, elements};
use crate::onnx::tensors::Element;

/// The values of `input` broadcast to the shape `dims`; `None` when they are unknown or more than
/// [`super::MAX_VALUES`].
fn spread(input: &Shaped, dims: &[usize]) -> Option<Vec<f64>> {
    let values = input.values.as_ref()?;
    let n: usize = dims.iter().product();
    if n > super::MAX_VALUES {
        return None;
    }
    let index = |mut place: usize| {
        let (mut index, mut step) = (0, 1);
        for (axis, &size) in dims.iter().enumerate().rev() {
            let here = place % size;
            place /= size;
            if let Some(axis) = (axis + input.dims.len()).checked_sub(dims.len()) {
                if input.dims[axis] > 1 {
                    index += here * step;
                }
                step *= input.dims[axis];
            }
        }
        index
    };
    (0..n)
        .map(|place| values.get(index(place)).copied())
        .collect()
}

/// Rounds a float to f32, as the runtime does; an integer beyond 32 bits is an error.
fn settled(kind: Kind, value: f64) -> Result<f64, String> {
    match kind {
        Kind::Float => Ok(f64::from(value as f32)),
        Kind::Int if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) => Ok(value),
        Kind::Int => Err(format!("computes {value}, which is beyond 32 bits")),
    }
}

/// Operators with one input and an output of the same shape.
pub(in super::super) fn unary(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let kind = input.kind;
    let function: Option<fn(f64) -> f64> = match call.operator {
        "Abs" => Some(f64::abs),
        "Ceil" => Some(f64::ceil),
        "Floor" => Some(f64::floor),
        "Identity" => Some(|x| x),
        "Neg" => Some(|x| -x),
        "Not" => Some(|x| f64::from(u8::from(x == 0.0))),
        "Reciprocal" => Some(|x| 1.0 / x),
        "Relu" => Some(|x| x.max(0.0)),
        "Sqrt" => Some(f64::sqrt),
        _ => None,
    };
    let values = match (function, &input.values) {
        (Some(function), Some(values)) => Some(
            values
                .iter()
                .map(|&value| settled(kind, function(value)))
                .collect::<Result<_, _>>()?,
        ),
        _ => None,
    };
    Ok(Shaped::new(input.dims.clone(), kind).with(values).into())
}

/// `Cast`: conversion to another element type.
pub(in super::super) fn cast(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let to = call.int("to").ok_or("lacks to")?;
    let all = [
        Element::Float32,
        Element::Int32,
        Element::Int64,
        Element::Bool,
        Element::Float16,
        Element::Float64,
    ];
    let element = all.into_iter().find(|element| element.number() == to);
    let element = element.ok_or_else(|| format!("casts to the unsupported element type {to}"))?;
    let kind = if element.is_float() {
        Kind::Float
    } else {
        Kind::Int
    };
    let value = |value: &f64| match kind {
        Kind::Float => f64::from(*value as f32),
        // Truncated and saturated, and 0 for NaN, as in the runtime.
        Kind::Int => f64::from(*value as i32),
    };
    let values = input.values.as_ref();
    let values = values.map(|values| values.iter().map(value).collect());
    Ok(Shaped::new(input.dims.clone(), kind).with(values).into())
}

/// `Clip`: clamps to limits that are inputs or attributes.
pub(in super::super) fn clip(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    for limit in [1, 2] {
        if call.optional(limit).is_some_and(|limit| limit.len() != 1) {
            return Err("has a limit that is no single number".into());
        }
    }
    Ok(Shaped::new(input.dims.clone(), input.kind).into())
}

fn joined(call: &Call<'_>, a: &Shaped, b: &Shaped, kind: Kind) -> Result<Shaped, String> {
    let dims = broadcast(&a.dims, &b.dims)?;
    elements(&dims)?;
    let (Some(x), Some(y)) = (spread(a, &dims), spread(b, &dims)) else {
        return Ok(Shaped::new(dims, kind));
    };
    let is_int = a.kind == Kind::Int;
    let truth = |truth: bool| f64::from(u8::from(truth));
    let function = |x: f64, y: f64| {
        Some(match call.operator {
            "Add" | "Sum" => x + y,
            "Sub" => x - y,
            "Mul" => x * y,
            "Div" if is_int && y != 0.0 => (x / y).trunc(),
            "Div" if !is_int => x / y,
            "Max" => x.max(y),
            "Min" => x.min(y),
            "Equal" => truth(x == y),
            "Greater" => truth(x > y),
            "GreaterOrEqual" => truth(x >= y),
            "Less" => truth(x < y),
            "LessOrEqual" => truth(x <= y),
            "And" => truth(x != 0.0 && y != 0.0),
            "Or" => truth(x != 0.0 || y != 0.0),
            _ => return None,
        })
    };
    let values: Option<Vec<f64>> = x.iter().zip(&y).map(|(&x, &y)| function(x, y)).collect();
    let values = match values {
        Some(values) => Some(
            values
                .into_iter()
                .map(|value| settled(kind, value))
                .collect::<Result<_, _>>()?,
        ),
        None => None,
    };
    Ok(Shaped::new(dims, kind).with(values))
}

/// Operators on two tensors of the same type, broadcast to each other.
pub(in super::super) fn binary(call: &Call<'_>) -> Inferred {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(joined(call, a, b, a.kind)?.into())
}

/// Operators on two tensors, broadcast to each other, with a boolean result.
pub(in super::super) fn comparison(call: &Call<'_>) -> Inferred {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(joined(call, a, b, Kind::Int)?.into())
}

/// Operators on any number of tensors, broadcast to each other (`Max`, `Min`, `Sum`).
pub(in super::super) fn variadic(call: &Call<'_>) -> Inferred {
    let mut result = call.input(0)?.clone();
    let mut scratch = 0;
    for index in 1..call.inputs.len() {
        let next = call.input(index)?;
        result = joined(call, &result, next, result.kind)?;
        scratch = scratch.max(result.len());
    }
    Ok(Outcome {
        work: result.len() as u64 * call.inputs.len() as u64,
        scratch,
        ..result.into()
    })
}

/// `Where`: takes each element from the second or third input by the boolean first one.
pub(in super::super) fn choose(call: &Call<'_>) -> Inferred {
    let (condition, a, b) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let dims = broadcast(&broadcast(&condition.dims, &a.dims)?, &b.dims)?;
    elements(&dims)?;
    let values = match [condition, a, b].map(|input| spread(input, &dims)) {
        [Some(condition), Some(a), Some(b)] => {
            let rows = condition.iter().zip(a.iter().zip(&b));
            Some(
                rows.map(|(c, (&a, &b))| if *c != 0.0 { a } else { b })
                    .collect(),
            )
        }
        _ => None,
    };
    Ok(Shaped::new(dims, a.kind).with(values).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(dims: &[usize], values: &[i32]) -> Shaped {
        let values = values.iter().map(|&value| value.into()).collect();
        Shaped::new(dims.to_vec(), Kind::Int).with(Some(values))
    }

    fn call(operator: &'static str, inputs: &[Shaped], infer: super::super::Infer) -> Inferred {
        let inputs: Vec<_> = inputs.iter().map(Some).collect();
        infer(&Call {
            operator,
            inputs: &inputs,
            attributes: &[],
            n_outputs: 1,
        })
    }

    #[test]
    fn known_numbers_are_followed_and_spread() {
        let (a, b) = (ints(&[2, 1], &[7, -7]), ints(&[3], &[1, 2, 3]));
        let result = call("Div", &[a.clone(), b.clone()], binary).unwrap();
        assert_eq!(result.outputs, [ints(&[2, 3], &[7, 3, 2, -7, -3, -2])]);
        let result = call("Greater", &[a.clone(), b.clone()], comparison).unwrap();
        assert_eq!(result.outputs, [ints(&[2, 3], &[1, 1, 1, 0, 0, 0])]);
        let result = call("Where", &[ints(&[3], &[1, 0, 2]), a, b], choose).unwrap();
        assert_eq!(result.outputs, [ints(&[2, 3], &[7, 2, 7, -7, 2, -7])]);
        let scalar = ints(&[], &[5]);
        let result = call("Max", &[scalar, ints(&[2], &[9, 1])], variadic).unwrap();
        assert_eq!(result.outputs, [ints(&[2], &[9, 5])]);
    }

    #[test]
    fn numbers_beyond_32_bits_are_refused() {
        let large = ints(&[1], &[1 << 30]);
        let message = call("Mul", &[large.clone(), large.clone()], binary).unwrap_err();
        assert!(message.contains("beyond 32 bits"), "{message}");
        assert!(call("Neg", &[ints(&[1], &[i32::MIN])], unary).is_err());
        assert!(call("Add", &[large.clone(), ints(&[1], &[1 << 29])], binary).is_ok());
        // Division by zero is left to the runtime; the value is unknown here.
        let result = call("Div", &[large, ints(&[1], &[0])], binary).unwrap();
        assert_eq!(result.outputs[0].values, None);
    }
}
