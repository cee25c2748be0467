//! Shape inference of convolutions and pooling: sliding windows over one or two axes.

use super::{Call, Inferred, Kind, MAX_ELEMENTS, Outcome, Shaped, elements};

/// Rows and columns of the tiles in which the runtime computes a matrix product; a smaller product costs as much as one
/// tile.
const TILE: (usize, usize) = (8, 32);
/// Fixed cost of the matrix product of one group, in multiply-adds.
const GROUP: u64 = 1 << 14;
/// Cost of one element in a window of a pooling or depthwise convolution, in multiply-adds.
const TAP: u64 = 8;

/// An axis that windows slide over.
struct Axis {
    size: usize,
    /// Number of elements from the first to the last tap of a window, both included: the dilated kernel size.
    extent: usize,
    stride: usize,
    /// Padding before and after; `None` for `auto_pad` `SAME_UPPER` and `SAME_LOWER`, where the padding follows from
    /// the size.
    pads: Option<(usize, usize)>,
}

impl Axis {
    /// Number of window positions along the axis, rounded up if `is_ceiled`.
    fn places(&self, is_ceiled: bool) -> Result<usize, String> {
        let Self {
            size,
            extent,
            stride,
            pads,
        } = *self;
        let Some((before, behind)) = pads else {
            return Ok(size.div_ceil(stride));
        };
        let room = (size + before + behind).checked_sub(extent);
        let room = room.ok_or_else(|| {
            format!("has windows of {extent} on {size} numbers with padding {before} and {behind}")
        })?;
        if !is_ceiled {
            return Ok(room / stride + 1);
        }
        let places = room.div_ceil(stride) + 1;
        // A window that would start in the padding after the axis does not count.
        Ok(places - usize::from((places - 1) * stride >= size + before))
    }
}

/// The axes of a node, from its attributes; `sizes` and `kernel` are those of the spatial axes.
///
/// `operators` has checked that the attributes are at most 1,024.
fn axes(call: &Call<'_>, sizes: &[usize], kernel: &[usize]) -> Result<Vec<Axis>, String> {
    let rank = sizes.len();
    if !(1..=2).contains(&rank) {
        return Err(format!("moves over {rank} axes instead of one or two"));
    }
    if kernel.len() != rank || kernel.iter().any(|&side| !(1..=1024).contains(&side)) {
        return Err(format!("has a kernel {kernel:?} for {rank} axes"));
    }
    let stated = call.ints("kernel_shape");
    if stated.is_some_and(|stated| {
        !stated.iter().eq(kernel
            .iter()
            .map(|&side| side as i64)
            .collect::<Vec<_>>()
            .iter())
    }) {
        return Err(format!(
            "has a kernel_shape {stated:?} for weights of {kernel:?}"
        ));
    }
    let list = |name: &str, n: usize, default: i64| {
        let values = call.ints(name);
        let values = values.map_or_else(|| vec![default; n], <[i64]>::to_vec);
        if values.len() == n {
            return Ok(values
                .into_iter()
                .map(|value| value as usize)
                .collect::<Vec<_>>());
        }
        Err(format!("has {} {name} for {rank} axes", values.len()))
    };
    let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
    let pads = list("pads", 2 * rank, 0)?;
    let is_same = match call.text("auto_pad") {
        None | Some("NOTSET") => false,
        Some(_) if pads.iter().any(|&pad| pad > 0) => {
            return Err("has both pads and auto_pad".into());
        }
        mode => mode != Some("VALID"),
    };
    let axis = |i: usize| Axis {
        size: sizes[i],
        extent: (kernel[i] - 1) * dilations[i] + 1,
        stride: strides[i],
        pads: (!is_same).then_some((pads[i], pads[i + rank])),
    };
    Ok((0..rank).map(axis).collect())
}

/// Batch, channels and spatial axes of an f32 tensor `[batch, channels, axes...]`.
fn image(shaped: &Shaped) -> Result<(usize, usize, &[usize]), String> {
    match (&shaped.dims[..], shaped.kind) {
        (dims, _) if dims.contains(&0) => Err(format!("has an empty input {dims:?}")),
        ([batch, channels, axes @ ..], Kind::Float) if !axes.is_empty() => {
            Ok((*batch, *channels, axes))
        }
        (dims, _) => Err(format!("has an input {dims:?} that is no f32 image")),
    }
}

fn bias(call: &Call<'_>, channels: usize) -> Result<(), String> {
    match call.optional(2) {
        Some(bias) if bias.dims != [channels] => Err(format!(
            "has a bias of shape {:?} for {channels} channels",
            bias.dims
        )),
        _ => Ok(()),
    }
}

/// `Conv`: input `[batch, channels, axes...]`, weights `[out, channels / group, kernel...]`.
pub(in super::super) fn conv(call: &Call<'_>) -> Inferred {
    let (batch, channels, sizes) = image(call.input(0)?)?;
    let (to, from, kernel) = image(call.input(1)?)?;
    let groups = call.int("group").unwrap_or(1) as usize;
    if from.checked_mul(groups) != Some(channels) || to % groups != 0 {
        return Err(format!(
            "has weights {:?} and {groups} groups for {channels} channels",
            call.input(1)?.dims
        ));
    }
    bias(call, to)?;
    let axes = axes(call, sizes, kernel)?;
    // The runtime stores offsets into the padded image in 32 bits.
    let padded: Vec<usize> = axes
        .iter()
        .map(|axis| {
            let (before, behind) = axis.pads.unwrap_or((axis.extent, axis.stride));
            axis.size + before + behind + axis.extent + axis.stride
        })
        .chain([channels])
        .collect();
    elements(&padded)?;
    let places: Vec<usize> = axes
        .iter()
        .map(|axis| axis.places(false))
        .collect::<Result<_, _>>()?;
    let n_places = elements(&places)?;
    let taps = elements(&[&[from], kernel].concat())?;
    let dims = [&[batch, to], &places[..]].concat();
    elements(&dims)?;
    let work = if groups > 1 && from == 1 && to == groups {
        (batch * to * n_places * taps) as u64 * TAP
    } else {
        let tiles = (to / groups).next_multiple_of(TILE.0) as u64
            * n_places.next_multiple_of(TILE.1) as u64;
        let group = tiles.saturating_mul(taps as u64).saturating_add(GROUP);
        group.saturating_mul((batch * groups) as u64)
    };
    Ok(Outcome {
        work,
        // Tables of offsets: three per tap and two per window position.
        scratch: 3 * taps + 2 * n_places,
        ..Shaped::new(dims, Kind::Float).into()
    })
}

/// `ConvTranspose`: input `[batch, channels, axes...]`, weights `[channels, out / group, kernel...]`.
pub(in super::super) fn conv_transpose(call: &Call<'_>) -> Inferred {
    let (batch, channels, sizes) = image(call.input(0)?)?;
    let (from, to, kernel) = image(call.input(1)?)?;
    let groups = call.int("group").unwrap_or(1) as usize;
    if from != channels || channels % groups != 0 {
        return Err(format!(
            "has weights {:?} and {groups} groups for {channels} channels",
            call.input(1)?.dims
        ));
    }
    let out_channels = elements(&[to, groups])?;
    bias(call, out_channels)?;
    let axes = axes(call, sizes, kernel)?;
    let more = call.ints("output_padding").unwrap_or(&[]);
    if !more.is_empty() && more.len() != axes.len() {
        return Err(format!(
            "has {} output_padding for {} axes",
            more.len(),
            axes.len()
        ));
    }
    let mut dims = vec![batch, out_channels];
    for (i, axis) in axes.iter().enumerate() {
        let more = more.get(i).map_or(0, |&more| more as usize);
        if more > 0 && more >= axis.stride {
            return Err(format!(
                "has an output_padding of {more} for a stride of {}",
                axis.stride
            ));
        }
        let whole = (axis.size - 1) * axis.stride + axis.extent + more;
        let size = match axis.pads {
            None => Some(axis.size * axis.stride).filter(|&size| size <= whole),
            Some((before, behind)) => whole.checked_sub(before + behind),
        };
        dims.push(size.ok_or_else(|| format!("pads more than its {whole} numbers"))?);
    }
    elements(&dims)?;
    let columns = elements(&[&[to], kernel, sizes].concat())?;
    let work = (columns as u64)
        .saturating_mul((channels / groups).max(TILE.0) as u64 + TAP)
        .saturating_add(GROUP)
        .saturating_mul((groups * batch) as u64);
    Ok(Outcome {
        work,
        scratch: columns,
        ..Shaped::new(dims, Kind::Float).into()
    })
}

/// `MaxPool` and `AveragePool`: maximum or mean of each window.
pub(in super::super) fn pool(call: &Call<'_>) -> Inferred {
    let (batch, channels, sizes) = image(call.input(0)?)?;
    let kernel = call.ints("kernel_shape").ok_or("lacks kernel_shape")?;
    let kernel: Vec<usize> = kernel.iter().map(|&side| side as usize).collect();
    let axes = axes(call, sizes, &kernel)?;
    let mut dims = vec![batch, channels];
    for axis in &axes {
        if let Some((before, behind)) = axis.pads
            && before.max(behind) >= axis.extent
        {
            return Err(format!(
                "has pads of {before} and {behind} for windows of {}",
                axis.extent
            ));
        }
        dims.push(axis.places(call.flag("ceil_mode", false))?);
    }
    let n = elements(&dims)? as u64;
    let taps = kernel.iter().product::<usize>() as u64;
    Ok(Outcome {
        work: n.saturating_mul(taps).saturating_mul(TAP),
        ..Shaped::new(dims, Kind::Float).into()
    })
}

/// `GlobalAveragePool`: mean of each channel.
pub(in super::super) fn global_pool(call: &Call<'_>) -> Inferred {
    let (batch, channels, sizes) = image(call.input(0)?)?;
    let dims = [vec![batch, channels], vec![1; sizes.len()]].concat();
    debug_assert!(call.input(0)?.len() <= MAX_ELEMENTS);
    Ok(Outcome {
        work: call.input(0)?.len() as u64,
        ..Shaped::new(dims, Kind::Float).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(size: usize, extent: usize, stride: usize, pads: (usize, usize)) -> [usize; 2] {
        let axis = Axis {
            size,
            extent,
            stride,
            pads: Some(pads),
        };
        [axis.places(false).unwrap(), axis.places(true).unwrap()]
    }

    #[test]
    fn windows_are_counted_as_pytorch_counts_them() {
        // Expected: output lengths of torch.nn.MaxPool1d with ceil_mode off and on.
        assert_eq!(places(16, 3, 2, (0, 0)), [7, 8]);
        assert_eq!(places(16, 3, 2, (1, 1)), [8, 9]);
        assert_eq!(places(5, 2, 3, (1, 1)), [2, 2]);
        assert_eq!(places(4, 1, 4, (0, 0)), [1, 1]);
        assert_eq!(places(7, 7, 1, (0, 0)), [1, 1]);
        let same = Axis {
            size: 15,
            extent: 7,
            stride: 4,
            pads: None,
        };
        assert_eq!(same.places(false), Ok(4));
        let small = Axis {
            pads: Some((0, 0)),
            extent: 16,
            ..same
        };
        assert!(small.places(false).unwrap_err().contains("windows of 16"));
    }
}
