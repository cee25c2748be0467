//! Weights and buffers of a network under their official names.

use std::collections::HashMap;

use architecture::{Init, TensorKind, TensorSpec};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use indexmap::IndexMap;

use crate::error::{Error, Result, WeightsMismatch};
use crate::random::NormalSource;

/// The tensors of one network, in the order of the official state dict.
///
/// Clones share storage: a network built twice over the same parameters sees one set of values.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: IndexMap<String, (Var, TensorKind)>,
}

impl Parameters {
    /// Device of the tensors.
    pub(crate) fn device(&self) -> &Device {
        let first = self.entries.values().next();
        first.map_or(&Device::Cpu, |(var, _)| var.device())
    }

    /// New weights, drawn from `random` in the order of the slots.
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

    /// Tensors of a [`VarBuilder`], and whether they are variables. Variables are shared, other tensors copied.
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

    /// A [`VarBuilder`] that hands out these parameters. Gradients reach the trainable ones if `track`.
    pub(crate) fn var_builder(&self, track: bool) -> VarBuilder<'static> {
        let first = self.entries.values().next();
        let dtype = first.map_or(DType::F32, |(var, _)| var.dtype());
        let source = ParametersBackend {
            parameters: self.clone(),
            track,
        };
        VarBuilder::from_backend(Box::new(source), dtype, self.device().clone())
    }

    /// Parameters with given weights, which are copied.
    ///
    /// # Errors
    /// `Weights` with every name that is missing, unexpected or of another shape.
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

    /// A deep copy.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn deep_copy(&self) -> Result<Self> {
        self.map(|tensor| Ok(tensor.copy()?))
    }

    /// A deep copy, converted to another number type.
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

    /// The variable of a name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.entries.get(name).map(|(var, _)| var)
    }

    /// All tensors: name, variable, kind. Setting a variable changes every network built over it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var, TensorKind)> {
        self.entries
            .iter()
            .map(|(name, (var, kind))| (name.as_str(), var, *kind))
    }

    /// Names and variables that an optimizer updates.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.iter()
            .filter(|(_, _, kind)| *kind == TensorKind::Trainable)
            .map(|(name, var, _)| (name, var))
    }

    /// Names and values without gradients. The storage is shared.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Tensor)> {
        self.entries
            .iter()
            .map(|(name, (var, _))| (name.clone(), var.as_detached_tensor()))
    }

    /// Number of learned values.
    pub fn num_trainable(&self) -> usize {
        self.trainable().map(|(_, var)| var.elem_count()).sum()
    }

    /// Overwrites values by name, to load a checkpoint into an existing network.
    ///
    /// # Errors
    /// `Weights` as when a network is built from tensors; then no value has changed.
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
            // A copy, since a variable cannot be set to a view of itself.
            var.set(&tensor.copy()?)?;
        }
        Ok(())
    }
}

/// [`Parameters`] as a source of a [`VarBuilder`].
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
        // The mapping network sets `w_avg`, for which it needs the variable.
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

/// Whether `tensor` holds `expected` up to rounding.
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
