//! The training loss: quality focal loss of the scores (Li et al., arXiv:2006.04388) plus generalized IoU loss of the
//! boxes (Rezatofighi et al., arXiv:1902.09630).

use anyhow::Result;
use candle_core::{Device, Tensor};

use crate::targets::LevelTargets;

/// Weight of the box loss in the total.
const BOX_WEIGHT: f64 = 2.0;
/// Predicted logarithms of distances are clamped to the range from `-MAX_LOG` to `MAX_LOG`.
const MAX_LOG: f64 = 4.0;

/// The loss of a batch, `total = score + 2 * boxes`; both parts are sums over cells divided by the number of face
/// cells.
pub struct Loss {
    pub total: Tensor,
    pub score: f32,
    pub boxes: f32,
}

/// The loss of a batch.
///
/// - `levels`: the network's output of each level, `[batch, 5, height, width]`
/// - `targets`: for each image the targets of each level
pub fn loss(levels: &[Tensor], targets: &[Vec<LevelTargets>]) -> Result<Loss> {
    let n_faces: f32 = targets
        .iter()
        .flatten()
        .flat_map(|level| &level.is_face)
        .sum();
    let per_face = 1.0 / f64::from(n_faces.max(1.0));
    let (mut scores, mut boxes) = (Vec::new(), Vec::new());
    for (i, level) in levels.iter().enumerate() {
        let (batch, values, height, width) = level.dims4()?;
        let n = height * width;
        let level = level.reshape((batch, values, n))?;
        let column = |of: &dyn Fn(&LevelTargets) -> &Vec<f32>| -> Result<Tensor> {
            let all: Vec<f32> = targets
                .iter()
                .flat_map(|t| of(&t[i]).iter().copied())
                .collect();
            Ok(Tensor::from_vec(all, (batch, n), &Device::Cpu)?)
        };
        let (is_face, counts) = (column(&|t| &t.is_face)?, column(&|t| &t.counts)?);
        let mut distances = Vec::new();
        for side in 0..4 {
            let predicted = level
                .narrow(1, side + 1, 1)?
                .squeeze(1)?
                .clamp(-MAX_LOG, MAX_LOG)?
                .exp()?;
            distances.push((predicted, column(&|t| &t.distances[side])?));
        }
        let (iou, generalized) = overlaps(&distances)?;
        boxes.push((generalized.affine(-1.0, 1.0)? * &is_face)?.sum_all()?);
        let logit = level.narrow(1, 0, 1)?.squeeze(1)?;
        // The target score of a cell with a face is the IoU of its predicted box.
        let wanted = (iou.detach() * &is_face)?;
        scores.push((focal(&logit, &wanted)? * counts)?.sum_all()?);
    }
    let scores = (Tensor::stack(&scores, 0)?.sum_all()? * per_face)?;
    let boxes = (Tensor::stack(&boxes, 0)?.sum_all()? * per_face)?;
    Ok(Loss {
        score: scores.to_scalar()?,
        boxes: boxes.to_scalar()?,
        total: (scores + (boxes * BOX_WEIGHT)?)?,
    })
}

/// Quality focal loss: `(wanted - p)^2` times the cross entropy of `p = sigmoid(logit)` with the target `wanted`.
fn focal(logit: &Tensor, wanted: &Tensor) -> candle_core::Result<Tensor> {
    // log(1 + e^x) without overflow.
    let softplus = (logit.relu()? + (logit.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    let entropy = (&softplus - (logit * wanted)?)?;
    // p = e^(x - softplus(x))
    let p = (logit - &softplus)?.exp()?;
    (wanted - p)?.sqr()? * entropy
}

/// IoU and generalized IoU of predicted and true boxes.
///
/// `distances` are pairs (predicted, true) of the distances from a cell to the left, upper, right and lower side.
fn overlaps(distances: &[(Tensor, Tensor)]) -> candle_core::Result<(Tensor, Tensor)> {
    let [(l, tl), (t, tt), (r, tr), (b, tb)] = distances else {
        candle_core::bail!("four distances")
    };
    let area = ((l + r)? * (t + b)?)?;
    let true_area = ((tl + tr)? * (tt + tb)?)?;
    let shared = ((l.minimum(tl)? + r.minimum(tr)?)? * (t.minimum(tt)? + b.minimum(tb)?)?)?;
    let hull = ((l.maximum(tl)? + r.maximum(tr)?)? * (t.maximum(tt)? + b.maximum(tb)?)?)?;
    let union = ((area + true_area)? - &shared)?;
    let iou = shared.div(&union)?;
    let generalized = (&iou - ((&hull - &union)? / &hull)?)?;
    Ok((iou, generalized))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::targets;

    fn result(side: usize, logit: f32) -> Tensor {
        let mut values = vec![0.0; 5 * side * side];
        values[..side * side].fill(logit);
        Tensor::from_vec(values, (1, 5, side, side), &Device::Cpu).unwrap()
    }

    #[test]
    fn overlaps_of_known_boxes() {
        let of = |v: f32| Tensor::new(&[v], &Device::Cpu).unwrap();
        let pairs = [(1.0, 1.0), (1.0, 1.0), (1.0, 3.0), (1.0, 1.0)].map(|(a, b)| (of(a), of(b)));
        let (iou, generalized) = overlaps(&pairs).unwrap();
        assert_eq!(iou.to_vec1::<f32>().unwrap(), [0.5]);
        assert_eq!(generalized.to_vec1::<f32>().unwrap(), [0.5]);
    }

    #[test]
    fn silence_is_right_without_faces_and_wrong_with_one() {
        let levels = |logit| [result(32, logit), result(16, logit), result(8, logit)];
        let empty = [targets(&[], &[], 256)];
        let one = [targets(&[[100.0, 60.0, 140.0, 100.0]], &[], 256)];
        let total = |levels: &[Tensor], targets: &[_]| {
            loss(levels, targets)
                .unwrap()
                .total
                .to_scalar::<f32>()
                .unwrap()
        };
        assert!(total(&levels(-8.0), &empty) < 1e-3);
        assert!(total(&levels(2.0), &empty) > 100.0);
        assert!(total(&levels(-8.0), &one) > 1.0);
    }
}
