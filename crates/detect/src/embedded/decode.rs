//! Decodes the output of the network to faces.

use super::network::{CELL_VALUES, Level};
use crate::Face;
use crate::onnx::Output;
use crate::onnx::Placing;

/// Predicted logarithms of distances are clamped to the range from `-MAX_LOG` to `MAX_LOG`.
const MAX_LOG: f32 = 4.0;

/// Appends to `faces` the faces of one level whose score is at least `threshold`, in pixels of the source image.
///
/// `columns` is the number of cells in a row of the level. The error says that `output` has an unexpected shape.
pub(super) fn faces(
    output: &Output,
    level: Level,
    columns: usize,
    placing: &Placing,
    threshold: f32,
    faces: &mut Vec<Face>,
) -> Result<(), String> {
    let [1, CELL_VALUES, n] = output.shape else {
        return Err(format!(
            "{:?} came out where {CELL_VALUES} values per cell are expected",
            output.shape
        ));
    };
    let value = |i: usize, cell: usize| output.values[i * n + cell];
    // Compare logits, which saves an exponential for each of thousands of empty cells.
    let threshold = threshold.clamp(1e-6, 1.0 - 1e-6);
    let least = (threshold / (1.0 - threshold)).ln();
    for cell in 0..n {
        let logit = value(0, cell);
        // A NaN fails the comparison.
        if logit >= least {
            let stride = level.stride as f32;
            let x = (((cell % columns) as f32) + 0.5) * stride;
            let y = (((cell / columns) as f32) + 0.5) * stride;
            let distance = |i| value(i, cell).clamp(-MAX_LOG, MAX_LOG).exp() * level.unit();
            let rect = [
                x - distance(1),
                y - distance(2),
                x + distance(3),
                y + distance(4),
            ];
            faces.push(placing.face(rect, 1.0 / (1.0 + (-logit).exp())));
        }
    }
    Ok(())
}
