//! Evaluation of the embedded network's layers with any backend.
//!
//! [`walk`] determines the order of the layers, which of them the wanted outputs need, and when a result is read for
//! the last time. A [`LayerBackend`] computes a layer: on slices in `run`, on tensors in the `metrics` crate and in
//! detector training, and as nodes of an ONNX graph in the tests.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use super::network::{Convolution, INPUT, LAYERS, Layer, Operation};

/// A backend of [`walk`]: computes single layers of the network.
pub trait LayerBackend {
    /// The result of a layer, for example a buffer, a tensor or the name of a graph node.
    type Value;
    /// The error of a layer that could not be computed; it ends the walk.
    type Error;

    /// The layer `name`: convolves `x`, adds the bias, and applies ReLU if [`Convolution::is_rectified`].
    ///
    /// # Errors
    /// Those of the backend.
    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, Self::Value>,
    ) -> Result<Self::Value, Self::Error>;

    /// The layer `name`: ReLU of the sum of two results of the same shape.
    ///
    /// # Errors
    /// As [`convolution`](Self::convolution).
    fn add(
        &mut self,
        name: &'static str,
        a: Operand<'_, Self::Value>,
        b: Operand<'_, Self::Value>,
    ) -> Result<Self::Value, Self::Error>;

    /// The layer `name`: the sum of `fine` and `coarse`, which has half the height and width and is upsampled by
    /// nearest neighbor.
    ///
    /// # Errors
    /// As [`convolution`](Self::convolution).
    fn add_coarse(
        &mut self,
        name: &'static str,
        fine: Operand<'_, Self::Value>,
        coarse: Operand<'_, Self::Value>,
    ) -> Result<Self::Value, Self::Error>;
}

/// An input of a layer; passed by value to its last reader, so that the memory can be reused.
pub enum Operand<'a, V> {
    /// No later layer reads the result.
    Last(V),
    /// Later layers read the result, or it is an output of the walk.
    Shared(&'a V),
}

impl<V> Deref for Operand<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        match self {
            Self::Last(value) => value,
            Self::Shared(value) => value,
        }
    }
}

/// Computes the layers named by `outputs` and those they depend on; returns the results of `outputs`, in their order.
///
/// `image` is the value of [`INPUT`].
///
/// # Errors
/// The first error of the backend.
///
/// # Panics
/// When `outputs` names a layer that does not exist, or one twice.
pub fn walk<B: LayerBackend>(
    backend: &mut B,
    image: B::Value,
    outputs: &[&'static str],
) -> Result<Vec<B::Value>, B::Error> {
    let layers = needed_layers(outputs);
    let mut results = Results {
        values: HashMap::from([(INPUT, image)]),
        last_readers: last_readers(&layers, outputs),
    };
    for layer in &layers {
        let name = layer.name;
        let value = match layer.operation {
            Operation::Convolution(convolution) => {
                let [x] = results.take(name, [convolution.input]);
                backend.convolution(name, &convolution, results.operand(convolution.input, x))?
            }
            Operation::Add { inputs } => {
                let [a, b] = results.take(name, inputs);
                let (a, b) = (results.operand(inputs[0], a), results.operand(inputs[1], b));
                backend.add(name, a, b)?
            }
            Operation::AddCoarse { fine, coarse } => {
                let [a, b] = results.take(name, [fine, coarse]);
                let (fine, coarse) = (results.operand(fine, a), results.operand(coarse, b));
                backend.add_coarse(name, fine, coarse)?
            }
        };
        results.values.insert(name, value);
    }
    let mut take = |name| {
        results
            .values
            .remove(name)
            .expect("every output is a layer")
    };
    Ok(outputs.iter().map(|&name| take(name)).collect())
}

/// Results of layers that will still be read, or are outputs.
struct Results<V> {
    values: HashMap<&'static str, V>,
    /// For each result, the layer that reads it last; outputs are not listed.
    last_readers: HashMap<&'static str, &'static str>,
}

impl<V> Results<V> {
    /// Removes and returns the results of those `inputs` whose last reader is the layer `reader`; `None` for the
    /// others.
    fn take<const N: usize>(
        &mut self,
        reader: &'static str,
        inputs: [&'static str; N],
    ) -> [Option<V>; N] {
        inputs.map(|input| {
            let is_last = self.last_readers.get(input) == Some(&reader);
            is_last.then(|| self.values.remove(input)).flatten()
        })
    }

    fn operand(&self, name: &str, taken: Option<V>) -> Operand<'_, V> {
        taken.map_or_else(|| Operand::Shared(&self.values[name]), Operand::Last)
    }
}

/// The layers that `outputs` depend on, in the order of [`LAYERS`].
fn needed_layers(outputs: &[&'static str]) -> Vec<Layer> {
    let mut needed: HashSet<&str> = outputs.iter().copied().collect();
    let mut layers = Vec::new();
    for layer in LAYERS.into_iter().rev() {
        if needed.contains(layer.name) {
            needed.extend(layer.operation.inputs());
            layers.push(layer);
        }
    }
    layers.reverse();
    layers
}

fn last_readers(layers: &[Layer], outputs: &[&'static str]) -> HashMap<&'static str, &'static str> {
    let mut readers = HashMap::new();
    for layer in layers {
        for input in layer.operation.inputs() {
            if !outputs.contains(&input) {
                readers.insert(input, layer.name);
            }
        }
    }
    readers
}

#[cfg(test)]
mod tests {
    use super::super::network::LEVELS;
    use super::*;

    /// A backend that records which layers ran and how many operands were passed by value.
    #[derive(Default)]
    struct Recorder {
        layers: Vec<&'static str>,
        n_last: usize,
    }

    impl Recorder {
        fn record<const N: usize>(
            &mut self,
            name: &'static str,
            operands: [Operand<'_, &'static str>; N],
        ) -> Result<&'static str, String> {
            for operand in operands {
                self.n_last += usize::from(matches!(operand, Operand::Last(_)));
            }
            self.layers.push(name);
            Ok(name)
        }
    }

    impl LayerBackend for Recorder {
        type Value = &'static str;
        type Error = String;

        fn convolution(
            &mut self,
            name: &'static str,
            convolution: &Convolution,
            x: Operand<'_, &'static str>,
        ) -> Result<&'static str, String> {
            assert_eq!(*x, convolution.input);
            self.record(name, [x])
        }

        fn add(
            &mut self,
            name: &'static str,
            a: Operand<'_, &'static str>,
            b: Operand<'_, &'static str>,
        ) -> Result<&'static str, String> {
            self.record(name, [a, b])
        }

        fn add_coarse(
            &mut self,
            name: &'static str,
            fine: Operand<'_, &'static str>,
            coarse: Operand<'_, &'static str>,
        ) -> Result<&'static str, String> {
            if name == "sum8" {
                return Err("out of memory".to_owned());
            }
            self.record(name, [fine, coarse])
        }
    }

    #[test]
    fn only_needed_layers_run_and_each_value_is_handed_over_once() {
        let mut recorder = Recorder::default();
        let outputs = ["block8", "block16"];
        let results = walk(&mut recorder, INPUT, &outputs).unwrap();
        assert_eq!(results, outputs);
        let expected: Vec<_> = LAYERS[..9].iter().map(|layer| layer.name).collect();
        assert_eq!(recorder.layers, expected);
        // The image and the nine results except the two outputs.
        assert_eq!(recorder.n_last, 1 + 9 - 2);
    }

    #[test]
    fn an_error_of_the_backend_ends_the_walk() {
        let outputs = LEVELS.map(|level| level.layer);
        let error = walk(&mut Recorder::default(), INPUT, &outputs).unwrap_err();
        assert_eq!(error, "out of memory");
    }
}
