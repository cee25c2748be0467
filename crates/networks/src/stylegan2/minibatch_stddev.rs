//! The minibatch standard deviation layer.

use ops::Dual;

use crate::error::{Error, Result};

/// Minibatch standard deviation (arXiv:1710.10196): appends channels that contain the standard deviation of the
/// features within groups of samples.
///
/// The batch has `batch / group_size` groups. A `group_size` of `None`, or above the batch size, makes the whole batch
/// one group. Sample `i` belongs to group `i % (batch / group_size)`. The input channels are divided evenly among the
/// `num_channels` new channels. Each new channel is constant over the image: the standard deviation over the group,
/// averaged over its input channels and all pixels.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`
/// - result: `[batch, channels + num_channels, height, width]`
///
/// # Errors
/// `Config` when the group size does not divide the batch.
pub(crate) fn minibatch_stddev(
    x: &Dual,
    group_size: Option<usize>,
    num_channels: usize,
) -> Result<Dual> {
    let (batch, channels, height, width) = x.primal.dims4()?;
    let group = group_size.unwrap_or(batch).min(batch);
    if !batch.is_multiple_of(group) {
        return Err(Error::config(format!(
            "a batch of {batch} does not divide into groups of {group} (mbstd_group_size)"
        )));
    }
    let n_groups = batch / group;
    // Axis 0 holds the samples of a group, so the deviation is taken over it. Each deviation is then averaged over
    // `features`.
    let features = channels / num_channels * height * width;
    let y = x.reshape((group, n_groups * num_channels * features))?;
    let y = y.broadcast_add(&y.mean_keepdim(&[0])?.scale(-1.0)?)?;
    let stddev = y.sqr()?.mean_keepdim(&[0])?.shift(1e-8)?.sqrt()?;
    let stddev = stddev
        .reshape((n_groups, num_channels, features))?
        .mean_keepdim(&[2])?;
    let stddev = stddev.reshape((n_groups, num_channels, 1, 1))?;
    let planes = (n_groups, num_channels, height, width);
    let stddev = stddev.linear(|s| s.broadcast_to(planes))?;
    let stddev = Dual::cat(&vec![&stddev; group], 0)?;
    Ok(Dual::cat(&[x, &stddev], 1)?)
}
