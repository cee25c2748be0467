//! Adds attributes that are optional in the ONNX standard but required by the runtime.

use super::graph::{Attribute, Node};

/// Adds a missing `kernel_shape` to a convolution, and missing `strides` to a pooling node.
///
/// `dims` returns the shape of an initializer by its name, `None` for other tensors.
pub(super) fn fill(node: &mut Node, dims: impl Fn(&str) -> Option<Vec<usize>>) {
    let has = |node: &Node, wanted: &str| node.attributes.iter().any(|(name, _)| name == wanted);
    match node.operator.as_str() {
        "Conv" | "ConvTranspose" if !has(node, "kernel_shape") => {
            let weights = node.inputs.get(1).and_then(|name| dims(name));
            if let Some([_, _, kernel @ ..]) = weights.as_deref() {
                let kernel = kernel.iter().map(|&side| side as i64).collect();
                node.attributes
                    .push(("kernel_shape".into(), Attribute::Ints(kernel)));
            }
        }
        "MaxPool" | "AveragePool" if !has(node, "strides") => {
            let mut attributes = node.attributes.iter();
            let rank = attributes.find_map(|(name, value)| match value {
                Attribute::Ints(sides) if name == "kernel_shape" => Some(sides.len()),
                _ => None,
            });
            if let Some(rank) = rank {
                node.attributes
                    .push(("strides".into(), Attribute::Ints(vec![1; rank])));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_get_their_sides_and_steps() {
        let mut conv = Node {
            operator: "Conv".into(),
            inputs: vec!["x".into(), "w".into()],
            ..Node::default()
        };
        fill(&mut conv, |name| (name == "w").then(|| vec![8, 3, 5, 7]));
        let kernel = ("kernel_shape".to_owned(), Attribute::Ints(vec![5, 7]));
        assert_eq!(conv.attributes, std::slice::from_ref(&kernel));
        let mut pool = Node {
            operator: "MaxPool".into(),
            attributes: vec![kernel.clone()],
            ..Node::default()
        };
        fill(&mut pool, |_| None);
        let strides = ("strides".to_owned(), Attribute::Ints(vec![1, 1]));
        assert_eq!(pool.attributes, [kernel, strides]);
    }
}
