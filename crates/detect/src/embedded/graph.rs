//! The network and its weights as a graph for the ONNX runtime.

use super::network::{INPUT, LAYERS, LEVELS, Operation, padding};
use super::weights::Weights;
use crate::onnx::write::{Graph, Side, floats, ints, node, text, value_info};

/// Writes the graph: one picture of free size in, `[1, 5, cells]` out for each level.
///
/// # Errors
/// A message when a weight is missing or has another shape.
pub(super) fn onnx(weights: &Weights) -> Result<Vec<u8>, String> {
    let mut graph = Graph::default();
    let free = [
        Side::Fixed(1),
        Side::Fixed(3),
        Side::Free("height"),
        Side::Free("width"),
    ];
    graph.inputs.push(value_info(INPUT, &free));
    graph
        .weights
        .push(floats("twice", &[4], &[1.0, 1.0, 2.0, 2.0]));
    graph.weights.push(ints("cells", &[1, 5, -1]));
    for layer in LAYERS {
        let name = layer.name;
        match layer.operation {
            Operation::Convolution {
                input,
                channels: [from, to],
                kernel,
                stride,
                is_rectified,
            } => {
                let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
                for (name, shape) in [(&weight, &[to, from, kernel, kernel][..]), (&bias, &[to])] {
                    let sides: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
                    graph
                        .weights
                        .push(floats(name, &sides, weights.get(name, shape)?));
                }
                let (side, step) = (kernel as i64, stride as i64);
                let zeros = padding(kernel, stride) as i64;
                let linear = format!("{name}.linear");
                let result = if is_rectified { &linear } else { name };
                graph.nodes.push(node(
                    "Conv",
                    &[input, &weight, &bias],
                    &[result],
                    &[
                        ("kernel_shape", &[side, side]),
                        ("strides", &[step, step]),
                        ("pads", &[zeros; 4]),
                    ],
                ));
                if is_rectified {
                    graph.nodes.push(node("Relu", &[&linear], &[name], &[]));
                }
            }
            Operation::Add { inputs: [a, b] } => {
                let sum = format!("{name}.sum");
                graph.nodes.push(node("Add", &[a, b], &[&sum], &[]));
                graph.nodes.push(node("Relu", &[&sum], &[name], &[]));
            }
            Operation::AddCoarse { fine, coarse } => {
                let twice = format!("{name}.twice");
                graph.nodes.push(
                    node("Resize", &[coarse, "", "twice"], &[&twice], &[])
                        .bytes(5, text("mode", "nearest"))
                        .bytes(5, text("nearest_mode", "floor"))
                        .bytes(5, text("coordinate_transformation_mode", "asymmetric")),
                );
                graph.nodes.push(node("Add", &[fine, &twice], &[name], &[]));
            }
        }
    }
    for level in LEVELS {
        let result = format!("{}.cells", level.layer);
        graph
            .nodes
            .push(node("Reshape", &[level.layer, "cells"], &[&result], &[]));
        let shape = [Side::Fixed(1), Side::Fixed(5), Side::Free("cells")];
        graph.outputs.push(value_info(&result, &shape));
    }
    Ok(graph.file())
}
