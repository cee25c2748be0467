//! The weights and buffers of a network by name.

use std::collections::HashMap;

use architecture::{Init, TensorKind, TensorSpec};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use indexmap::IndexMap;

use crate::error::{Error, Result, WeightsMismatch};
use crate::random::NormalSource;

/// The weights and buffers of one network, with the names and in the order of `state_dict()` in NVIDIA's PyTorch code.
///
/// Clones share the tensors: two networks over clones of the same parameters always have the same weights. See
/// [`Parameters::deep_copy`].
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: IndexMap<String, (Var, TensorKind)>,
}

impl Parameters {
    /// The device of the tensors.
    pub(crate) fn device(&self) -> &Device {
        let first = self.entries.values().next();
        first.map_or(&Device::Cpu, |(var, _)| var.device())
    }

    /// Creates tensors with initial values. Random values are drawn from `random` in the order of `slots`.
    pub(crate) fn initialize(
        slots: &[TensorSpec],
        random: &mut dyn NormalSource,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let mut entries = IndexMap::new();
        for slot in slots {
            let count = slot.shape.iter().product();
            let values = match &slot.init {
                Init::Normal(scale) => {
                    let mut values = vec![0f32; count];
                    random.fill_normal(&mut values);
                    values.iter_mut().for_each(|v| *v *= *scale as f32);
                    values
                }
                Init::Constant(value) => vec![*value as f32; count],
                Init::Fixed(values) => values.clone(),
            };
            let tensor = Tensor::from_vec(values, slot.shape.as_slice(), device)?;
            let var = Var::from_tensor(&tensor.to_dtype(dtype)?)?;
            entries.insert(slot.name.clone(), (var, slot.kind));
        }
        Ok(Self { entries })
    }

    /// Reads the tensors of a [`VarBuilder`], and returns whether any of them is a variable. Variables are shared,
    /// other tensors are copied. Resampling filters are computed instead of read.
    pub(crate) fn load_from(specs: &[TensorSpec], vb: &VarBuilder<'_>) -> Result<(Self, bool)> {
        let mut entries = IndexMap::new();
        let mut are_variables = false;
        for spec in specs {
            let shape = spec.shape.as_slice();
            let from_vb = |hint| vb.get_with_hints(shape, &spec.name, hint);
            let tensor = match &spec.init {
                Init::Fixed(values) => {
                    let tensor = Tensor::from_slice(values, shape, vb.device())?;
                    tensor.to_dtype(vb.dtype())?
                }
                Init::Constant(value) => from_vb(candle_nn::Init::Const(*value))?,
                &Init::Normal(stdev) => from_vb(candle_nn::Init::Randn { mean: 0.0, stdev })?,
            };
            are_variables |= tensor.is_variable();
            let var = Var::from_tensor(&tensor)?;
            entries.insert(spec.name.clone(), (var, spec.kind));
        }
        Ok((Self { entries }, are_variables))
    }

    /// A [`VarBuilder`] that returns these tensors. Trainable ones get gradients if `track`.
    pub(crate) fn var_builder(&self, track: bool) -> VarBuilder<'static> {
        let first = self.entries.values().next();
        let dtype = first.map_or(DType::F32, |(var, _)| var.dtype());
        let source = ParametersBackend {
            parameters: self.clone(),
            track,
        };
        VarBuilder::from_backend(Box::new(source), dtype, self.device().clone())
    }

    /// Copies given tensors, converted to `dtype`.
    ///
    /// # Errors
    /// `Weights`, listing all tensors that are missing, unexpected or of the wrong shape, and all resampling filters
    /// with wrong values.
    pub(crate) fn from_tensors(
        slots: &[TensorSpec],
        tensors: impl IntoIterator<Item = (String, Tensor)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let mut given: IndexMap<String, Tensor> = tensors.into_iter().collect();
        let mut mismatch = WeightsMismatch::default();
        let mut entries = IndexMap::new();
        for slot in slots {
            let Some(tensor) = given.shift_remove(&slot.name) else {
                mismatch.missing.push(slot.name.clone());
                continue;
            };
            if tensor.dims() != slot.shape {
                mismatch.mismatched.push(format!(
                    "{} is {:?} instead of {:?}",
                    slot.name,
                    tensor.dims(),
                    slot.shape
                ));
                continue;
            }
            if let Init::Fixed(expected) = &slot.init
                && !close(&tensor, expected)?
            {
                mismatch
                    .mismatched
                    .push(format!("{} does not hold the configured filter", slot.name));
            }
            let copy = tensor.to_device(device)?.to_dtype(dtype)?.copy()?;
            entries.insert(slot.name.clone(), (Var::from_tensor(&copy)?, slot.kind));
        }
        mismatch.unexpected = given.into_keys().collect();
        if mismatch.is_empty() {
            Ok(Self { entries })
        } else {
            Err(Error::Weights(Box::new(mismatch)))
        }
    }

    /// Copies all tensors, so that the copy shares nothing with `self`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn deep_copy(&self) -> Result<Self> {
        self.map(|tensor| Ok(tensor.copy()?))
    }

    /// Copies all tensors and converts them to `dtype`.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        self.map(|tensor| Ok(tensor.to_dtype(dtype)?.copy()?))
    }

    fn map(&self, f: impl Fn(Tensor) -> Result<Tensor>) -> Result<Self> {
        let entries = self
            .entries
            .iter()
            .map(|(name, (var, kind))| {
                let var = Var::from_tensor(&f(var.as_detached_tensor())?)?;
                Ok((name.clone(), (var, *kind)))
            })
            .collect::<Result<_>>()?;
        Ok(Self { entries })
    }

    /// The tensor with this name, as a variable; `None` if the network has no such tensor.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.entries.get(name).map(|(var, _)| var)
    }

    /// Iterates over the name, variable and role (trainable, frozen or buffer) of each tensor. Setting a variable
    /// changes all networks that share it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var, TensorKind)> {
        self.entries
            .iter()
            .map(|(name, (var, kind))| (name.as_str(), var, *kind))
    }

    /// Iterates over the name and variable of each trainable tensor, that is, of each tensor that an optimizer updates.
    /// Frozen weights and buffers are left out.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.iter()
            .filter(|(_, _, kind)| *kind == TensorKind::Trainable)
            .map(|(name, var, _)| (name, var))
    }

    /// Iterates over the name and value of each tensor, without gradients. The values share memory with the parameters
    /// and change with them.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Tensor)> {
        self.entries
            .iter()
            .map(|(name, (var, _))| (name.clone(), var.as_detached_tensor()))
    }

    /// Number of values in the trainable tensors.
    pub fn num_trainable(&self) -> usize {
        self.trainable().map(|(_, var)| var.elem_count()).sum()
    }

    /// Overwrites the values of all tensors with those of the tensors of the same name, to load a checkpoint into an
    /// existing network.
    ///
    /// # Errors
    /// `Weights`, listing all tensors that are missing, unexpected or of the wrong shape. Then no value is changed.
    pub fn load(&self, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Result<()> {
        let given: HashMap<String, Tensor> = tensors.into_iter().collect();
        let mut mismatch = WeightsMismatch::default();
        for (name, var, _) in self.iter() {
            match given.get(name) {
                None => mismatch.missing.push(name.to_owned()),
                Some(tensor) if tensor.dims() != var.dims() => mismatch.mismatched.push(format!(
                    "{name} is {:?} instead of {:?}",
                    tensor.dims(),
                    var.dims()
                )),
                Some(_) => {}
            }
        }
        mismatch.unexpected = given
            .keys()
            .filter(|name| !self.entries.contains_key(*name))
            .cloned()
            .collect();
        mismatch.unexpected.sort();
        if !mismatch.is_empty() {
            return Err(Error::Weights(Box::new(mismatch)));
        }
        for (name, var, _) in self.iter() {
            let tensor = given[name].to_device(var.device())?.to_dtype(var.dtype())?;
            // Copy, because a variable cannot be set to a view of itself.
            var.set(&tensor.copy()?)?;
        }
        Ok(())
    }
}

/// The backend of the [`VarBuilder`] that [`Parameters::var_builder`] returns.
struct ParametersBackend {
    parameters: Parameters,
    track: bool,
}

impl SimpleBackend for ParametersBackend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() != shape {
            candle_core::bail!(
                "tensor `{name}` is {:?} instead of {shape:?}",
                tensor.shape()
            );
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        let Some((var, kind)) = self.parameters.entries.get(name) else {
            candle_core::bail!("the parameters have no tensor `{name}`");
        };
        // The mapping network updates `w_avg` and therefore needs the variable.
        let is_variable = match kind {
            TensorKind::Trainable => self.track,
            TensorKind::Frozen => false,
            TensorKind::Buffer => name.ends_with("w_avg"),
        };
        Ok(match is_variable {
            true => var.as_tensor().clone(),
            false => var.as_detached_tensor(),
        })
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.parameters.entries.contains_key(name)
    }
}

/// Whether the values of `tensor` are those of `expected` within 1e-6.
fn close(tensor: &Tensor, expected: &[f32]) -> Result<bool> {
    let values: Vec<f32> = tensor
        .flatten_all()?
        .to_dtype(DType::F32)?
        .to_device(&Device::Cpu)?
        .to_vec1()?;
    Ok(values
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() <= 1e-6))
}
