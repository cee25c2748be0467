//! Hostile initializers, and operators that make, index or slice tensors.

use crate::support::*;
use crate::*;

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
    // 16 bytes are for example 4 f32, 2 i64 or 16 bool values.
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
    // Values in the field of another element type.
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
    // The empty dimension first, last and in between.
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
    // Start, end and step along the width, and the expected number of the 64 columns that remain.
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
