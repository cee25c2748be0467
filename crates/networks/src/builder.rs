use std::cell::RefCell;

use architecture::{Init, TensorKind, TensorSpec};
use candle_core::{DType, Device, Tensor, Var};

use crate::error::{Error, Result};
use crate::parameters::Parameters;

/// What building a network over a [`Builder`] does.
enum Mode<'p> {
    /// Notes down which tensors there are; the layers get placeholders.
    Layout(RefCell<Vec<TensorSpec>>),
    /// Hands out the tensors.
    Build {
        parameters: &'p Parameters,
        track: bool,
    },
}

/// Hands tensors to layers as they are built, so that the tree of layers is written down once.
pub(crate) struct Builder<'m, 'p> {
    mode: &'m Mode<'p>,
    prefix: String,
}

/// The tensors that a network asks for while `build` makes it.
pub(crate) fn layout<T>(
    build: impl FnOnce(&Builder<'_, '_>) -> Result<T>,
) -> Result<Vec<TensorSpec>> {
    let mode = Mode::Layout(RefCell::default());
    build(&Builder {
        mode: &mode,
        prefix: String::new(),
    })?;
    match mode {
        Mode::Layout(slots) => Ok(slots.into_inner()),
        Mode::Build { .. } => unreachable!("made above"),
    }
}

/// The network that `build` makes over `parameters`; gradients reach the trainable ones if `track`.
pub(crate) fn build<T>(
    parameters: &Parameters,
    track: bool,
    build: impl FnOnce(&Builder<'_, '_>) -> Result<T>,
) -> Result<T> {
    build(&Builder {
        mode: &Mode::Build { parameters, track },
        prefix: String::new(),
    })
}

impl Builder<'_, '_> {
    /// The builder of a part.
    pub fn child(&self, name: &str) -> Self {
        Self {
            mode: self.mode,
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    /// A learned tensor.
    pub fn parameter(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        self.weight(name, shape, init, true)
    }

    /// A learned tensor, or one of a frozen layer.
    pub fn weight(
        &self,
        name: &str,
        shape: &[usize],
        init: Init,
        trainable: bool,
    ) -> Result<Tensor> {
        let kind = if trainable {
            TensorKind::Trainable
        } else {
            TensorKind::Frozen
        };
        self.tensor(name, shape, init, kind)
    }

    /// A tensor that is not learned.
    pub fn buffer(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        self.tensor(name, shape, init, TensorKind::Buffer)
    }

    /// A tensor that is not learned and that the network changes by itself.
    pub fn buffer_var(&self, name: &str, shape: &[usize], init: Init) -> Result<Var> {
        let placeholder = self.buffer(name, shape, init)?;
        match self.mode {
            Mode::Layout(_) => Ok(Var::from_tensor(&placeholder.contiguous()?)?),
            Mode::Build { parameters, .. } => self.find(parameters, name).cloned(),
        }
    }

    fn tensor(&self, name: &str, shape: &[usize], init: Init, kind: TensorKind) -> Result<Tensor> {
        match self.mode {
            Mode::Layout(slots) => {
                slots.borrow_mut().push(TensorSpec {
                    name: format!("{}{name}", self.prefix),
                    shape: shape.to_vec(),
                    kind,
                    init,
                });
                // A view of one zero.
                Ok(Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(shape)?)
            }
            Mode::Build { parameters, track } => {
                let var = self.find(parameters, name)?;
                Ok(if *track && kind == TensorKind::Trainable {
                    var.as_tensor().clone()
                } else {
                    var.as_detached_tensor()
                })
            }
        }
    }

    fn find<'a>(&self, parameters: &'a Parameters, name: &str) -> Result<&'a Var> {
        let name = format!("{}{name}", self.prefix);
        parameters
            .get(&name)
            .ok_or_else(|| Error::config(format!("the parameters have no tensor `{name}`")))
    }
}
