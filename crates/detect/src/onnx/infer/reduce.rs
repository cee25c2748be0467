//! Shape inference of matrix products, reductions over axes and normalizations.

use super::{Call, Inferred, Kind, Outcome, Shaped, axis, broadcast, elements};

/// Cost of one element of a reduction over non-contiguous axes, or of one exponential, in multiply-adds.
const STEP: u64 = 8;

pub(in super::super) fn batch_normalization(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let channels = match input.dims[..] {
        [_, channels, ..] if input.kind == Kind::Float => channels,
        _ => return Err(format!("has an input {:?} without channels", input.dims)),
    };
    for index in 1..5 {
        let dims = &call.input(index)?.dims;
        if *dims != [channels] {
            return Err(format!(
                "has an input {index} {dims:?} for {channels} channels"
            ));
        }
    }
    Ok(Shaped::new(input.dims.clone(), Kind::Float).into())
}

/// `MatMul`: `[..., m, k]` times `[..., k, n]`, with broadcast leading dimensions.
pub(in super::super) fn matmul(call: &Call<'_>) -> Inferred {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let ([a_batch @ .., m, k], [b_batch @ .., b_k, n]) = (&a.dims[..], &b.dims[..]) else {
        return Err(format!("multiplies {:?} by {:?}", a.dims, b.dims));
    };
    if k != b_k {
        return Err(format!("multiplies {:?} by {:?}", a.dims, b.dims));
    }
    let batch = broadcast(a_batch, b_batch)?;
    let dims = [&batch[..], &[*m, *n]].concat();
    elements(&dims)?;
    product(Shaped::new(dims, a.kind), elements(&batch)?, [*m, *k, *n])
}

/// `Gemm`: `alpha a b + beta c`, with `a` and `b` optionally transposed.
pub(in super::super) fn gemm(call: &Call<'_>) -> Inferred {
    let matrix = |index: usize, name: &str| match (
        call.input(index)?.dims[..].as_ref(),
        call.flag(name, false),
    ) {
        (&[rows, columns], false) => Ok([rows, columns]),
        (&[rows, columns], true) => Ok([columns, rows]),
        (dims, _) => Err(format!("has an input {dims:?} that is no matrix")),
    };
    let ([m, k], [b_k, n]) = (matrix(0, "transA")?, matrix(1, "transB")?);
    if k != b_k {
        return Err(format!("multiplies [{m}, {k}] by [{b_k}, {n}]"));
    }
    if let Some(c) = call.optional(2)
        && broadcast(&c.dims, &[m, n])? != [m, n]
    {
        return Err(format!("adds {:?} to [{m}, {n}]", c.dims));
    }
    elements(&[m, n])?;
    product(Shaped::new(vec![m, n], Kind::Float), 1, [m, k, n])
}

fn product(result: Shaped, batch: usize, [m, k, n]: [usize; 3]) -> Inferred {
    // The runtime computes tiles of 8 x 32 and packs both matrices.
    let tiles = (m.next_multiple_of(8) as u64).saturating_mul(n.next_multiple_of(32) as u64);
    let work = tiles.saturating_mul(k as u64 + STEP);
    Ok(Outcome {
        work: work.saturating_add(1 << 12).saturating_mul(batch as u64),
        ..result.into()
    })
}

pub(in super::super) fn softmax(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    axis(call.int("axis").unwrap_or(-1), input.dims.len())?;
    Ok(Outcome {
        work: STEP * input.len() as u64,
        scratch: input.len(),
        ..Shaped::new(input.dims.clone(), input.kind).into()
    })
}

/// Sums, means, norms and extremes over axes that are an input or an attribute.
pub(in super::super) fn reduce(call: &Call<'_>) -> Inferred {
    let input = call.input(0)?;
    let rank = input.dims.len();
    let axes = call.list(1, "axes")?.unwrap_or_default();
    if axes.is_empty() && call.flag("noop_with_empty_axes", false) {
        return Ok(Shaped::new(input.dims.clone(), input.kind).into());
    }
    let axes: Vec<usize> = axes
        .into_iter()
        .map(|named| axis(named, rank))
        .collect::<Result<_, _>>()?;
    let is_kept = call.flag("keepdims", true);
    let mut dims = Vec::new();
    for (index, &size) in input.dims.iter().enumerate() {
        if !axes.is_empty() && !axes.contains(&index) {
            dims.push(size);
        } else if is_kept {
            dims.push(1);
        }
    }
    elements(&dims)?;
    Ok(Outcome {
        work: STEP * input.len() as u64,
        scratch: input.len(),
        ..Shaped::new(dims, input.kind).into()
    })
}
