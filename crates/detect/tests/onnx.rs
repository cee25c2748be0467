//! The ONNX detector with small graphs written for these tests.
//!
//! The YOLO graphs return constant candidates, multiplied by the mean of the red plane, so that the result depends on
//! the color coding of the image and on the run.

mod support;

use detect::onnx::OnnxDetector;
use detect::{DetectOptions, Detector, Face, NamedImage};
use image::{Rgb, RgbImage};
use support::Side::{Fixed, Free};
use support::{
    CELLS, Graph, Message, SQUARE, Side, constant_graph, file, floats, node, refused, value_info,
};

/// The values of `n` candidates, all 0 except `rows`: index of a candidate and `[x, y, width, height, scores...]`.
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

/// A red image of 128 x 64, which covers the middle half of a 64 x 64 input between gray bars.
fn red_image() -> RgbImage {
    RgbImage::from_pixel(128, 64, Rgb([255, 0, 0]))
}

/// Mean of the red plane of the input for [`red_image`].
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
    let image = red_image();
    let faces = detector
        .detect(
            &NamedImage {
                image: &image,
                name: "red",
            },
            &DetectOptions::default(),
        )
        .unwrap();
    // In the input the image has half its size and begins 16 pixels from the top.
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
                &NamedImage {
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
    let image = red_image();
    let faces = detector
        .detect(
            &NamedImage {
                image: &image,
                name: "red",
            },
            &DetectOptions::default(),
        )
        .unwrap();
    // The score is objectness times class score.
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

/// A graph with the outputs of FaceBoxes: strides 32, 64 and 128, two heads, all weights zero except one bias.
fn faceboxes_graph(input: &[Side]) -> Graph {
    let mut graph = Graph {
        inputs: vec![value_info("image", input)],
        ..Graph::default()
    };
    let mut heads: [Vec<String>; 2] = Default::default();
    for (level, (stride, priors)) in [(32i64, 21i64), (64, 1), (128, 1)].into_iter().enumerate() {
        for (head, columns) in [(0, 4i64), (1, 2)] {
            let name = |kind: &str| format!("{kind}{head}{level}");
            // Pad to whole cells, as the strided convolutions of the real network do.
            let channels = priors * columns;
            graph.weights.push(floats(
                &name("w"),
                &[channels, 3, 1, 1],
                &vec![0.0; 3 * channels as usize],
            ));
            let mut bias = vec![0.0; channels as usize];
            if head == 1 {
                // A face only at the 128 px prior of each cell (log odds 2); log odds of -4 elsewhere.
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
    // An input of one cell, then an image shrunk from twice the size: the 128 px prior around the middle, clamped to
    // the image.
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
                &NamedImage {
                    image: &image,
                    name: "black",
                },
                &options,
            )
            .unwrap();
        assert_faces(&faces, &[([0.0, 0.0, size as f32, size as f32], score)]);
    }
    // Several cells in a row: overlapping priors are suppressed; the top edge is lowered by 0.2 of 128 (the hair).
    let image = RgbImage::new(512, 128);
    let faces = detector
        .detect(
            &NamedImage {
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
    // The last bytes are the version of the operator set, which may be missing.
    for end in (0..whole.len() - 16).step_by(37) {
        refused(&whole[..end]);
    }
    refused(b"");
    refused(b"<?xml version=\"1.0\"?>");
    refused(&[0xff; 4096]);
    // Inverted bytes must not crash the loader; any result is accepted.
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
                &NamedImage {
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

/// A YOLOv8 head as exporters write it for free input sizes: shapes and grid are computed inside the graph.
fn graph_with_computed_shapes() -> Graph {
    let scalar = |name: &str, value: i64| {
        Message::default()
            .int(2, 7)
            .bytes(8, name)
            .bytes(9, value.to_le_bytes())
    };
    let free = [Fixed(1), Fixed(3), Free("height"), Free("width")];
    let mut graph = Graph {
        inputs: vec![value_info("images", &free)],
        outputs: vec![value_info("output0", &[Fixed(1), Fixed(5), Free("cells")])],
        weights: vec![
            floats("red", &[1, 3, 1, 1], &[1.0, 0.0, 0.0]),
            floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0]),
            floats("nothing", &[1], &[0.0]),
            floats("half", &[1], &[0.5]),
            floats("side", &[1], &[16.0]),
            scalar("zero", 0),
            scalar("one", 1),
            scalar("two", 2),
            scalar("three", 3),
            support::ints("first", &[0]),
            support::ints("second", &[1]),
            support::ints("row", &[1, 1, -1]),
            support::ints("end", &[i64::MAX]),
        ],
        metadata: vec![("names", "{0: 'face'}")],
        ..Graph::default()
    };
    let add = |graph: &mut Graph, op: &str, inputs: &[&str], output: &str| {
        graph.nodes.push(node(op, inputs, &[output], &[]));
    };
    let join = |graph: &mut Graph, inputs: &[&str], output: &str, axis| {
        let node = support::node_with_int("Concat", inputs, &[output], ("axis", axis));
        graph.nodes.push(node);
    };
    add(&mut graph, "Conv", &["images", "red"], "plane");
    for stride in [8, 16, 32] {
        let sides: [(&str, &[i64]); 2] =
            [("kernel_shape", &[stride; 2]), ("strides", &[stride; 2])];
        let level = format!("p{stride}");
        graph
            .nodes
            .push(node("AveragePool", &["plane"], &[&level], &sides));
    }
    // The coarse level is resized to the fine one and multiplied by 0.
    add(&mut graph, "Resize", &["p16", "", "scales"], "larger");
    add(&mut graph, "Mul", &["larger", "nothing"], "weightless");
    add(&mut graph, "Add", &["p8", "weightless"], "f8");
    add(&mut graph, "Identity", &["p16"], "f16");
    add(&mut graph, "Identity", &["p32"], "f32");
    let mut levels = Vec::new();
    for stride in [8, 16, 32] {
        let n = |name: &str| format!("{name}{stride}");
        let level = n("f");
        graph
            .weights
            .push(floats(&n("stride"), &[1], &[stride as f32]));
        add(&mut graph, "Shape", &[&level], &n("shape"));
        add(&mut graph, "Gather", &[&n("shape"), "two"], &n("rows"));
        // The width by a Slice, as in other exporters.
        add(
            &mut graph,
            "Slice",
            &[&n("shape"), "three_", "end", "first", "second"],
            &n("columns_"),
        );
        add(
            &mut graph,
            "Squeeze",
            &[&n("columns_"), "first"],
            &n("columns"),
        );
        for (length, axis, name) in [("columns", "first", "x"), ("rows", "second", "y")] {
            let (count, float) = (n(&format!("{name}count")), n(&format!("{name}float")));
            add(&mut graph, "Range", &["zero", &n(length), "one"], &count);
            graph.nodes.push(support::node_with_int(
                "Cast",
                &[&count],
                &[&float],
                ("to", 1),
            ));
            let (shifted, line) = (n(&format!("{name}shifted")), n(&format!("{name}line")));
            add(&mut graph, "Add", &[&float, "half"], &shifted);
            add(&mut graph, "Unsqueeze", &[&shifted, axis], &line);
        }
        add(&mut graph, "Unsqueeze", &[&n("rows"), "first"], &n("rows_"));
        join(&mut graph, &[&n("rows_"), &n("columns_")], &n("grid"), 0);
        let mut parts = Vec::new();
        for name in ["x", "y"] {
            let (spread, flat) = (n(&format!("{name}spread")), n(&format!("{name}flat")));
            let scaled = n(&format!("{name}scaled"));
            add(
                &mut graph,
                "Expand",
                &[&n(&format!("{name}line")), &n("grid")],
                &spread,
            );
            add(&mut graph, "Mul", &[&spread, &n("stride")], &scaled);
            add(&mut graph, "Reshape", &[&scaled, "row"], &flat);
            parts.push(flat);
        }
        graph
            .nodes
            .push(node("ConstantOfShape", &[&n("grid")], &[&n("zeros")], &[]));
        add(&mut graph, "Add", &[&n("zeros"), "side"], &n("sides"));
        add(&mut graph, "Reshape", &[&n("sides"), "row"], &n("size"));
        add(&mut graph, "Reshape", &[&level, "row"], &n("score"));
        parts.extend([n("size"), n("size"), n("score")]);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        join(&mut graph, &parts, &n("level"), 1);
        levels.push(n("level"));
    }
    let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
    join(&mut graph, &levels, "output0", 2);
    graph.weights.push(support::ints("three_", &[3]));
    graph
}

#[test]
fn shapes_computed_in_the_graph_fit_any_image() {
    let file = file(&graph_with_computed_shapes().file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    for (width, height) in [(64, 96), (96, 64), (320, 64), (64, 224)] {
        let mut image = RgbImage::new(width, height);
        for (x, y) in (0..8).flat_map(|x| (0..8).map(move |y| (x, y))) {
            image.put_pixel(24 + x, 16 + y, Rgb([255, 0, 0]));
        }
        let named = NamedImage {
            image: &image,
            name: "dot",
        };
        let options = DetectOptions {
            threshold: Some(0.5),
            min_face: 0.0,
            ..DetectOptions::default()
        };
        let faces = detector.detect(&named, &options).unwrap();
        assert_faces(&faces, &[([20.0, 12.0, 36.0, 28.0], 1.0)]);
    }
}
