//! Hostile ONNX files: huge sizes, contradictions, unsupported operators.
//!
//! Each must be refused at loading, before the runtime gets it, with a message that names the problem.

#[path = "../support/mod.rs"]
mod support;
mod tensors;
mod windows;

use detect::onnx::OnnxDetector;
use detect::{DetectOptions, Detector, NamedImage};
use image::RgbImage;
use support::Side::{Fixed, Free};
use support::{
    CELLS, Graph, Message, SQUARE, constant_graph, file, floats, ints, node, node_with_int,
    refused, text, value_info,
};

/// A valid model, to which the tests add hostile nodes.
fn model() -> Graph {
    constant_graph([1, 5, CELLS], &[0.0; 5 * CELLS], &SQUARE)
}

fn with(nodes: Vec<Message>, weights: Vec<Message>) -> Vec<u8> {
    let mut graph = model();
    graph.nodes.extend(nodes);
    graph.weights.extend(weights);
    graph.file()
}

fn assert_refused(bytes: &[u8], named: &[&str]) {
    let message = refused(bytes);
    assert!(
        named.iter().all(|name| message.contains(name)),
        "{message} lacks one of {named:?}"
    );
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn attribute(name: &str, values: &[i64]) -> Message {
    let message = Message::default().bytes(1, name).int(20, 7);
    values
        .iter()
        .fold(message, |message, &value| message.int(8, value))
}

#[test]
fn the_model_behind_all_cases_works() {
    let fine = [
        node(
            "MaxPool",
            &["images"],
            &["a"],
            &[
                ("kernel_shape", &[5, 5]),
                ("strides", &[1, 1]),
                ("pads", &[2; 4]),
            ],
        ),
        node(
            "Conv",
            &["a", "kernel"],
            &["b"],
            &[
                ("kernel_shape", &[3, 3]),
                ("dilations", &[2, 2]),
                ("pads", &[2; 4]),
            ],
        ),
        node(
            "ConvTranspose",
            &["b", "up"],
            &["c"],
            &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])],
        ),
        node(
            "AveragePool",
            &["c"],
            &["d"],
            &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])],
        ),
    ];
    let mut graph = model();
    graph.nodes.extend(fine);
    graph
        .weights
        .push(floats("kernel", &[4, 3, 3, 3], &[0.5; 108]));
    graph.weights.push(floats("up", &[4, 2, 2, 2], &[0.5; 32]));
    graph
        .outputs
        .push(value_info("d", &[Fixed(1), Fixed(2), Fixed(64), Fixed(64)]));
    let file = file(&graph.file());
    OnnxDetector::load(&file.path).unwrap();
}

#[test]
fn what_no_face_model_needs_is_refused_by_name() {
    for (operator, named) in [
        ("If", "control flow"),
        ("Loop", "control flow"),
        ("Scan", "control flow"),
        ("SequenceEmpty", "sequences"),
        ("SplitToSequence", "sequences"),
        ("QLinearConv", "QLinearConv"),
        ("DequantizeLinear", "quantized"),
        ("ConvInteger", "quantized"),
        ("NonMaxSuppression", "without NMS"),
        ("TopK", "without NMS"),
        ("LSTM", "LSTM"),
        ("RandomNormal", "RandomNormal"),
        ("Einsum", "Einsum"),
    ] {
        let nodes = vec![node(operator, &["images"], &["x"], &[])];
        assert_refused(&with(nodes, vec![]), &[operator, named]);
    }
    let custom = node("Conv", &["images", "red"], &["x"], &[]).bytes(7, "com.microsoft");
    assert_refused(&with(vec![custom], vec![]), &["com.microsoft/Conv"]);
    let unknown = node_with_int("Relu", &["images"], &["x"], ("alpha", 1));
    assert_refused(&with(vec![unknown], vec![]), &["Relu", "alpha"]);
    let mode = node("Resize", &["images", "", "one"], &["x"], &[]).bytes(5, text("mode", "swirl"));
    assert_refused(&with(vec![mode], vec![]), &["Resize", "mode", "swirl"]);
    let subgraph = node("Relu", &["images"], &["x"], &[]).bytes(
        5,
        Message::default()
            .bytes(1, "body")
            .bytes(6, Message::default())
            .int(20, 5),
    );
    assert_refused(&with(vec![subgraph], vec![]), &["Relu", "body"]);

    let outside = floats("w", &[1], &[1.0]).int(14, 1);
    assert_refused(&with(vec![], vec![outside]), &["external data"]);
    let location = Message::default()
        .bytes(1, "location")
        .bytes(2, "/etc/passwd");
    let outside = floats("w", &[1], &[1.0]).bytes(13, location);
    assert_refused(&with(vec![], vec![outside]), &["external data"]);
    let segments = floats("w", &[1], &[1.0]).bytes(3, Message::default().int(1, 0));
    assert_refused(&with(vec![], vec![segments]), &["segments"]);
    let functions = [
        model().file(),
        Message::default().bytes(25, b"").as_ref().to_vec(),
    ]
    .concat();
    assert_refused(&functions, &["functions"]);
    let twice = [model().file(), model().file()].concat();
    assert_refused(&twice, &["two graphs"]);
}

#[test]
fn sizes_that_depend_on_the_image_are_refused() {
    let cast = || node_with_int("Cast", &["mean"], &["number"], ("to", 7));
    let shape = || node("Reshape", &["number", "line"], &["shape"], &[]);
    for (operator, inputs) in [
        ("Reshape", &["images", "shape"][..]),
        ("Expand", &["images", "shape"]),
        ("ConstantOfShape", &["shape"]),
        ("Range", &["number", "number", "number"]),
        ("Resize", &["images", "", "", "shape"]),
    ] {
        let nodes = vec![cast(), shape(), node(operator, inputs, &["x"], &[])];
        let message = refused(&with(nodes, vec![ints("line", &[-1])]));
        assert!(
            message.contains("depends on the image"),
            "{operator}: {message}"
        );
    }
}

#[test]
fn graphs_that_take_the_machine_are_refused() {
    // Each node is valid; together they take too much time, memory or both.
    let squares = |n: usize| -> Vec<Message> {
        (0..n)
            .map(|i| {
                let from = if i == 0 {
                    "wide".to_owned()
                } else {
                    format!("p{}", i - 1)
                };
                node("MatMul", &[&from, "wide"], &[&format!("p{i}")], &[])
            })
            .collect()
    };
    let wide = || vec![node("Expand", &["single", "shape"], &["wide"], &[])];
    let weights = || vec![floats("single", &[1], &[1.0]), ints("shape", &[1500, 1500])];
    let nodes = |n| [wide(), squares(n)].concat_messages();
    let file_of_one = file(&with(nodes(0), weights()));
    OnnxDetector::load(&file_of_one.path).unwrap();
    assert_refused(&with(nodes(40), weights()), &["MatMul", "multiply-adds"]);

    // 64 branches of 16 MiB, each reduced to one value, which the runtime would hold all at the same time.
    let branches: Vec<Message> = (0..64)
        .flat_map(|i| {
            let (large, small) = (format!("large{i}"), format!("small{i}"));
            [
                node("Tile", &["images", "repeats"], &[&large], &[]),
                node("GlobalAveragePool", &[&large], &[&small], &[]),
            ]
        })
        .collect();
    let repeats = vec![ints("repeats", &[1, 1, 32, 11])];
    assert_refused(&with(branches, repeats), &["MiB of memory"]);

    let many: Vec<Message> = (0..5000)
        .map(|i| node("Relu", &["images"], &[&format!("r{i}")], &[]))
        .collect();
    assert_refused(&with(many, vec![]), &["4096 nodes"]);
    let arguments = vec!["images"; 65];
    assert_refused(
        &with(vec![node("Concat", &arguments, &["x"], &[])], vec![]),
        &["64 inputs"],
    );
    let list = vec![1; 65];
    let long = vec![node("Transpose", &["images"], &["x"], &[("perm", &list)])];
    assert_refused(&with(long, vec![]), &["64 numbers"]);
}

trait ConcatMessages {
    fn concat_messages(self) -> Vec<Message>;
}

impl ConcatMessages for [Vec<Message>; 2] {
    fn concat_messages(self) -> Vec<Message> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn long_chains_are_loaded() {
    let chain: Vec<Message> = (0..4000)
        .map(|i| {
            let from = if i == 0 {
                "mean".to_owned()
            } else {
                format!("r{}", i - 1)
            };
            node("Relu", &[&from], &[&format!("r{i}")], &[])
        })
        .collect();
    let mut graph = model();
    graph.nodes.extend(chain);
    graph.outputs.push(value_info("r3999", &[Fixed(1)]));
    let file = file(&graph.file());
    OnnxDetector::load(&file.path).unwrap();
}

#[test]
fn numbers_that_are_none_find_no_faces() {
    // Candidates with NaN, infinite and huge boxes and valid scores.
    let mut values = vec![0.0f32; 5 * CELLS];
    for (i, value) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38]
        .into_iter()
        .enumerate()
    {
        for row in 0..4 {
            values[row * CELLS + 5 * i] = value;
        }
        values[4 * CELLS + 5 * i] = 0.9;
        // Valid boxes with such scores.
        for (row, side) in [20.0, 20.0, 10.0, 10.0].into_iter().enumerate() {
            values[row * CELLS + 5 * i + 1] = side;
        }
        values[4 * CELLS + 5 * i + 1] = value;
    }
    let graph = Graph {
        nodes: vec![
            node("GlobalAveragePool", &["images"], &["mean"], &[]),
            node("Identity", &["candidates"], &["output0"], &[]),
        ],
        weights: vec![floats("candidates", &[1, 5, CELLS as i64], &values)],
        ..model()
    };
    assert_eq!(bytes_of(&values).len(), 20 * CELLS);
    let file = file(&graph.file());
    let detector = OnnxDetector::load(&file.path).unwrap();
    let image = RgbImage::new(64, 64);
    let named = NamedImage {
        image: &image,
        name: "black",
    };
    let faces = detector.detect(&named, &DetectOptions::default()).unwrap();
    for face in &faces {
        assert!(
            face.rect.iter().all(|side| side.is_finite()) && face.score.is_finite(),
            "{face:?}"
        );
    }
    // The valid boxes with an infinite or huge score get the score 1; all others are dropped.
    assert!(
        faces.iter().all(|face| face.score <= 1.0) && faces.len() <= 2,
        "{faces:?}"
    );
}
