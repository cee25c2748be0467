//! Writes small ONNX files for the tests.
#![allow(dead_code, reason = "each test needs only a part")]

#[path = "../../src/onnx/write.rs"]
#[allow(dead_code, reason = "the tests need only a part")]
mod write;

pub use write::*;

use std::path::PathBuf;

use detect::DetectError;
use detect::onnx::OnnxDetector;
use write::Side::Fixed;

/// A `NodeProto` with one integer attribute.
pub fn node_with_int(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    (name, value): (&str, i64),
) -> Message {
    let attribute = Message::default().bytes(1, name).int(3, value).int(20, 2);
    node(op, inputs, outputs, &[]).bytes(5, attribute)
}

/// Number of cells of a 64 x 64 input at strides 8, 16 and 32.
pub const CELLS: usize = 64 + 16 + 4;
pub const SQUARE: [Side; 4] = [Fixed(1), Fixed(3), Fixed(64), Fixed(64)];

/// A temporary model file, which is deleted with this value.
pub struct File {
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

pub fn file(bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    File {
        path,
        _folder: folder,
    }
}

pub fn refused(bytes: &[u8]) -> String {
    let file = file(bytes);
    match OnnxDetector::load(&file.path) {
        Err(error @ DetectError::Model { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A graph that returns the constant `values` times the mean of the red plane.
pub fn constant_graph(shape: [usize; 3], values: &[f32], input: &[Side]) -> Graph {
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
            ints("one", &[1, 1, 1]),
        ],
        inputs: vec![value_info("images", input)],
        outputs: vec![value_info("output0", &shape.map(Fixed))],
        metadata: vec![("names", "{0: 'face'}")],
    }
}
