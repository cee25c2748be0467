//! Writes the network and its weights as an ONNX graph, for comparison with the ONNX runtime in tests.

use super::network::{Convolution, INPUT, LEVELS};
use super::walk::{LayerBackend, Operand, walk};
use super::weights::Weights;
use crate::onnx::write::{Graph, Side, floats, ints, node, text, value_info};

/// The bytes of an ONNX file: one image `[1, 3, height, width]` of any size as input, one output `[1, 5, cells]` for
/// each level.
///
/// # Errors
/// A message when a weight is missing or its shape does not fit the network.
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
    let mut writer = GraphWriter { graph, weights };
    let outputs = walk(&mut writer, INPUT, &LEVELS.map(|level| level.layer))?;
    let mut graph = writer.graph;
    for layer in outputs {
        let result = format!("{layer}.cells");
        graph
            .nodes
            .push(node("Reshape", &[layer, "cells"], &[&result], &[]));
        let shape = [Side::Fixed(1), Side::Fixed(5), Side::Free("cells")];
        graph.outputs.push(value_info(&result, &shape));
    }
    Ok(graph.file())
}

/// A [`LayerBackend`] that appends the ONNX nodes of each layer; its values are the names of layers.
struct GraphWriter<'a> {
    graph: Graph,
    weights: &'a Weights,
}

impl LayerBackend for GraphWriter<'_> {
    type Value = &'static str;
    type Error = String;

    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, &'static str>,
    ) -> Result<&'static str, String> {
        let shape = convolution.weight_shape();
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        for (name, shape) in [(&weight, &shape[..]), (&bias, &shape[..1])] {
            let sides: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
            let values = self.weights.get(name, shape)?;
            self.graph.weights.push(floats(name, &sides, values));
        }
        let (side, step) = (convolution.kernel as i64, convolution.stride as i64);
        let zeros = convolution.padding() as i64;
        let linear = format!("{name}.linear");
        let result = if convolution.is_rectified {
            &linear
        } else {
            name
        };
        self.graph.nodes.push(node(
            "Conv",
            &[*x, &weight, &bias],
            &[result],
            &[
                ("kernel_shape", &[side, side]),
                ("strides", &[step, step]),
                ("pads", &[zeros; 4]),
            ],
        ));
        if convolution.is_rectified {
            self.graph
                .nodes
                .push(node("Relu", &[&linear], &[name], &[]));
        }
        Ok(name)
    }

    fn add(
        &mut self,
        name: &'static str,
        a: Operand<'_, &'static str>,
        b: Operand<'_, &'static str>,
    ) -> Result<&'static str, String> {
        let sum = format!("{name}.sum");
        let nodes = &mut self.graph.nodes;
        nodes.push(node("Add", &[*a, *b], &[&sum], &[]));
        nodes.push(node("Relu", &[&sum], &[name], &[]));
        Ok(name)
    }

    fn add_coarse(
        &mut self,
        name: &'static str,
        fine: Operand<'_, &'static str>,
        coarse: Operand<'_, &'static str>,
    ) -> Result<&'static str, String> {
        let twice = format!("{name}.twice");
        let nodes = &mut self.graph.nodes;
        nodes.push(
            node("Resize", &[*coarse, "", "twice"], &[&twice], &[])
                .bytes(5, text("mode", "nearest"))
                .bytes(5, text("nearest_mode", "floor"))
                .bytes(5, text("coordinate_transformation_mode", "asymmetric")),
        );
        nodes.push(node("Add", &[*fine, &twice], &[name], &[]));
        Ok(name)
    }
}
