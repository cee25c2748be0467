//! Shape inference of operators that can create large tensors from small ones.

use super::{Call, Inferred, Kind, Outcome, Shaped, broadcast, elements};

/// Largest number of values of a `Range`; the grid of a 4096 x 4096 image has 512 per axis.
const MAX_RANGE: usize = 1 << 20;
/// Cost of one element of a resized tensor, in multiply-adds.
const SAMPLE: u64 = 64;

fn sizes(shape: Vec<i64>) -> Result<Vec<usize>, String> {
    let wrong = || format!("makes a tensor of shape {shape:?}");
    let sizes: Option<Vec<usize>> = shape
        .iter()
        .map(|&size| usize::try_from(size).ok())
        .collect();
    sizes.ok_or_else(wrong)
}

pub(in super::super) fn constant_of_shape(call: &Call<'_>) -> Inferred {
    let dims = sizes(call.known(0)?.ok_or("lacks its shape")?)?;
    let n = elements(&dims)?;
    let (kind, value) = match call.tensor("value") {
        None => (Kind::Float, Some(0.0)),
        Some(tensor) => {
            let kind = if tensor.element.is_float() {
                Kind::Float
            } else {
                Kind::Int
            };
            (
                kind,
                tensor.values().and_then(|values| values.first().copied()),
            )
        }
    };
    let values = value.filter(|_| n <= super::MAX_VALUES);
    let values = values.map(|value| vec![value; n]);
    Ok(Shaped::new(dims, kind).with(values).into())
}

pub(in super::super) fn expand(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let shape = sizes(call.known(1)?.ok_or("lacks its shape")?)?;
    spread(input, broadcast(&input.dims, &shape)?)
}

pub(in super::super) fn tile(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let repeats = sizes(call.known(1)?.ok_or("lacks its repeats")?)?;
    if repeats.len() != input.dims.len() {
        return Err(format!("repeats {:?} {repeats:?} times", input.dims));
    }
    let dims: Option<Vec<usize>> = input
        .dims
        .iter()
        .zip(&repeats)
        .map(|(&size, &times)| size.checked_mul(times))
        .collect();
    let dims = dims.ok_or_else(|| format!("repeats {:?} {repeats:?} times", input.dims))?;
    spread(input, dims)
}

/// The result of `Expand` and `Tile`. Its values are known when the input has a single known value, or when the number
/// of elements does not change.
fn spread(input: &Shaped, dims: Vec<usize>) -> Inferred {
    let n = elements(&dims)?;
    let values = match input.values.as_deref() {
        Some(&[value]) if n <= super::MAX_VALUES => Some(vec![value; n]),
        Some(values) if values.len() == n => Some(values.to_vec()),
        _ => None,
    };
    Ok(Shaped::new(dims, input.kind).with(values).into())
}

/// `Range`: values from a start up to a limit by a step; all three must be known before the run.
pub(in super::super) fn range(call: &Call<'_>) -> Inferred {
    let number = |index: usize| {
        let input = call.input(index)?;
        match input.values.as_deref() {
            Some(&[value]) => Ok((value, input.kind)),
            _ => Err("has a result whose size depends on the image".to_owned()),
        }
    };
    let ((start, kind), (limit, limit_kind), (step, step_kind)) =
        (number(0)?, number(1)?, number(2)?);
    let shown = || format!("counts from {start} to {limit} by {step}");
    if [limit_kind, step_kind] != [kind; 2] || step == 0.0 || step.is_nan() {
        return Err(shown());
    }
    // The runtime adds the step to the last value too, which must not overflow.
    if kind == Kind::Int && limit.abs() + step.abs() > f64::from(i32::MAX) {
        return Err(shown());
    }
    let mut values = Vec::new();
    let mut value = start;
    while (step > 0.0 && value < limit) || (step < 0.0 && value > limit) {
        if values.len() == MAX_RANGE {
            return Err(format!("{}, beyond {MAX_RANGE} numbers", shown()));
        }
        values.push(value);
        value = match kind {
            Kind::Int => value + step,
            Kind::Float => f64::from(value as f32 + step as f32),
        };
    }
    let dims = vec![values.len()];
    elements(&dims)?;
    Ok(Shaped::new(dims, kind).with(Some(values)).into())
}

/// `Pad`: pads the beginning and end of each axis; negative numbers crop.
pub(in super::super) fn pad(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let pads = call.list(1, "pads")?.ok_or("lacks pads")?;
    let wrong = || format!("pads {:?} by {pads:?}", input.dims);
    if pads.len() != 2 * rank || pads.iter().any(|pad| !(-1024..=1024).contains(pad)) {
        return Err(wrong());
    }
    if call.optional(2).is_some_and(|value| value.len() != 1) {
        return Err("has a value that is no single number".into());
    }
    let is_constant = matches!(call.text("mode"), None | Some("constant"));
    let mut dims = Vec::with_capacity(rank);
    for (axis, &size) in input.dims.iter().enumerate() {
        let (before, behind) = (pads[axis], pads[axis + rank]);
        let kept = size as i64 + before.min(0) + behind.min(0);
        // Reflection cannot pad by more than the axis has.
        if kept < 1 || (!is_constant && before.max(behind) >= kept) {
            return Err(wrong());
        }
        dims.push((kept + before.max(0) + behind.max(0)) as usize);
    }
    elements(&dims)?;
    Ok(Outcome {
        work: 2 * dims.iter().product::<usize>() as u64,
        ..Shaped::new(dims, input.kind).into()
    })
}

/// `Resize`: resizes by factors (third input) or to sizes (fourth input), which must be known before the run.
pub(in super::super) fn resize(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let present = |index: usize| call.optional(index).filter(|list| !list.dims.contains(&0));
    if let Some(scales) = present(2) {
        let values = scales.values.as_ref();
        let values = values.ok_or("has a result whose size depends on the image")?;
        return scaled(input, values);
    }
    let sizes = match present(3) {
        Some(_) => sizes(call.known(3)?.unwrap_or_default())?,
        None => return Err("lacks both scales and sizes".into()),
    };
    resized(input, sizes)
}

/// `Upsample`: resizes by factors that are an input or an attribute.
pub(in super::super) fn upsample(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let attribute = call.floats("scales");
    match (call.optional(1), attribute) {
        (Some(scales), None) => {
            let values = scales.values.as_ref();
            scaled(
                input,
                values.ok_or("has a result whose size depends on the image")?,
            )
        }
        (None, Some(scales)) => scaled(
            input,
            &scales.iter().map(|&scale| scale.into()).collect::<Vec<_>>(),
        ),
        _ => Err("lacks its scales".into()),
    }
}

fn scaled(input: &Shaped, scales: &[f64]) -> Inferred {
    if scales.len() != input.dims.len()
        || scales.iter().any(|&scale| !(1e-3..=1e3).contains(&scale))
    {
        return Err(format!("scales {:?} by {scales:?}", input.dims));
    }
    let size = |(&size, &scale): (&usize, &f64)| (size as f32 * scale as f32).floor() as usize;
    resized(input, input.dims.iter().zip(scales).map(size).collect())
}

fn resized(input: &Shaped, dims: Vec<usize>) -> Inferred {
    if input.kind != Kind::Float || dims.len() != input.dims.len() {
        return Err(format!("resizes {:?} to {dims:?}", input.dims));
    }
    let n = elements(&dims)?;
    Ok(Outcome {
        work: SAMPLE * n as u64,
        ..Shaped::new(dims, Kind::Float).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: Kind, value: f64) -> Shaped {
        Shaped::new(Vec::new(), kind).with(Some(vec![value]))
    }

    fn counted(kind: Kind, numbers: [f64; 3]) -> Result<usize, String> {
        let inputs = numbers.map(|value| number(kind, value));
        let inputs: Vec<_> = inputs.iter().map(Some).collect();
        let outcome = range(&Call {
            operator: "Range",
            inputs: &inputs,
            attributes: &[],
            n_outputs: 1,
        });
        outcome.map(|outcome| outcome.outputs[0].dims[0])
    }

    #[test]
    fn ranges_end() {
        assert_eq!(counted(Kind::Int, [0.0, 80.0, 1.0]), Ok(80));
        assert_eq!(counted(Kind::Int, [10.0, 0.0, -3.0]), Ok(4));
        assert_eq!(counted(Kind::Float, [0.0, 1.0, 0.25]), Ok(4));
        let max = f64::from(i32::MAX);
        for (kind, numbers) in [
            (Kind::Int, [0.0, max, 1.0]),
            // The last step overflows 32 bits.
            (Kind::Int, [0.0, max, 1e9]),
            (Kind::Int, [0.0, 5.0, 0.0]),
            // The step is below the resolution of f32, so the value would never change.
            (Kind::Float, [1e9, 2e9, 1e-3]),
            (Kind::Float, [0.0, f64::INFINITY, 1.0]),
            (Kind::Float, [0.0, 5.0, f64::NAN]),
            (Kind::Int, [5.0, 0.0, 1.0]),
        ] {
            assert!(counted(kind, numbers).is_err(), "{numbers:?}");
        }
    }
}
