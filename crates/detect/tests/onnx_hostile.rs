//! ONNX files that ask for too much, say one thing and hold another, or use what no face model needs.
//!
//! Each is refused at loading, by the name of what is wrong, before the runtime sees it.

mod support;

use detect::onnx::OnnxDetector;
use detect::{DetectOptions, Detector, NamedImage};
use image::RgbImage;
use support::Side::{Fixed, Free};
use support::{
    CELLS, Graph, Message, SQUARE, constant_graph, file, floats, ints, node, node_with_int,
    refused, text, value_info,
};

/// A model that works, for hostile nodes to be put after it.
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
fn windows_beyond_all_sizes_are_refused() {
    let kernel = || vec![floats("kernel", &[3, 3, 3, 3], &[0.5; 81])];
    let lists: [(&str, usize); 5] = [
        ("pads", 4),
        ("strides", 2),
        ("dilations", 2),
        ("kernel_shape", 2),
        ("output_padding", 2),
    ];
    let mut n = 0;
    for operator in ["MaxPool", "AveragePool", "Conv", "ConvTranspose"] {
        let is_pool = operator.ends_with("Pool");
        let inputs: &[&str] = if is_pool {
            &["images"]
        } else {
            &["images", "kernel"]
        };
        for (name, length) in lists {
            if name == "output_padding" && operator != "ConvTranspose" {
                continue;
            }
            for value in [
                1 << 62,
                i64::MAX,
                i64::MIN,
                -1,
                i64::MAX - 63,
                1 << 32,
                1 << 31,
                4096,
            ] {
                for place in 0..length {
                    let mut values = vec![1; length];
                    values[place] = value;
                    let mut attributes: Vec<(&str, &[i64])> = vec![(name, &values)];
                    if name != "kernel_shape" {
                        attributes.push(("kernel_shape", &[3, 3]));
                    }
                    if name != "strides" {
                        attributes.push(("strides", &[1, 1]));
                    }
                    let nodes = vec![node(operator, inputs, &["x"], &attributes)];
                    assert_refused(&with(nodes, kernel()), &[operator, name]);
                    n += 1;
                }
            }
        }
        // Lists of another length, and steps of nothing.
        for (name, values) in [
            ("pads", &[1, 1][..]),
            ("pads", &[1; 6]),
            ("strides", &[0, 1]),
            ("strides", &[1]),
            ("kernel_shape", &[0, 3]),
            ("kernel_shape", &[3]),
            ("dilations", &[0, 0]),
        ] {
            let mut attributes = vec![(name, values)];
            if name != "kernel_shape" {
                attributes.push(("kernel_shape", &[3, 3]));
            }
            let nodes = vec![node(operator, inputs, &["x"], &attributes)];
            assert_refused(&with(nodes, kernel()), &[operator]);
        }
        if !is_pool {
            for group in [0, -1, 2, 3, 1 << 20, 1 << 62, i64::MIN] {
                let nodes = vec![
                    node_with_int(operator, inputs, &["x"], ("group", group))
                        .bytes(5, attribute("kernel_shape", &[3, 3])),
                ];
                // Three groups of ConvTranspose are in order.
                if (operator, group) == ("ConvTranspose", 3) {
                    let file = file(&with(nodes, kernel()));
                    OnnxDetector::load(&file.path).unwrap();
                } else {
                    assert_refused(&with(nodes, kernel()), &[operator, "group"]);
                }
            }
        }
    }
    assert_eq!(n, 4 * 80 + 16);
}

fn attribute(name: &str, values: &[i64]) -> Message {
    let message = Message::default().bytes(1, name).int(20, 7);
    values
        .iter()
        .fold(message, |message, &value| message.int(8, value))
}

#[test]
fn pads_are_smaller_than_the_windows_of_a_pool() {
    let pool = |pads: &[i64]| {
        let attributes: [(&str, &[i64]); 3] = [
            ("kernel_shape", &[3, 3]),
            ("strides", &[2, 2]),
            ("pads", pads),
        ];
        vec![node("MaxPool", &["images"], &["x"], &attributes)]
    };
    assert_refused(
        &with(pool(&[3, 0, 0, 0]), vec![]),
        &["MaxPool", "pads of 3"],
    );
    assert_refused(&with(pool(&[0, 0, 0, 1000]), vec![]), &["MaxPool", "1000"]);
    let file = file(&with(pool(&[2, 1, 0, 2]), vec![]));
    OnnxDetector::load(&file.path).unwrap();
}

#[test]
fn initializers_hold_what_they_say() {
    let raw = |dims: &[i64], kind: i64, bytes: &[u8]| {
        let message = dims
            .iter()
            .fold(Message::default(), |m, &size| m.int(1, size));
        with(
            vec![],
            vec![message.int(2, kind).bytes(8, "w").bytes(9, bytes)],
        )
    };
    for dims in [
        &[5][..],
        &[3],
        &[-4],
        &[1 << 40],
        &[1 << 32, 1 << 32],
        &[i64::MAX, i64::MAX, i64::MAX],
        &[4, 0],
        &[],
        &[1, 1, 1, 1, 1, 1, 1, 1, 4],
    ] {
        assert_refused(&raw(dims, 1, &[0; 16]), &["initializer w"]);
    }
    // 16 bytes are 4 floats, 2 numbers of 64 bits, 16 truth values.
    for (dims, kind) in [(4, 1), (2, 7), (4, 6), (16, 9), (8, 10), (2, 11)] {
        let file = file(&raw(&[dims], kind, &[0; 16]));
        OnnxDetector::load(&file.path).unwrap();
    }
    for (kind, named) in [
        (2, "quantized"),
        (3, "quantized"),
        (22, "quantized"),
        (8, "texts"),
        (16, "bfloat16"),
        (14, "element type 14"),
        (0, "element type 0"),
    ] {
        assert_refused(&raw(&[16], kind, &[0; 16]), &[named]);
    }
    // Numbers in the field of another type.
    let typed = Message::default()
        .int(1, 1)
        .int(2, 7)
        .bytes(8, "w")
        .float(4, 1.0);
    assert_refused(&with(vec![], vec![typed]), &["another type"]);
    let twice = vec![floats("red", &[1], &[1.0])];
    assert_refused(&with(vec![], twice), &["red", "twice"]);
}

#[test]
fn empty_initializers_with_huge_sizes_are_refused() {
    const HUGE: i64 = 1 << 40;
    // The empty side first, last and between.
    for dims in [[0, HUGE, HUGE], [HUGE, HUGE, 0], [HUGE, 0, HUGE]] {
        for axis in 0..=3 {
            let flatten = node_with_int("Flatten", &["empty"], &["a"], ("axis", axis));
            let bytes = with(vec![flatten], vec![floats("empty", &dims, &[])]);
            assert_refused(&bytes, &["initializer empty", "0 bytes"]);
        }
    }
    for operator in ["Conv", "ConvTranspose"] {
        for dims in [[3, 3, 0, 3], [0, 3, 3, 3], [3, 0, 3, 3], [3, 3, 3, 0]] {
            let convolve = node(operator, &["images", "empty"], &["a"], &[]);
            let bytes = with(vec![convolve], vec![floats("empty", &dims, &[])]);
            assert_refused(&bytes, &[operator]);
        }
    }
}

#[test]
fn tensors_made_huge_are_refused() {
    let huge: [&[i64]; 5] = [
        &[1 << 20, 1 << 20],
        &[1 << 31, 1 << 31, 1 << 31],
        &[i64::MAX],
        &[1 << 29],
        &[-5, 7],
    ];
    for shape in huge {
        for operator in ["Reshape", "Expand", "ConstantOfShape"] {
            let inputs: &[&str] = match operator {
                "ConstantOfShape" => &["shape"],
                "Expand" => &["single", "shape"],
                _ => &["images", "shape"],
            };
            let nodes = vec![node(operator, inputs, &["x"], &[])];
            let weights = vec![ints("shape", shape), floats("single", &[1], &[1.0])];
            assert_refused(&with(nodes, weights), &[operator]);
        }
    }
    for repeats in [
        &[1, 1, 1, 1 << 30][..],
        &[1 << 31; 4],
        &[1, 1, 1, -1],
        &[1, 1, 1, 0],
        &[2],
    ] {
        let nodes = vec![node("Tile", &["images", "repeats"], &["x"], &[])];
        assert_refused(&with(nodes, vec![ints("repeats", repeats)]), &["Tile"]);
    }
    for pads in [
        &[0, 0, 0, 0, 0, 0, 0, 1 << 30][..],
        &[0, 0, 0, 0, 0, 0, -64, -1],
        &[i64::MIN; 8],
        &[1],
    ] {
        let nodes = vec![node("Pad", &["images", "pads"], &["x"], &[])];
        let message = refused(&with(nodes, vec![ints("pads", pads)]));
        assert!(message.contains("Pad"), "{message}");
    }
    for scales in [
        [1.0, 1.0, 1e9, 1e9],
        [1.0, 1.0, 900.0, 900.0],
        [1.0, 1.0, f32::NAN, 2.0],
        [1.0, 1.0, f32::INFINITY, 2.0],
        [1.0, 1.0, -2.0, 2.0],
        [1.0, 1.0, 0.0, 2.0],
        [1.0, 1.0, 0.002, 2.0],
    ] {
        for (operator, inputs) in [
            ("Resize", &["images", "", "scales"][..]),
            ("Upsample", &["images", "scales"]),
        ] {
            let nodes = vec![node(operator, inputs, &["x"], &[])];
            assert_refused(
                &with(nodes, vec![floats("scales", &[4], &scales)]),
                &[operator],
            );
        }
    }
    for sizes in [
        [1, 3, 1 << 30, 1 << 30],
        [1, 3, -1, 5],
        [1, 3, 0, 5],
        [1, 3, i64::MAX, i64::MIN],
    ] {
        let nodes = vec![node("Resize", &["images", "", "", "sizes"], &["x"], &[])];
        assert_refused(&with(nodes, vec![ints("sizes", &sizes)]), &["Resize"]);
    }
}

#[test]
fn ranges_without_end_are_refused() {
    for (start, limit, step) in [
        (0, i64::MAX, 1),
        (0, 100, 0),
        (0, 1 << 30, 1),
        (5, 0, 1),
        (0, i64::MIN, -1),
    ] {
        let scalar = |name: &str, value: i64| {
            Message::default()
                .int(2, 7)
                .bytes(8, name)
                .bytes(9, value.to_le_bytes())
        };
        let weights = vec![
            scalar("start", start),
            scalar("limit", limit),
            scalar("step", step),
        ];
        let nodes = vec![node("Range", &["start", "limit", "step"], &["x"], &[])];
        assert_refused(&with(nodes, weights), &["Range"]);
    }
    for (start, limit, step) in [
        (0.0, f32::INFINITY, 1.0),
        (1e9, 2e9, 1e-3),
        (0.0, 1.0, f32::NAN),
    ] {
        let scalar = |name: &str, value: f32| {
            Message::default()
                .int(2, 1)
                .bytes(8, name)
                .bytes(9, value.to_le_bytes())
        };
        let weights = vec![
            scalar("start", start),
            scalar("limit", limit),
            scalar("step", step),
        ];
        let nodes = vec![node("Range", &["start", "limit", "step"], &["x"], &[])];
        assert_refused(&with(nodes, weights), &["Range"]);
    }
}

#[test]
fn places_outside_of_a_tensor_are_refused() {
    for index in [3, -4, 1 << 31, i64::MIN] {
        let nodes = vec![node_with_int(
            "Gather",
            &["images", "index"],
            &["x"],
            ("axis", 1),
        )];
        assert_refused(
            &with(nodes, vec![ints("index", &[index])]),
            &["Gather", "beyond"],
        );
    }
    for (operator, inputs) in [
        ("Concat", &["images", "images"][..]),
        ("Softmax", &["images"]),
        ("Split", &["images"]),
        ("Gather", &["images", "one"]),
        ("Flatten", &["images"]),
    ] {
        for axis in [7, -8, 1 << 40, i64::MIN] {
            let nodes = vec![node_with_int(operator, inputs, &["x"], ("axis", axis))];
            assert_refused(&with(nodes, vec![]), &[operator, "axis"]);
        }
    }
    for perm in [&[0, 1, 2][..], &[0, 0, 1, 2], &[0, 1, 2, 9], &[-1, 0, 1, 2]] {
        let nodes = vec![node("Transpose", &["images"], &["x"], &[("perm", perm)])];
        assert_refused(&with(nodes, vec![]), &["Transpose"]);
    }
    for sizes in [&[1, 1][..], &[4], &[2, -1], &[i64::MAX, 4], &[1, 1, 1]] {
        let nodes = vec![node_with_int(
            "Split",
            &["images", "sizes"],
            &["x", "y"],
            ("axis", 1),
        )];
        assert_refused(&with(nodes, vec![ints("sizes", sizes)]), &["Split"]);
    }
}

#[test]
fn slices_are_cut_to_the_tensor() {
    // Start, end and step of the width, and how many remain of 64.
    for (start, end, step, left) in [
        (i64::MIN, i64::MAX, 1, Some(64)),
        (0, 1 << 62, 2, Some(32)),
        (i64::MAX, i64::MIN, -1, Some(64)),
        (-1, i64::MIN, -63, Some(2)),
        (60, -1, 1, Some(3)),
        (10, 10, 1, None),
        (i64::MAX, i64::MAX, 1, None),
        (0, 64, 0, None),
        (0, 64, i64::MAX, None),
        (63, 0, i64::MIN, None),
    ] {
        let nodes = vec![
            node(
                "Slice",
                &["images", "start", "end", "axis", "step"],
                &["x"],
                &[],
            ),
            node("Reshape", &["x", "shape"], &["y"], &[]),
        ];
        let weights = vec![
            ints("start", &[start]),
            ints("end", &[end]),
            ints("axis", &[3]),
            ints("step", &[step]),
            ints("shape", &[1, 3, 64, left.unwrap_or(1)]),
        ];
        let mut graph = model();
        graph.nodes.extend(nodes);
        graph.weights.extend(weights);
        graph
            .outputs
            .push(value_info("y", &[Fixed(1), Fixed(3), Fixed(64), Free("n")]));
        let bytes = graph.file();
        match left {
            Some(_) => {
                let file = file(&bytes);
                OnnxDetector::load(&file.path).unwrap();
            }
            None => assert_refused(&bytes, &["Slice"]),
        }
    }
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
    // Each node is in order; together they take too much time, memory or both.
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

    // Branches that the runtime would hold all at once: 64 of 16 MiB each, each shrunk to one number.
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
    // Candidates of NaN, infinite and huge boxes with good scores.
    let mut values = vec![0.0f32; 5 * CELLS];
    for (i, value) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38]
        .into_iter()
        .enumerate()
    {
        for row in 0..4 {
            values[row * CELLS + 5 * i] = value;
        }
        values[4 * CELLS + 5 * i] = 0.9;
        // And such a score on a good box.
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
    // The good box with an infinite or huge score counts with 1; the others are dropped.
    assert!(
        faces.iter().all(|face| face.score <= 1.0) && faces.len() <= 2,
        "{faces:?}"
    );
}
