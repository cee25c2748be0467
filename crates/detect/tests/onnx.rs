//! ONNX face models, on small graphs written for these tests.
//!
//! The YOLO graphs return candidates from a constant; one of them is scored by the mean of the red plane, so that the
//! picture's colour coding and the run itself are in the test.

mod support;

use std::path::PathBuf;

use detect::onnx::OnnxDetector;
use detect::{DetectError, DetectOptions, Detector, Face, Picture};
use image::{Rgb, RgbImage};
use support::Side::{Fixed, Free};
use support::{Graph, Side, floats, node, value_info};

/// Cells of a 64 x 64 canvas at strides 8, 16 and 32.
const CELLS: usize = 64 + 16 + 4;
const SQUARE: [Side; 4] = [Fixed(1), Fixed(3), Fixed(64), Fixed(64)];

/// A model file that lives as long as the value.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn file(bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    File {
        path,
        _folder: folder,
    }
}

fn refused(bytes: &[u8]) -> String {
    let file = file(bytes);
    match OnnxDetector::load(&file.path) {
        Err(error @ DetectError::Model { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A graph that multiplies the constant `values` with the mean of the red plane.
fn constant_graph(shape: [usize; 3], values: &[f32], input: &[Side]) -> Graph {
    let shape = shape.map(|size| size as i64);
    Graph {
        nodes: vec![
            node(
                "Conv",
                &["images", "red"],
                &["plane"],
                &[("kernel_shape", &[1, 1])],
            ),
            node("GlobalAveragePool", &["plane"], &["mean"], &[]),
            node("Reshape", &["mean", "one"], &["factor"], &[]),
            node("Mul", &["candidates", "factor"], &["output0"], &[]),
        ],
        weights: vec![
            floats("red", &[1, 3, 1, 1], &[1.0, 0.0, 0.0]),
            floats("candidates", &shape, values),
            support::ints("one", &[1, 1, 1]),
        ],
        inputs: vec![value_info("images", input)],
        outputs: vec![value_info("output0", &shape.map(Fixed))],
        metadata: vec![("names", "{0: 'face'}")],
    }
}

/// Two candidates for one face and one for another, as rows of `[x, y, width, height, scores...]`.
fn candidates(n: usize, columns: usize, by_row: bool, rows: &[(usize, &[f32])]) -> Vec<f32> {
    let mut values = vec![0.0; n * columns];
    for (i, row) in rows {
        for (column, &value) in row.iter().enumerate() {
            values[if by_row {
                i * columns + column
            } else {
                column * n + i
            }] = value;
        }
    }
    values
}

/// 128 x 64, all red: on the 64 x 64 canvas it covers the middle half, less the mean of the gray bars.
fn red_picture() -> RgbImage {
    RgbImage::from_pixel(128, 64, Rgb([255, 0, 0]))
}

/// Mean of the red plane of [`red_picture`] on its canvas.
const RED_MEAN: f32 = (1.0 + 114.0 / 255.0) / 2.0;

fn scaled(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| value / RED_MEAN).collect()
}

fn assert_faces(found: &[Face], expected: &[([f32; 4], f32)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (face, (rect, score)) in found.iter().zip(expected) {
        let is_near = face
            .rect
            .iter()
            .zip(rect)
            .all(|(a, b)| (a - b).abs() < 0.01);
        assert!(
            is_near && (face.score - score).abs() < 1e-3,
            "{face:?} instead of {rect:?} {score}"
        );
    }
}

#[test]
fn yolo_v8_and_v11_return_columns() {
    let rows: [(usize, &[f32]); 4] = [
        (3, &[16.0, 32.0, 16.0, 16.0, 0.8]),
        (4, &[17.0, 32.0, 16.0, 16.0, 0.7]),
        (70, &[48.0, 32.0, 20.0, 24.0, 0.9]),
        (71, &[30.0, 30.0, 10.0, 10.0, 0.1]),
    ];
    let values = scaled(&candidates(CELLS, 5, false, &rows));
    let file = file(&constant_graph([1, 5, CELLS], &values, &SQUARE).file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    let image = red_picture();
    let faces = detector
        .detect(
            &Picture {
                image: &image,
                name: "red",
            },
            &DetectOptions::default(),
        )
        .unwrap();
    // The canvas shows the picture at one half, 16 pixels down.
    assert_faces(
        &faces,
        &[
            ([76.0, 8.0, 116.0, 56.0], 0.9),
            ([16.0, 16.0, 48.0, 48.0], 0.8),
        ],
    );
    let options = DetectOptions {
        threshold: Some(0.85),
        ..DetectOptions::default()
    };
    assert_eq!(
        detector
            .detect(
                &Picture {
                    image: &image,
                    name: "red"
                },
                &options
            )
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn yolo_v5_returns_rows_with_an_objectness() {
    let rows: [(usize, &[f32]); 2] = [
        (7, &[16.0, 32.0, 16.0, 16.0, 0.9, 0.9]),
        (200, &[48.0, 32.0, 20.0, 24.0, 0.9, 0.2]),
    ];
    let values = scaled(&candidates(3 * CELLS, 6, true, &rows));
    let file = file(&constant_graph([1, 3 * CELLS, 6], &values, &SQUARE).file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    let image = red_picture();
    let faces = detector
        .detect(
            &Picture {
                image: &image,
                name: "red",
            },
            &DetectOptions::default(),
        )
        .unwrap();
    // Objectness times class.
    assert_faces(&faces, &[([16.0, 16.0, 48.0, 48.0], 0.81)]);
}

#[test]
fn other_classes_and_other_graphs_are_refused_with_what_is_known() {
    let values = vec![0.0; 7 * CELLS];
    let graph = |names| Graph {
        metadata: vec![("names", names)],
        ..constant_graph([1, 7, CELLS], &values, &SQUARE)
    };
    let message = refused(&graph("{0: 'cat', 1: 'dog', 2: 'bird'}").file());
    assert!(
        message.contains("3 classes") && message.contains("cat, dog, bird"),
        "{message}"
    );
    let named = file(&graph("{0: 'cat', 1: 'dog', 2: 'face'}").file());
    assert!(OnnxDetector::load(&named.path).is_ok());

    let message = refused(&constant_graph([1, 300, 6], &[0.0; 1800], &SQUARE).file());
    assert!(
        message.contains("[1, 300, 6]") && message.contains("YOLOv5"),
        "{message}"
    );
}

#[test]
fn wrong_inputs_are_refused() {
    let values = vec![0.0; 5 * CELLS];
    let graph = |input: &[Side]| constant_graph([1, 5, CELLS], &values, input).file();
    for (input, named) in [
        (
            vec![Fixed(1), Fixed(1), Fixed(64), Fixed(64)],
            "[1, 1, 64, 64]",
        ),
        (
            vec![Fixed(8), Fixed(3), Fixed(64), Fixed(64)],
            "[8, 3, 64, 64]",
        ),
        (
            vec![Fixed(1), Fixed(3), Fixed(1 << 40), Fixed(64)],
            "1099511627776",
        ),
        (vec![Fixed(1), Fixed(3), Fixed(64)], "[1, 3, 64]"),
        (
            vec![Fixed(1), Fixed(3), Fixed(64), Free("w")],
            "[1, 3, 64, w]",
        ),
    ] {
        let message = refused(&graph(&input));
        assert!(message.contains(named), "{message}");
    }
    let two = Graph {
        inputs: vec![
            value_info("images", &SQUARE),
            value_info("size", &[Fixed(2)]),
        ],
        ..constant_graph([1, 5, CELLS], &values, &SQUARE)
    };
    assert!(refused(&two.file()).contains("2 inputs"));
    assert!(
        refused(
            &Graph {
                outputs: vec![],
                ..constant_graph([1, 5, CELLS], &values, &SQUARE)
            }
            .file()
        )
        .contains("output")
    );
}

/// A graph in the layout of FaceBoxes: strides 32, 64 and 128, two heads, all weights zero but one bias.
fn faceboxes_graph(input: &[Side]) -> Graph {
    let mut graph = Graph {
        inputs: vec![value_info("image", input)],
        ..Graph::default()
    };
    let mut heads: [Vec<String>; 2] = Default::default();
    for (level, (stride, priors)) in [(32i64, 21i64), (64, 1), (128, 1)].into_iter().enumerate() {
        for (head, columns) in [(0, 4i64), (1, 2)] {
            let name = |kind: &str| format!("{kind}{head}{level}");
            // Padding to whole cells, as the strided convolutions of the real network do.
            let channels = priors * columns;
            graph.weights.push(floats(
                &name("w"),
                &[channels, 3, 1, 1],
                &vec![0.0; 3 * channels as usize],
            ));
            let mut bias = vec![0.0; channels as usize];
            if head == 1 {
                // No face anywhere but at the 128 px prior of each cell: log odds of -4 and 2.
                for prior in 0..priors as usize {
                    bias[2 * prior + 1] = if prior == 20 { 2.0 } else { -4.0 };
                }
            }
            graph.weights.push(floats(&name("b"), &[channels], &bias));
            graph
                .weights
                .push(support::ints(&name("s"), &[1, -1, columns]));
            let attributes: [(&str, &[i64]); 2] =
                [("kernel_shape", &[1, 1]), ("strides", &[stride, stride])];
            graph.nodes.push(node(
                "Conv",
                &["image", &name("w"), &name("b")],
                &[&name("c")],
                &attributes,
            ));
            graph.nodes.push(node(
                "Transpose",
                &[&name("c")],
                &[&name("t")],
                &[("perm", &[0, 2, 3, 1])],
            ));
            graph.nodes.push(node(
                "Reshape",
                &[&name("t"), &name("s")],
                &[&name("r")],
                &[],
            ));
            heads[head].push(name("r"));
        }
    }
    let names = |head: &[String]| head.iter().map(String::clone).collect::<Vec<_>>();
    for (head, output) in [(0, "loc"), (1, "logits")] {
        let inputs = names(&heads[head]);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        graph.nodes.push(support::node_with_int(
            "Concat",
            &inputs,
            &[output],
            ("axis", 1),
        ));
    }
    graph.nodes.push(support::node_with_int(
        "Softmax",
        &["logits"],
        &["conf"],
        ("axis", 2),
    ));
    graph.outputs = vec![
        value_info("conf", &[Fixed(1), Free("n"), Fixed(2)]),
        value_info("loc", &[Fixed(1), Free("n"), Fixed(4)]),
    ];
    graph
}

#[test]
fn faceboxes_reads_its_priors_at_any_size() {
    let file = file(&faceboxes_graph(&[Fixed(1), Fixed(3), Free("h"), Free("w")]).file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    let score = 1.0 / (1.0 + (-2.0f32).exp());
    // One cell, then shrunk from twice the size: the prior of 128 px around the middle, cut to the picture.
    for (size, options) in [
        (32, DetectOptions::default()),
        (
            64,
            DetectOptions {
                longest_side: Some(32),
                ..DetectOptions::default()
            },
        ),
    ] {
        let image = RgbImage::new(size, size);
        let faces = detector
            .detect(
                &Picture {
                    image: &image,
                    name: "black",
                },
                &options,
            )
            .unwrap();
        assert_faces(&faces, &[([0.0, 0.0, size as f32, size as f32], score)]);
    }
    // Eight cells in a row: overlapping priors thin out, the top is lowered by 0.2 of 128.
    let image = RgbImage::new(512, 128);
    let faces = detector
        .detect(
            &Picture {
                image: &image,
                name: "black",
            },
            &DetectOptions::default(),
        )
        .unwrap();
    let rect = [16.0 + 32.0 - 64.0, 0.0, 16.0 + 32.0 + 64.0, 112.0];
    assert!(
        faces.len() > 3 && faces.iter().all(|face| face.score > 0.88),
        "{faces:?}"
    );
    assert!(faces.iter().all(|face| face.rect[2] - face.rect[0] <= 128.0 && face.height() <= 128.0 * 0.8 + 0.01), "{rect:?} {faces:?}");
}

#[test]
fn damaged_files_are_errors() {
    let whole = faceboxes_graph(&SQUARE).file();
    assert!(OnnxDetector::load(&file(&whole).path).is_ok());
    // The last bytes are the version of the operators, which may be missing.
    for end in (0..whole.len() - 16).step_by(37) {
        refused(&whole[..end]);
    }
    refused(b"");
    refused(b"<?xml version=\"1.0\"?>");
    refused(&[0xff; 4096]);
    // Bytes turned over: anything but a crash.
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let _ = OnnxDetector::load(&file(&bytes).path);
    }
}

#[test]
fn a_graph_that_feeds_on_itself_is_an_error() {
    let mut graph = faceboxes_graph(&SQUARE);
    graph.nodes.push(node("Add", &["conf", "b"], &["a"], &[]));
    graph.nodes.push(node("Relu", &["a"], &["b"], &[]));
    graph.outputs = vec![value_info("b", &[Fixed(1), Free("n"), Fixed(2)])];
    refused(&graph.file());
    let unknown = Graph {
        nodes: vec![node("Levitate", &["image"], &["out"], &[])],
        inputs: vec![value_info("image", &SQUARE)],
        outputs: vec![value_info("out", &SQUARE)],
        ..Graph::default()
    };
    assert!(refused(&unknown.file()).contains("Levitate"));
}

#[test]
fn one_detector_serves_many_threads() {
    let file = file(&faceboxes_graph(&[Fixed(1), Fixed(3), Free("h"), Free("w")]).file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    let image = RgbImage::new(256, 128);
    let look = || {
        detector
            .detect(
                &Picture {
                    image: &image,
                    name: "black",
                },
                &DetectOptions::default(),
            )
            .unwrap()
    };
    let alone = look();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..5).all(|_| look() == alone)))
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
}
