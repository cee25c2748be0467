//! YOLO face models: they return candidate boxes for grids of several strides, in pixels of the network's input.

use image::RgbImage;

use super::runner::Output;
use super::tensor::{Coding, Input, Placing, place};
use crate::Face;
use crate::shrink::fitted_size;

/// The default score threshold.
pub(super) const THRESHOLD: f32 = 0.25;
/// Two boxes whose IoU exceeds this are the same face.
pub(super) const MAX_IOU: f32 = 0.45;

/// Input coding: red, green, blue in `0..=1`, padded with gray.
const CODING: Coding = Coding {
    order: [0, 1, 2],
    mean: [0.0; 3],
    factor: 1.0 / 255.0,
    fill: [114.0; 3],
};
/// The strides of known models: the usual three, those with a P6 level, those with a P2 level.
const STRIDES: [&[u32]; 3] = [&[8, 16, 32], &[8, 16, 32, 64], &[4, 8, 16, 32]];
/// Without a fixed input size, width and height of the input are padded to a multiple of this, the largest usual
/// stride.
const MULTIPLE: u32 = 32;

/// Layout of the candidates in the output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YoloLayout {
    /// Number of values of a candidate: center x, center y, width, height, objectness if any, one score per class.
    columns: usize,
    /// Whether the output is `[1, n, columns]` with objectness (YOLOv5), or `[1, columns, n]` without (YOLOv8, YOLO11).
    has_objectness: bool,
    /// Index of the face class.
    class: usize,
}

/// Recognizes the layout by the shape of an output for an input of `size` (width, height); `None` when the number of
/// candidates does not match any YOLO grid.
///
/// `names` are the class names in the file.
///
/// # Errors
/// A message when the model has several classes and none is called face.
pub(super) fn layout(
    shape: [usize; 3],
    size: (u32, u32),
    names: Option<&[String]>,
) -> Result<Option<YoloLayout>, String> {
    let cells = |strides: &[u32]| -> usize {
        strides
            .iter()
            .map(|stride| (size.0 / stride) as usize * (size.1 / stride) as usize)
            .sum()
    };
    let is_grid =
        |n: usize, anchors: usize| STRIDES.iter().any(|strides| n == anchors * cells(strides));
    let (columns, has_objectness) = match shape {
        [1, n, columns] if columns > 5 && is_grid(n, 3) => (columns, true),
        [1, columns, n] if columns > 4 && is_grid(n, 1) => (columns, false),
        _ => return Ok(None),
    };
    let n_classes = columns - 4 - usize::from(has_objectness);
    let class = if n_classes == 1 {
        0
    } else {
        let named = names.unwrap_or_default();
        let face = named
            .iter()
            .position(|name| name.eq_ignore_ascii_case("face"));
        let face = face.or_else(|| {
            named
                .iter()
                .position(|name| name.to_ascii_lowercase().contains("face"))
        });
        face.filter(|class| *class < n_classes).ok_or_else(|| {
            format!(
                "is a YOLO model of {n_classes} classes and none is called face ({}): use a model for faces alone",
                if named.is_empty() { "no names in the file".into() } else { named.join(", ") }
            )
        })?
    };
    Ok(Some(YoloLayout {
        columns,
        has_objectness,
        class,
    }))
}

/// The network's input for an image: resized with its aspect ratio and padded with gray on both sides (letterbox).
///
/// With a fixed input size (width, height) the image is resized to fit it; otherwise it is shrunk so that its longest
/// side is at most `longest_side`.
pub(super) fn input(image: &RgbImage, fixed: Option<(u32, u32)>, longest_side: u32) -> Input {
    let (width, height) = image.dimensions();
    let (size, canvas) = match fixed {
        Some(canvas) => {
            let ratio = (f64::from(canvas.0) / f64::from(width))
                .min(f64::from(canvas.1) / f64::from(height));
            let side = |length: u32, most: u32| {
                ((f64::from(length) * ratio).round() as u32).clamp(1, most)
            };
            ((side(width, canvas.0), side(height, canvas.1)), canvas)
        }
        None => {
            let size = fitted_size(width, height, longest_side);
            (
                size,
                (
                    size.0.next_multiple_of(MULTIPLE),
                    size.1.next_multiple_of(MULTIPLE),
                ),
            )
        }
    };
    let offset = ((canvas.0 - size.0) / 2, (canvas.1 - size.1) / 2);
    place(image, size, canvas, offset, &CODING)
}

/// The candidates whose score is at least `threshold`, as faces in source pixels; not yet suppressed.
pub(super) fn faces(
    output: &Output,
    layout: &YoloLayout,
    placing: &Placing,
    threshold: f32,
) -> Result<Vec<Face>, String> {
    let YoloLayout {
        columns,
        has_objectness,
        class,
    } = *layout;
    let n = match output.shape {
        [1, n, c] if has_objectness && c == columns => n,
        [1, c, n] if !has_objectness && c == columns => n,
        shape => {
            return Err(format!(
                "{shape:?} came out where candidates of {columns} values were due"
            ));
        }
    };
    let value = |i: usize, column: usize| {
        if has_objectness {
            output.values[i * columns + column]
        } else {
            output.values[column * n + i]
        }
    };
    let face = |i: usize| {
        let score = if has_objectness {
            value(i, 4) * value(i, 5 + class)
        } else {
            value(i, 4 + class)
        };
        if score.is_nan() || score < threshold {
            return None;
        }
        let [x, y, width, height] = std::array::from_fn(|column| value(i, column));
        let rect = [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ];
        Some(placing.face(rect, score.min(1.0)))
    };
    Ok((0..n).filter_map(face).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_by_the_grid() {
        let told = |shape| layout(shape, (640, 640), None);
        let v5 = YoloLayout {
            columns: 6,
            has_objectness: true,
            class: 0,
        };
        let v8 = YoloLayout {
            columns: 5,
            has_objectness: false,
            class: 0,
        };
        assert_eq!(told([1, 25_200, 6]), Ok(Some(v5)));
        assert_eq!(told([1, 5, 8400]), Ok(Some(v8)));
        // With a P2 level; then with NMS inside the graph.
        assert!(told([1, 5, 34_000]).unwrap().is_some());
        assert_eq!(told([1, 300, 6]), Ok(None));
        assert_eq!(told([1, 8400, 5]), Ok(None));
        assert_eq!(told([1, 4, 8400]), Ok(None));
    }

    #[test]
    fn the_face_class_is_found_by_its_name() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
        };
        let told = |names: Option<&[String]>| layout([1, 6, 8400], (640, 640), names);
        assert_eq!(
            told(Some(&names(&["body", "Face"])))
                .unwrap()
                .unwrap()
                .class,
            1
        );
        assert!(
            told(Some(&names(&["cat", "dog"])))
                .unwrap_err()
                .contains("cat, dog")
        );
        assert!(told(None).unwrap_err().contains("2 classes"));
    }

    #[test]
    fn a_letterbox_is_centered_and_undone() {
        let image = RgbImage::new(200, 100);
        let input = input(&image, Some((64, 64)), 640);
        assert_eq!(
            input.placing,
            Placing {
                canvas: (64, 64),
                offset: (0, 16),
                scale: (3.125, 3.125)
            }
        );
        let face = input.placing.face([0.0, 16.0, 64.0, 48.0], 1.0);
        assert_eq!(face.rect, [0.0, 0.0, 200.0, 100.0]);
        let free = super::input(&image, None, 640).placing;
        assert_eq!(
            (free.canvas, free.offset, free.scale),
            ((224, 128), (12, 14), (1.0, 1.0))
        );
    }
}
