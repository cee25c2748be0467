//! One walk over the layers of the embedded network, for everything that computes with them.
//!
//! [`walk`] decides the order, which layers the wanted outputs need, and when a result is read for the last time. A
//! [`LayerBackend`] decides what a layer does: on slices in `run`, on tensors in `metrics` and in detector training,
//! and as nodes of an ONNX graph in the tests.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use super::network::{Convolution, INPUT, LAYERS, Layer, Operation};

/// Computes single layers of the network.
pub trait LayerBackend {
    /// The result of a layer: a buffer, a tensor, the name of a graph node.
    type Value;
    /// Why a layer could not be computed.
    type Error;

    /// Convolves `x`, adds the bias and applies ReLU if [`Convolution::is_rectified`].
    ///
    /// # Errors
    /// Whatever the backend fails with; this ends the walk.
    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, Self::Value>,
    ) -> Result<Self::Value, Self::Error>;

    /// ReLU of the sum of two results of the same shape.
    ///
    /// # Errors
    /// As [`convolution`](Self::convolution).
    fn add(
        &mut self,
        name: &'static str,
        a: Operand<'_, Self::Value>,
        b: Operand<'_, Self::Value>,
    ) -> Result<Self::Value, Self::Error>;

    /// Sum of `fine` and `coarse`, a result of half the height and width that is upsampled by repeating each value.
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

/// An argument of a layer; owned when no later layer reads it, so that its memory can be reused.
pub enum Operand<'a, V> {
    /// This layer is the last reader.
    Last(V),
    /// Later layers read it too, or it is an output.
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

/// Computes the layers that `outputs` need and returns the results of those, in the order of `outputs`.
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

/// Results of layers that are still read.
struct Results<V> {
    values: HashMap<&'static str, V>,
    /// Layer that reads a result last, by the name of the result; outputs have none.
    last_readers: HashMap<&'static str, &'static str>,
}

impl<V> Results<V> {
    /// Removes those of `inputs` that `reader` reads last.
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

    /// Records which layers ran, and which values were handed over.
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
        // The image and the nine results, without both outputs.
        assert_eq!(recorder.n_last, 1 + 9 - 2);
    }

    #[test]
    fn an_error_of_the_backend_ends_the_walk() {
        let outputs = LEVELS.map(|level| level.layer);
        let error = walk(&mut Recorder::default(), INPUT, &outputs).unwrap_err();
        assert_eq!(error, "out of memory");
    }
}
