//! Values that know how they were made, and the backward pass over them.
//!
//! Training runs on these instead of candle's own graph. candle's backward starts every gradient as zeros, adds to it
//! and keeps all activations until its graph is dropped: three more passes over memory for each edge. Here the first
//! gradient is moved into place, sums run on all threads, an op whose gradient is zero just says so, and what an op
//! saved is freed as soon as it was used.

mod arithmetic;
mod shaping;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, TensorId, bail};

/// A tensor and how it was made.
///
/// A [`Tensor`] becomes a value by `into()`: a leaf, to which gradients flow, when it tracks gradients (a
/// [`Var`](candle_core::Var) does), else a constant.
#[derive(Clone, Debug)]
pub struct Value {
    tensor: Tensor,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Constant,
    /// A tensor whose gradient [`Value::backward`] hands out.
    Leaf(TensorId),
    Made(Arc<Step>),
}

/// One application of an op.
struct Step {
    /// Steps are numbered as they are made: inputs before results.
    number: u64,
    inputs: Vec<(Source, Shape)>,
    /// Taken by the backward pass that goes through it.
    backward: Mutex<Option<Backward>>,
}

impl Drop for Step {
    /// Takes a long chain apart step by step instead of by recursion.
    fn drop(&mut self) {
        let mut sources: Vec<Source> = self.inputs.drain(..).map(|(source, _)| source).collect();
        while let Some(source) = sources.pop() {
            if let Source::Made(step) = source
                && let Some(mut step) = Arc::into_inner(step)
            {
                sources.extend(step.inputs.drain(..).map(|(source, _)| source));
            }
        }
    }
}

/// From the gradient of a result to those of the inputs; `None` is zero.
type Backward = Box<dyn FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>> + Send>;

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Constant => write!(f, "Constant"),
            Source::Leaf(_) => write!(f, "Leaf"),
            Source::Made(step) => write!(f, "Made({})", step.number),
        }
    }
}

impl From<&Tensor> for Value {
    fn from(tensor: &Tensor) -> Self {
        Value {
            source: match tensor.track_op() {
                true => Source::Leaf(tensor.id()),
                false => Source::Constant,
            },
            tensor: tensor.detach(),
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        (&tensor).into()
    }
}

impl Value {
    /// The tensor alone; gradients do not flow through it.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The tensor alone; gradients do not flow through it.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }

    /// The same numbers as a constant.
    pub fn detach(&self) -> Value {
        Value {
            tensor: self.tensor.clone(),
            source: Source::Constant,
        }
    }

    /// Whether gradients flow to or through it.
    pub fn is_tracked(&self) -> bool {
        !matches!(self.source, Source::Constant)
    }

    /// The result `tensor` of an op on `inputs`. `backward` gives the gradients of the inputs, in their order, for one
    /// of the result; `None` is zero. It runs at most once.
    ///
    /// # Errors
    /// When `tensor` itself tracks gradients: the op would be differentiated twice.
    pub fn record(
        inputs: &[&Value],
        tensor: Tensor,
        backward: impl FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>> + Send + 'static,
    ) -> Result<Value> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if tensor.track_op() {
            bail!("record: the result already belongs to a graph of candle's");
        }
        let source = if inputs.iter().any(|input| input.is_tracked()) {
            Source::Made(Arc::new(Step {
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
                inputs: inputs
                    .iter()
                    .map(|input| (input.source.clone(), input.shape().clone()))
                    .collect(),
                backward: Mutex::new(Some(Box::new(backward))),
            }))
        } else {
            Source::Constant
        };
        Ok(Value { tensor, source })
    }

    /// Applies a linear map, given with its adjoint.
    ///
    /// # Errors
    /// As `map`.
    pub fn linear_map(
        &self,
        map: impl FnOnce(&Tensor) -> Result<Tensor>,
        adjoint: impl FnOnce(&Tensor) -> Result<Tensor> + Send + 'static,
    ) -> Result<Value> {
        let y = map(&self.tensor)?;
        Value::record(&[self], y, |dy| Ok(vec![Some(adjoint(dy)?)]))
    }

    /// The gradients of a value of one number in all leaves that it was made from.
    ///
    /// The steps on the way give up what they saved: a second pass through any of them is an error.
    ///
    /// # Errors
    /// When the value has more than one number; when an earlier pass went through one of its steps.
    pub fn backward(&self) -> Result<Gradients> {
        if self.elem_count() != 1 {
            bail!(
                "backward: {:?} is not one number; give the gradient of the value with backward_from",
                self.shape()
            );
        }
        self.backward_from(&self.tensor.ones_like()?)
    }

    /// The gradients of `<self, gradient>` in all leaves that the value was made from; as [`Value::backward`].
    ///
    /// # Errors
    /// When shapes differ; when an earlier pass went through one of its steps.
    pub fn backward_from(&self, gradient: &Tensor) -> Result<Gradients> {
        let mut pass = Pass::default();
        pass.give(&self.source, self.shape(), gradient.detach())?;
        while let Some((_, (step, gradient))) = pass.pending.pop_last() {
            let backward = step
                .backward
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let Some(backward) = backward else {
                bail!("backward: an earlier backward pass already went through this graph");
            };
            for ((source, shape), gradient) in step.inputs.iter().zip(backward(&gradient)?) {
                if let Some(gradient) = gradient {
                    pass.give(source, shape, gradient)?;
                }
            }
        }
        Ok(pass.found)
    }
}

/// The state of a backward pass.
#[derive(Default)]
struct Pass {
    /// Steps with a gradient that they have not passed on, the latest last: all of its users come before a step.
    pending: BTreeMap<u64, (Arc<Step>, Tensor)>,
    found: Gradients,
}

impl Pass {
    /// Adds to the gradient of a value.
    fn give(&mut self, source: &Source, shape: &Shape, gradient: Tensor) -> Result<()> {
        if gradient.shape() != shape {
            bail!(
                "backward: a gradient of {:?} for a value of {shape:?}",
                gradient.shape()
            );
        }
        match source {
            Source::Constant => {}
            Source::Leaf(id) => {
                let sum = plus(self.found.0.remove(id), gradient)?;
                self.found.0.insert(*id, sum);
            }
            Source::Made(step) => {
                let earlier = self.pending.remove(&step.number).map(|(_, sum)| sum);
                let sum = plus(earlier, gradient)?;
                self.pending.insert(step.number, (step.clone(), sum));
            }
        }
        Ok(())
    }
}

fn plus(sum: Option<Tensor>, gradient: Tensor) -> Result<Tensor> {
    match sum {
        Some(sum) => arithmetic::sum(&sum, &gradient),
        None => Ok(gradient),
    }
}

/// What a backward pass found: the gradient of each leaf.
#[derive(Debug, Default)]
pub struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    /// The gradient of a leaf; `None` where it is zero because nothing depends on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.0.get(&leaf.id())
    }

    /// The gradient of a leaf, taken out.
    pub fn remove(&mut self, leaf: &Tensor) -> Option<Tensor> {
        self.0.remove(&leaf.id())
    }
}

/// What a value has from its tensor.
impl Value {
    /// Sizes.
    pub fn dims(&self) -> &[usize] {
        self.tensor.dims()
    }

    /// One size.
    ///
    /// # Errors
    /// When there is no such dimension.
    pub fn dim(&self, dim: usize) -> Result<usize> {
        self.tensor.dim(dim)
    }

    /// The two sizes of a matrix.
    ///
    /// # Errors
    /// When it has another rank.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        self.tensor.dims2()
    }

    /// The four sizes of a batch of images.
    ///
    /// # Errors
    /// When it has another rank.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        self.tensor.dims4()
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.tensor.rank()
    }

    /// All sizes.
    pub fn shape(&self) -> &Shape {
        self.tensor.shape()
    }

    /// How many numbers it has.
    pub fn elem_count(&self) -> usize {
        self.tensor.elem_count()
    }

    /// The type of its numbers.
    pub fn dtype(&self) -> DType {
        self.tensor.dtype()
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        self.tensor.device()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    fn var(values: &[f64]) -> Var {
        Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        tensor.to_vec1().unwrap()
    }

    #[test]
    fn gradients_of_all_uses_are_summed() {
        let x = var(&[1.0, 2.0]);
        let v = Value::from(x.as_tensor());
        // x^2 + x * x^2, through two paths that meet again.
        let square = v.sqr().unwrap();
        let y = square.add(&v.mul(&square).unwrap()).unwrap();
        let found = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(numbers(found.get(&x).unwrap()), [2.0 + 3.0, 4.0 + 12.0]);
    }

    #[test]
    fn constants_and_unused_leaves_get_no_gradient() {
        let (x, unused) = (var(&[3.0]), var(&[4.0]));
        let constant = Tensor::new(&[5.0f64], &Device::Cpu).unwrap();
        let y = Value::from(x.as_tensor()).mul(&(&constant).into()).unwrap();
        let _ = Value::from(unused.as_tensor()).sqr().unwrap();
        let mut found = y.backward().unwrap();
        assert!(found.get(&constant).is_none() && found.get(&unused).is_none());
        assert_eq!(numbers(&found.remove(&x).unwrap()), [5.0]);
        let nothing = Value::from(&constant).sqr().unwrap();
        assert!(!nothing.is_tracked());
        assert!(nothing.backward().unwrap().0.is_empty());
    }

    #[test]
    fn what_is_detached_is_a_constant() {
        let x = var(&[3.0]);
        let v = Value::from(x.as_tensor());
        let y = v.mul(&v.sqr().unwrap().detach()).unwrap();
        assert_eq!(numbers(y.backward().unwrap().get(&x).unwrap()), [9.0]);
    }

    #[test]
    fn a_graph_is_used_once() {
        let x = var(&[3.0]);
        let y = Value::from(x.as_tensor()).sqr().unwrap();
        y.backward().unwrap();
        let error = y.backward().unwrap_err().to_string();
        assert!(error.contains("earlier backward"), "{error}");
    }

    #[test]
    fn wrong_uses_are_errors() {
        let x = var(&[3.0, 4.0]);
        let v = Value::from(x.as_tensor());
        assert!(v.sqr().unwrap().backward().is_err());
        let y = (x.as_tensor() * 2.0).unwrap();
        assert!(Value::record(&[&v], y, |_| Ok(vec![None])).is_err());
        let zeros = Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap();
        let wrong = Value::record(&[&v], zeros.clone(), |_| {
            Ok(vec![Some(Tensor::zeros(3, DType::F64, &Device::Cpu)?)])
        });
        assert!(wrong.unwrap().backward_from(&zeros).is_err());
    }

    #[test]
    fn a_long_chain_is_no_trouble() {
        let x = var(&[1.0]);
        let mut y = Value::from(x.as_tensor());
        for _ in 0..10_000 {
            y = y.scale(1.0001).unwrap();
        }
        let found = y.backward().unwrap();
        let slope = numbers(found.get(&x).unwrap())[0];
        assert!((slope - 1.0001f64.powi(10_000)).abs() < 1e-9);
    }
}
