//! Reverse-mode automatic differentiation: tensors with their graph, and the backward pass over it.
//!
//! Training uses this graph instead of candle's. candle's backward pass initializes every gradient with zeros and adds
//! to it, which costs three more passes over memory for each edge of the graph, and it keeps all activations until the
//! graph is dropped. Here the first gradient that a value receives is stored as it is, further ones are added on all
//! threads, gradients that are known to be zero are not computed, and the saved tensors of an op are freed after use.

mod arithmetic;
mod recorded;
mod shaping;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, TensorId, bail};

pub(crate) use self::recorded::record;

/// A tensor in a graph that can be differentiated.
///
/// `Value::from` turns a [`Tensor`] that tracks gradients, such as a [`Var`](candle_core::Var), into a leaf, and any
/// other tensor into a constant. [`Value::backward`] returns the gradients of the leaves.
///
/// ```
/// use candle_core::{Device, Var};
/// use ops::Value;
///
/// let x = Var::new(&[3f32, 4.0], &Device::Cpu)?;
/// let y = Value::from(x.as_tensor()).sqr()?.sum_all()?;
/// let grads = y.backward()?;
/// assert_eq!(grads.get(&x).unwrap().to_vec1::<f32>()?, [6.0, 8.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Value {
    tensor: Tensor,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Constant,
    /// A tensor whose gradient [`Value::backward`] returns.
    Leaf(TensorId),
    Result(Arc<Step>),
}

/// One application of an op.
struct Step {
    /// The position of this step in the order of creation; the steps that computed the inputs have smaller numbers.
    number: u64,
    inputs: Vec<(Source, Shape)>,
    /// The gradient function; the backward pass takes it out.
    backward: Mutex<Option<Backward>>,
}

impl Drop for Step {
    /// Drops a long chain of steps in a loop, as recursion could overflow the stack.
    fn drop(&mut self) {
        let mut sources: Vec<Source> = self.inputs.drain(..).map(|(source, _)| source).collect();
        while let Some(source) = sources.pop() {
            if let Source::Result(step) = source
                && let Some(mut step) = Arc::into_inner(step)
            {
                sources.extend(step.inputs.drain(..).map(|(source, _)| source));
            }
        }
    }
}

/// Computes the gradients of the inputs from the gradient of the result; `None` means zero.
type Backward = Box<dyn FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>> + Send>;

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Constant => write!(f, "Constant"),
            Source::Leaf(_) => write!(f, "Leaf"),
            Source::Result(step) => write!(f, "Result({})", step.number),
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
    /// The tensor alone; it is detached from this graph and from candle's.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Returns the tensor alone; it is detached from this graph and from candle's.
    pub fn into_tensor(self) -> Tensor {
        self.tensor
    }

    /// The same tensor as a constant: no gradients flow through it.
    pub fn detach(&self) -> Value {
        Value {
            tensor: self.tensor.clone(),
            source: Source::Constant,
        }
    }

    /// Whether this value is a leaf or depends on one.
    pub fn is_tracked(&self) -> bool {
        !matches!(self.source, Source::Constant)
    }

    /// Records `tensor` as the result of an op on `inputs`.
    ///
    /// `backward` computes the gradients of the inputs, in their order, from the gradient of the result; `None` means
    /// zero. It runs at most once.
    ///
    /// # Errors
    /// When `tensor` tracks gradients in candle's graph: the op would be differentiated twice.
    pub fn record(
        inputs: &[&Value],
        tensor: Tensor,
        backward: impl FnOnce(&Tensor) -> Result<Vec<Option<Tensor>>> + Send + 'static,
    ) -> Result<Value> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if tensor.track_op() {
            bail!("record: the result already belongs to candle's graph");
        }
        let source = if inputs.iter().any(|input| input.is_tracked()) {
            Source::Result(Arc::new(Step {
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

    /// Applies a linear function `map` and records it; `adjoint` computes its gradient.
    ///
    /// # Errors
    /// Errors of `map`.
    pub fn linear_map(
        &self,
        map: impl FnOnce(&Tensor) -> Result<Tensor>,
        adjoint: impl FnOnce(&Tensor) -> Result<Tensor> + Send + 'static,
    ) -> Result<Value> {
        let y = map(&self.tensor)?;
        Value::record(&[self], y, |dy| Ok(vec![Some(adjoint(dy)?)]))
    }

    /// The gradients of this scalar (a value of one element) with respect to all leaves that it depends on.
    ///
    /// Frees the saved tensors of all ops that the backward pass reaches, so a second pass through any of these ops is
    /// an error.
    ///
    /// # Errors
    /// When the value has more than one element, or an earlier pass went through one of its ops.
    pub fn backward(&self) -> Result<Gradients> {
        if self.elem_count() != 1 {
            bail!(
                "backward: {:?} is more than one element; use backward_from with a gradient of that shape",
                self.shape()
            );
        }
        self.backward_from(&self.tensor.ones_like()?)
    }

    /// The gradients of the inner product `<self, gradient>` with respect to all leaves that this value depends on.
    /// Frees saved tensors as [`Value::backward`] does.
    ///
    /// # Errors
    /// When `gradient` has another shape than this value, or an earlier pass went through one of its ops.
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
        Ok(pass.grads)
    }
}

/// The state of a backward pass.
#[derive(Default)]
struct Pass {
    /// The steps that are still to be processed, each with the sum of the gradients that its result has received so
    /// far. The step with the highest number is processed first: by then all uses of its result have added their
    /// gradient.
    pending: BTreeMap<u64, (Arc<Step>, Tensor)>,
    grads: Gradients,
}

impl Pass {
    /// Adds `gradient` to the gradient of the value with this source and shape.
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
                let sum = plus(self.grads.0.remove(id), gradient)?;
                self.grads.0.insert(*id, sum);
            }
            Source::Result(step) => {
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

/// The gradients of all leaves that a backward pass reached.
#[derive(Debug, Default)]
pub struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    /// The gradient of a leaf; `None` if the differentiated value does not depend on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.0.get(&leaf.id())
    }

    /// Removes and returns the gradient of a leaf; `None` if the differentiated value does not depend on it.
    pub fn remove(&mut self, leaf: &Tensor) -> Option<Tensor> {
        self.0.remove(&leaf.id())
    }
}

/// Shape, type and device of the tensor.
impl Value {
    /// The sizes of all dimensions.
    pub fn dims(&self) -> &[usize] {
        self.tensor.dims()
    }

    /// The size of one dimension.
    ///
    /// # Errors
    /// When there is no such dimension.
    pub fn dim(&self, dim: usize) -> Result<usize> {
        self.tensor.dim(dim)
    }

    /// The two sizes of a 2-D value.
    ///
    /// # Errors
    /// When the value is not 2-D.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        self.tensor.dims2()
    }

    /// The four sizes of a 4-D value, such as a batch of images.
    ///
    /// # Errors
    /// When the value is not 4-D.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        self.tensor.dims4()
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.tensor.rank()
    }

    /// The shape of the tensor.
    pub fn shape(&self) -> &Shape {
        self.tensor.shape()
    }

    /// The number of elements.
    pub fn elem_count(&self) -> usize {
        self.tensor.elem_count()
    }

    /// The number type of the tensor.
    pub fn dtype(&self) -> DType {
        self.tensor.dtype()
    }

    /// The device on which the tensor is.
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
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(numbers(grads.get(&x).unwrap()), [2.0 + 3.0, 4.0 + 12.0]);
    }

    #[test]
    fn constants_and_unused_leaves_get_no_gradient() {
        let (x, unused) = (var(&[3.0]), var(&[4.0]));
        let constant = Tensor::new(&[5.0f64], &Device::Cpu).unwrap();
        let y = Value::from(x.as_tensor()).mul(&(&constant).into()).unwrap();
        let _ = Value::from(unused.as_tensor()).sqr().unwrap();
        let mut grads = y.backward().unwrap();
        assert!(grads.get(&constant).is_none() && grads.get(&unused).is_none());
        assert_eq!(numbers(&grads.remove(&x).unwrap()), [5.0]);
        let nothing = Value::from(&constant).sqr().unwrap();
        assert!(!nothing.is_tracked());
        assert!(nothing.backward().unwrap().0.is_empty());
    }

    #[test]
    fn a_detached_value_is_a_constant() {
        let x = var(&[3.0]);
        let v = Value::from(x.as_tensor());
        let y = v.mul(&v.sqr().unwrap().detach()).unwrap();
        assert_eq!(numbers(y.backward().unwrap().get(&x).unwrap()), [9.0]);
    }

    #[test]
    fn a_second_pass_is_an_error() {
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
    fn a_long_chain_does_not_overflow_the_stack() {
        let x = var(&[1.0]);
        let mut y = Value::from(x.as_tensor());
        for _ in 0..10_000 {
            y = y.scale(1.0001).unwrap();
        }
        let grads = y.backward().unwrap();
        let grad = numbers(grads.get(&x).unwrap())[0];
        assert!((grad - 1.0001f64.powi(10_000)).abs() < 1e-9);
    }
}
