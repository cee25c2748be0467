//! Reads tensors from the recorded calls of `torch._utils` functions in a pickle.

use std::cell::Cell;
use std::collections::HashMap;

use indexmap::IndexMap;

use super::LegacyFile;
use crate::error::{Error, Result};
use crate::numpy;
use crate::pickle::{Constructor, Limits, Value};
use crate::tensor::{DType, Tensor, gather, numel};

/// The bytes of the storages that are stored outside the pickle, by key. Empty for a pickle that embeds its storages.
pub(crate) type Storages<'a> = HashMap<String, &'a [u8]>;

/// Reads tensors from the recorded calls of `torch._utils._rebuild_tensor_v2(...)`, similar functions and numpy arrays.
pub(crate) struct TensorReader<'a> {
    storages: Storages<'a>,
    /// Number of bytes that may still be copied. A hostile file could refer to one storage in many tensors.
    budget: Cell<usize>,
}

impl<'a> TensorReader<'a> {
    /// Creates a reader for a file of `file_len` bytes. It reads tensors of up to 4 times that size plus 16 MiB in
    /// total.
    pub fn new(storages: Storages<'a>, file_len: usize) -> Self {
        Self {
            storages,
            budget: Cell::new(file_len.saturating_mul(4).saturating_add(1 << 24)),
        }
    }

    /// Whether `value` describes a tensor, a parameter or a numpy array.
    pub fn is_tensor(value: Value<'_, '_>) -> bool {
        use Constructor as C;
        matches!(
            value.constructor(),
            Some(
                C::RebuildTensor
                    | C::RebuildTensorV3
                    | C::RebuildParameter
                    | C::NumpyReconstruct
                    | C::NumpyFromBuffer
            )
        ) && value.object().is_some()
    }

    /// Reads the tensor that `value` describes. `name` is its name in error messages.
    ///
    /// # Errors
    /// `Tensor` when it cannot be read, `Limit` when all tensors together are too large, or the error of an embedded
    /// storage.
    pub fn read(&self, value: Value<'_, '_>, name: &str) -> Result<Tensor> {
        let tensor = self.read_within(value, name, 4)?;
        Ok(tensor)
    }

    fn read_within(&self, value: Value<'_, '_>, name: &str, depth: usize) -> Result<Tensor> {
        use Constructor as C;
        let fail = |what: &str| Error::tensor(name, what);
        if depth == 0 {
            return Err(fail("parameters nested in parameters"));
        }
        let args = value.args().unwrap_or_default();
        match value.constructor() {
            Some(C::RebuildParameter) if value.object().is_some() => {
                let inner = args
                    .first()
                    .ok_or_else(|| fail("a parameter without a tensor"))?;
                self.read_within(*inner, name, depth - 1)
            }
            Some(C::RebuildTensor | C::RebuildTensorV3) if args.len() >= 4 => {
                let override_dtype = match value.constructor() {
                    Some(C::RebuildTensorV3) => match args.get(6).and_then(|v| v.constructor()) {
                        Some(C::Dtype(dtype)) => Some(dtype),
                        _ => return Err(fail("an element kind that is not known")),
                    },
                    _ => None,
                };
                let sizes = |v: Value<'_, '_>| -> Option<Vec<usize>> {
                    v.few()?.into_iter().map(Value::size).collect()
                };
                let offset = args[1].size().ok_or_else(|| fail("a bad offset"))?;
                let shape = sizes(args[2]).ok_or_else(|| fail("a bad shape"))?;
                let strides = sizes(args[3]).ok_or_else(|| fail("bad strides"))?;
                if shape.len() != strides.len() || shape.len() > 32 {
                    return Err(fail("shape and strides that do not match"));
                }
                self.storage(args[0], name, &mut |dtype, bytes| {
                    self.view(
                        name,
                        override_dtype.unwrap_or(dtype),
                        bytes,
                        offset,
                        &shape,
                        &strides,
                    )
                })
            }
            Some(C::NumpyReconstruct | C::NumpyFromBuffer | C::NumpyScalar) => {
                let tensor = numpy::array(value, name)?;
                self.spend(tensor.data.len())?;
                Ok(tensor)
            }
            _ => Err(fail(&format!("expected a tensor, found {}", value.kind()))),
        }
    }

    /// Finds the storage that `value` refers to or embeds, and calls `with` with its element type and bytes.
    fn storage(
        &self,
        value: Value<'_, '_>,
        name: &str,
        with: &mut dyn FnMut(DType, &[u8]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if let Some(id) = value.persistent() {
            let (dtype, key) = storage_id(id)
                .ok_or_else(|| Error::tensor(name, "a storage reference that is not known"))?;
            let bytes = self.storages.get(key).ok_or_else(|| {
                Error::tensor(name, format!("its storage `{key}` is not in the file"))
            })?;
            return with(dtype, bytes);
        }
        if value.constructor() == Some(Constructor::LoadFromBytes) && value.object().is_some() {
            let args = value.args().unwrap_or_default();
            let bytes = args
                .first()
                .and_then(|v| v.bytes())
                .ok_or_else(|| Error::tensor(name, "a storage without bytes"))?;
            // The embedded stream is parsed each time it is referenced, so each time counts against the budget.
            self.spend(bytes.len() / 4)?;
            let file = LegacyFile::parse(
                &bytes,
                Limits {
                    values: 4096,
                    stack: 4096,
                },
            )?;
            let id = file.pickle.root().persistent();
            let (dtype, key) = id
                .and_then(storage_id)
                .ok_or_else(|| Error::tensor(name, "an embedded stream that is no storage"))?;
            let bytes = file
                .storages
                .get(key)
                .ok_or_else(|| Error::tensor(name, "its storage has no contents"))?;
            return with(dtype, bytes);
        }
        Err(Error::tensor(
            name,
            format!("expected a storage, found {}", value.kind()),
        ))
    }

    /// Copies the view `(offset, shape, strides)`, all in elements, out of the bytes of a storage.
    ///
    /// # Errors
    /// `Tensor` when the view reaches outside the storage.
    fn view(
        &self,
        name: &str,
        dtype: DType,
        bytes: &[u8],
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Tensor> {
        let held = bytes.len() / dtype.size();
        let outside = || {
            Error::tensor(
                name,
                format!("shape {shape:?} reaches outside its storage of {held} elements"),
            )
        };
        let count = numel(shape).ok_or_else(outside)?;
        let mut end = offset;
        if count > 0 {
            for (&extent, &stride) in shape.iter().zip(strides) {
                end = (extent - 1)
                    .checked_mul(stride)
                    .and_then(|step| end.checked_add(step))
                    .ok_or_else(outside)?;
            }
            if end >= held {
                return Err(outside());
            }
        } else {
            return Ok(Tensor {
                dtype,
                shape: shape.to_vec(),
                data: Vec::new(),
            });
        }
        self.spend(count.checked_mul(dtype.size()).ok_or_else(outside)?)?;
        Ok(Tensor {
            dtype,
            shape: shape.to_vec(),
            data: gather(bytes, dtype.size(), shape, strides, offset),
        })
    }

    fn spend(&self, bytes: usize) -> Result<()> {
        match self.budget.get().checked_sub(bytes) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(Error::Limit {
                what: "size of the tensors relative to the file",
                limit: 4,
            }),
        }
    }
}

/// The element type and key of a storage, from its persistent id `('storage', torch.FloatStorage, key, location,
/// numel[, view])`.
fn storage_id<'p>(id: Value<'p, '_>) -> Option<(DType, &'p str)> {
    let parts = id.few()?;
    if parts.first()?.text()? != "storage" {
        return None;
    }
    // Only torch before 0.4 wrote views of storages; they are not supported.
    if parts.get(5).is_some_and(|view| !view.is_none()) {
        return None;
    }
    let dtype = match parts.get(1)?.constructor()? {
        Constructor::Storage(dtype) => dtype,
        Constructor::UntypedStorage => DType::U8,
        _ => return None,
    };
    Some((dtype, parts.get(2)?.text()?))
}

/// Reads all tensors that [`list`] finds in `value`, by path.
///
/// # Errors
/// The errors of [`list`] and [`TensorReader::read`].
pub(crate) fn flatten(
    value: Value<'_, '_>,
    reader: &TensorReader<'_>,
) -> Result<IndexMap<String, Tensor>> {
    let mut out = IndexMap::new();
    for (path, value) in list(value)? {
        let tensor = reader.read(value, &path)?;
        out.insert(path, tensor);
    }
    Ok(out)
}

/// Finds all tensors inside `value` and returns each with its path (`a.b.c`), without reading them. Searches mappings,
/// sequences, and the attributes of TorchScript and `Namespace` objects.
///
/// # Errors
/// `Limit` when the object is nested deeper than 64 levels or has more than about 1,000,000 values.
pub(crate) fn list<'p, 'a>(value: Value<'p, 'a>) -> Result<Vec<(String, Value<'p, 'a>)>> {
    const DEPTH: usize = 64;
    const STEPS: usize = 1_000_000;
    let within = |steps: usize| match steps > STEPS {
        true => Err(Error::Limit {
            what: "number of values in the saved object",
            limit: STEPS as u64,
        }),
        false => Ok(()),
    };
    let mut out = Vec::new();
    let mut todo = vec![(String::new(), value, 0usize)];
    let mut steps = 0usize;
    while let Some((path, value, depth)) = todo.pop() {
        steps += 1 + path.len() / 64;
        if depth > DEPTH {
            return Err(Error::Limit {
                what: "depth of the saved object",
                limit: DEPTH as u64,
            });
        }
        within(steps)?;
        if TensorReader::is_tensor(value) {
            out.push((path, value));
            continue;
        }
        let join = |key: &str| {
            if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}.{key}")
            }
        };
        let mapping = match value.constructor() {
            Some(Constructor::TorchScript | Constructor::Attributes) => value.state(),
            _ => Some(value),
        };
        let Some(mapping) = mapping else { continue };
        let mut children = Vec::new();
        // Each child gets a copy of the path of its parent, so long paths count as more steps.
        let mut child_of = |key: &str, child| -> Result<()> {
            steps += 1 + (path.len() + key.len()) / 64;
            within(steps)?;
            children.push((join(key), child, depth + 1));
            Ok(())
        };
        if let Some(entries) = mapping.entries() {
            for (key, child) in entries {
                if let Some(key) = key.text() {
                    child_of(key, child)?;
                } else if let Some(key) = key.int() {
                    child_of(&key.to_string(), child)?;
                }
            }
        } else if let Some(elements) = mapping.elements() {
            for (i, child) in elements.into_iter().enumerate() {
                child_of(&i.to_string(), child)?;
            }
        }
        // Reversed, because the last entry of `todo` is taken first.
        todo.extend(children.into_iter().rev());
    }
    Ok(out)
}
