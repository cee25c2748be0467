//! Shape inference of operators that rearrange values to another shape, or return the shape.

use super::{Call, Inferred, Kind, Shaped, axis, elements};

pub(in super::super) fn reshape(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let shape = call.list(1, "shape")?.ok_or("lacks its shape")?;
    let wrong = || format!("turns {:?} into {shape:?}", input.dims);
    if shape.len() > crate::onnx::limits::MAX_RANK {
        return Err(wrong());
    }
    let mut dims = Vec::with_capacity(shape.len());
    let mut open = None;
    for (index, &size) in shape.iter().enumerate() {
        match size {
            -1 if open.replace(index).is_none() => dims.push(1),
            0 if !call.flag("allowzero", false) => {
                dims.push(*input.dims.get(index).ok_or_else(wrong)?);
            }
            size => dims.push(usize::try_from(size).map_err(|_| wrong())?),
        }
    }
    let given = elements(&dims)?;
    if let Some(index) = open {
        dims[index] = input.len() / given;
    }
    if elements(&dims)? != input.len() {
        return Err(wrong());
    }
    same(input, dims)
}

pub(in super::super) fn flatten(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let at = call.int("axis").unwrap_or(1);
    let at = if at == rank as i64 {
        rank
    } else {
        axis(at, rank)?
    };
    let dims = vec![
        input.dims[..at].iter().product(),
        input.dims[at..].iter().product(),
    ];
    same(input, dims)
}

pub(in super::super) fn squeeze(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let dims = match call.list(1, "axes")? {
        None => input
            .dims
            .iter()
            .copied()
            .filter(|&size| size != 1)
            .collect(),
        Some(axes) => {
            let axes: Vec<usize> = axes
                .into_iter()
                .map(|named| axis(named, rank))
                .collect::<Result<_, _>>()?;
            if let Some(&wrong) = axes.iter().find(|&&axis| input.dims[axis] != 1) {
                return Err(format!("takes axis {wrong} out of {:?}", input.dims));
            }
            let kept = input.dims.iter().enumerate();
            kept.filter(|(index, _)| !axes.contains(index))
                .map(|(_, &size)| size)
                .collect()
        }
    };
    same(input, dims)
}

pub(in super::super) fn unsqueeze(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let axes = call.list(1, "axes")?.ok_or("lacks axes")?;
    let rank = input.dims.len() + axes.len();
    if rank > crate::onnx::limits::MAX_RANK {
        return Err(format!("makes a tensor of {rank} dimensions"));
    }
    let mut new = vec![false; rank];
    for &named in &axes {
        let at = axis(named, rank)?;
        if std::mem::replace(&mut new[at], true) {
            return Err(format!("puts in axis {named} twice"));
        }
    }
    let mut old = input.dims.iter().copied();
    let dims = new
        .into_iter()
        .map(|is_new| if is_new { 1 } else { old.next().unwrap_or(1) })
        .collect();
    same(input, dims)
}

fn same(input: &Shaped, dims: Vec<usize>) -> Inferred {
    elements(&dims)?;
    Ok(Shaped::new(dims, input.kind)
        .with(input.values.clone())
        .into())
}

pub(in super::super) fn transpose(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let order: Vec<usize> = match call.ints("perm") {
        None => (0..rank).rev().collect(),
        Some(perm) => perm
            .iter()
            .map(|&named| axis(named, rank))
            .collect::<Result<_, _>>()?,
    };
    if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
        return Err(format!("puts the {rank} dimensions in the order {order:?}"));
    }
    let dims: Vec<usize> = order.iter().map(|&axis| input.dims[axis]).collect();
    // With at most one axis longer than 1 the order of the values does not change.
    let is_line = dims.iter().filter(|&&size| size > 1).count() <= 1;
    let values = input.values.clone().filter(|_| is_line);
    Ok(Shaped::new(dims, input.kind).with(values).into())
}

pub(in super::super) fn depth_to_space(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let block = call.int("blocksize").ok_or("lacks blocksize")? as usize;
    match input.dims[..] {
        [batch, channels, height, width] if channels % (block * block) == 0 => {
            let dims = vec![
                batch,
                channels / (block * block),
                height * block,
                width * block,
            ];
            elements(&dims)?;
            Ok(Shaped::new(dims, input.kind).into())
        }
        _ => Err(format!("spreads blocks of {block} from {:?}", input.dims)),
    }
}

/// `Shape`: the dimensions from index `start` to `end`, as a list of integers.
pub(in super::super) fn shape(call: &Call<'_>) -> Inferred {
    let dims = &call.input(0)?.dims;
    let rank = dims.len() as i64;
    let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
    let (start, end) = (
        place(call.int("start").unwrap_or(0)),
        place(call.int("end").unwrap_or(rank)),
    );
    let values: Vec<f64> = dims
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|&size| size as f64)
        .collect();
    Ok(Shaped::new(vec![values.len()], Kind::Int)
        .with(Some(values))
        .into())
}

/// `Size`: the number of elements, as an integer without dimensions.
pub(in super::super) fn size(call: &Call<'_>) -> Inferred {
    let n = call.input(0)?.len() as f64;
    Ok(Shaped::new(Vec::new(), Kind::Int)
        .with(Some(vec![n]))
        .into())
}

#[cfg(test)]
mod tests {
    use super::super::super::graph::Attribute;
    use super::*;

    fn reshaped(from: &[usize], to: &[i64]) -> Result<Vec<usize>, String> {
        let input = Shaped::new(from.to_vec(), Kind::Float);
        let attributes = [("shape".to_owned(), Attribute::Ints(to.to_vec()))];
        reshape(&Call {
            operator: "Reshape",
            inputs: &[Some(&input)],
            attributes: &attributes,
            n_outputs: 1,
        })
        .map(|outcome| outcome.outputs[0].dims.clone())
    }

    #[test]
    fn shapes_are_filled_in_and_counted() {
        assert_eq!(reshaped(&[1, 84, 8, 8], &[0, 4, -1]), Ok(vec![1, 4, 1344]));
        assert_eq!(reshaped(&[6], &[2, 3]), Ok(vec![2, 3]));
        for to in [
            &[-1, -1][..],
            &[7],
            &[-2],
            &[4, -1],
            &[1 << 31, 1 << 31, 1 << 31],
            &[i64::MAX, -1],
            &[6, 0],
        ] {
            assert!(reshaped(&[6], to).is_err(), "{to:?}");
        }
    }
}
