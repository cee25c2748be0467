//! Shape inference of operators that split, index and combine tensors.

use super::{Call, Inferred, Kind, Outcome, Shaped, axis, elements};

pub(in super::super) fn concat(call: &Call<'_>) -> Inferred {
    let first = call.input(0)?;
    let along = axis(call.int("axis").ok_or("lacks axis")?, first.dims.len())?;
    let mut dims = first.dims.clone();
    let mut values = Some(Vec::new());
    for index in 0..call.inputs.len() {
        let input = call.input(index)?;
        if index > 0 {
            let fits = |(at, (a, b)): (usize, (&usize, &usize))| at == along || a == b;
            let is_like = input.dims.len() == dims.len()
                && dims.iter().zip(&input.dims).enumerate().all(fits)
                && input.kind == first.kind;
            if !is_like {
                return Err(format!(
                    "puts together {:?} and {:?} along axis {along}",
                    first.dims, input.dims
                ));
            }
            dims[along] = dims[along]
                .checked_add(input.dims[along])
                .ok_or("makes a tensor beyond all sizes")?;
        }
        values = values
            .zip(input.values.as_ref())
            .map(|(values, more)| [&values[..], more].concat());
    }
    elements(&dims)?;
    let values = values.filter(|_| dims.len() == 1);
    Ok(Shaped::new(dims, first.kind).with(values).into())
}

/// `Gather`: selects slices of one axis by an index tensor.
pub(in super::super) fn gather(call: &Call<'_>) -> Inferred {
    let (input, indices) = (call.input(0)?, call.input(1)?);
    let along = axis(call.int("axis").unwrap_or(0), input.dims.len())?;
    if indices.kind != Kind::Int {
        return Err("has indices that are no whole numbers".into());
    }
    let size = input.dims[along];
    let places: Option<Vec<usize>> = match &indices.values {
        None => None,
        Some(values) => Some(
            values
                .iter()
                .map(|&value| axis(value as i64, size))
                .collect::<Result<_, _>>()
                .map_err(|_| format!("has indices beyond the {size} of axis {along}"))?,
        ),
    };
    let (before, behind) = (&input.dims[..along], &input.dims[along + 1..]);
    let dims = [before, &indices.dims, behind].concat();
    elements(&dims)?;
    let values = match (&input.values, places) {
        (Some(values), Some(places)) if input.dims.len() == 1 => {
            Some(places.into_iter().map(|place| values[place]).collect())
        }
        _ => None,
    };
    Ok(Shaped::new(dims, input.kind).with(values).into())
}

/// `ScatterND`: replaces slices of a tensor at index tuples.
pub(in super::super) fn scatter_nd(call: &Call<'_>) -> Inferred {
    let (data, indices, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let fits = match indices.dims.split_last() {
        Some((&depth, outer)) if (1..=data.dims.len()).contains(&depth) => {
            updates.dims == [outer, &data.dims[depth..]].concat() && indices.kind == Kind::Int
        }
        _ => false,
    };
    if !fits || updates.kind != data.kind {
        return Err(format!(
            "puts {:?} at {:?} into {:?}",
            updates.dims, indices.dims, data.dims
        ));
    }
    Ok(Outcome {
        work: 8 * (updates.len() + indices.len()) as u64,
        scratch: updates.len() + indices.len(),
        ..Shaped::new(data.dims.clone(), data.kind).into()
    })
}

/// `Slice`: along each of the given axes, keeps the elements `start..end` at intervals of `step`. As in Python, negative
/// bounds count from the end, and bounds outside the axis are clamped.
pub(in super::super) fn slice(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let starts = call.list(1, "starts")?.ok_or("lacks starts")?;
    let ends = call.list(2, "ends")?.ok_or("lacks ends")?;
    let axes = call.list(3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.known(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("has starts, ends, axes and steps of different numbers".into());
    }
    let mut dims = input.dims.clone();
    let mut values = input.values.clone().filter(|_| rank == 1);
    let mut is_cut = [false; crate::onnx::limits::MAX_RANK];
    for (((start, end), along), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let along = axis(along, rank)?;
        if std::mem::replace(&mut is_cut[along], true) {
            return Err(format!("cuts axis {along} twice"));
        }
        if step == 0 || step.unsigned_abs() > 1 << 24 {
            return Err(format!("has a step of {step}"));
        }
        let size = dims[along] as i64;
        let place = |at: i64| {
            let at = if at < 0 { at.saturating_add(size) } else { at };
            if step > 0 {
                at.clamp(0, size)
            } else {
                at.clamp(-1, size - 1)
            }
        };
        let (start, end) = (place(start), place(end));
        let n = if step > 0 {
            (end - start).max(0).unsigned_abs()
        } else {
            (start - end).max(0).unsigned_abs()
        };
        dims[along] = n.div_ceil(step.unsigned_abs()) as usize;
        values = values.map(|values| {
            let places = (0..dims[along] as i64).map(|i| (start + i * step) as usize);
            places
                .filter_map(|place| values.get(place).copied())
                .collect()
        });
    }
    elements(&dims)?;
    Ok(Shaped::new(dims, input.kind).with(values).into())
}

/// `Split`: cuts a tensor along an axis into parts of given sizes, or of equal size except the last.
pub(in super::super) fn split(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let along = axis(call.int("axis").unwrap_or(0), input.dims.len())?;
    let size = input.dims[along];
    let sizes: Vec<usize> = match call.list(1, "split")? {
        Some(sizes) => sizes
            .into_iter()
            .map(|size| usize::try_from(size).map_err(|_| format!("has a piece of {size}")))
            .collect::<Result<_, _>>()?,
        None => {
            let n = call
                .int("num_outputs")
                .map_or(call.n_outputs, |n| n as usize);
            let piece = size.div_ceil(n.max(1));
            (0..size)
                .step_by(piece.max(1))
                .map(|start| piece.min(size - start))
                .collect()
        }
    };
    let sum = sizes
        .iter()
        .try_fold(0usize, |sum, &size| sum.checked_add(size));
    if sum != Some(size) || sizes.len() != call.n_outputs {
        return Err(format!(
            "splits {size} into {sizes:?} for {} outputs",
            call.n_outputs
        ));
    }
    let mut start = 0;
    let mut outputs = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut dims = input.dims.clone();
        dims[along] = size;
        elements(&dims)?;
        let values = input.values.as_ref().filter(|_| dims.len() == 1);
        let values = values.map(|values| values[start..start + size].to_vec());
        outputs.push(Shaped::new(dims, input.kind).with(values));
        start += size;
    }
    Ok(Outcome {
        outputs,
        work: 0,
        scratch: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i64]) -> Shaped {
        let numbers = values.iter().map(|&value| value as f64).collect();
        Shaped::new(vec![values.len()], Kind::Int).with(Some(numbers))
    }

    fn sliced(start: i64, end: i64, step: i64) -> Option<Vec<f64>> {
        let inputs = [
            ints(&[10, 11, 12, 13, 14]),
            ints(&[start]),
            ints(&[end]),
            ints(&[0]),
            ints(&[step]),
        ];
        let inputs: Vec<_> = inputs.iter().map(Some).collect();
        let outcome = slice(&Call {
            operator: "Slice",
            inputs: &inputs,
            attributes: &[],
            n_outputs: 1,
        });
        outcome.ok()?.outputs.pop()?.values
    }

    #[test]
    fn slices_are_those_of_python() {
        let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
        assert_eq!(sliced(1, 4, 2), Some(vec![11.0, 13.0]));
        assert_eq!(sliced(-2, most, 1), Some(vec![13.0, 14.0]));
        assert_eq!(sliced(most, least, -2), Some(vec![14.0, 12.0, 10.0]));
        assert_eq!(sliced(least, most, 4), Some(vec![10.0, 14.0]));
        assert_eq!(sliced(-1, -4, -1), Some(vec![14.0, 13.0, 12.0]));
        // An empty range, a step of 0, and a step above the limit.
        assert_eq!(sliced(3, 3, 1), None);
        assert_eq!(sliced(0, 5, 0), None);
        assert_eq!(sliced(0, 5, most), None);
    }
}
