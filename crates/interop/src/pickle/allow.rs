//! The list of Python constructors that a checkpoint may refer to. Their calls are recorded as data, never executed.

use crate::tensor::DType;

/// A Python function or class to which known checkpoint formats refer, or a group of them that are read in the same
/// way. A pickle that refers to anything else is refused ([`Error::UnknownGlobal`](crate::Error::UnknownGlobal)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Constructor {
    /// `torch_utils.persistence._reconstruct_persistent_obj(meta)`
    PersistentObject,
    /// `dnnlib.tflib.network.Network`
    TfNetwork,
    /// `torch._utils._rebuild_tensor*(storage, offset, size, stride, ...)`
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3(.., dtype, ..)`: a tensor over an untyped storage
    RebuildTensorV3,
    /// `torch._utils._rebuild_parameter*(tensor, ...)`
    RebuildParameter,
    /// `torch.storage._load_from_bytes(bytes)`
    LoadFromBytes,
    /// `torch.FloatStorage` or another typed storage class
    Storage(DType),
    /// `torch.storage.UntypedStorage`
    UntypedStorage,
    /// `torch.float32` or another element type
    Dtype(DType),
    /// A mapping class: `OrderedDict`, `EasyDict`, `dict`, `defaultdict`
    Mapping,
    /// A sequence or set class that is built from one iterable: `list`, `tuple`, `set`, `frozenset`, `torch.Size`
    Sequence,
    /// A class whose objects have only attributes: `argparse.Namespace`, `types.SimpleNamespace`
    Attributes,
    /// `numpy.core.multiarray._reconstruct`
    NumpyReconstruct,
    /// `numpy.core.numeric._frombuffer(bytes, dtype, shape, order)`
    NumpyFromBuffer,
    NumpyArray,
    NumpyDtype,
    /// `numpy.core.multiarray.scalar(dtype, bytes)`
    NumpyScalar,
    /// `_codecs.encode(text, "latin1")`: a byte string in pickle protocols below 3
    Encode,
    /// `bytearray(...)`, `bytes(...)`
    Bytes,
    /// `copyreg._reconstructor(class, base, state)`
    Reconstructor,
    /// `builtins.object`
    Object,
    /// A class below `__torch__`, which a TorchScript archive defines
    TorchScript,
    /// `torch.jit._pickle.build_*` and `restore_type_tag`: lists in a TorchScript archive
    JitBuild,
    /// A class whose values are ignored: `torch.device`, `pathlib` paths, version numbers
    Opaque,
}

/// The constructor for a Python global, or `None` when it is not on the list.
pub(crate) fn constructor(module: &str, name: &str) -> Option<Constructor> {
    use Constructor as C;
    if module == "__torch__" || module.starts_with("__torch__.") {
        return Some(C::TorchScript);
    }
    if let Some(numpy) = module.strip_prefix("numpy") {
        return match (numpy, name) {
            ("", "dtype") => Some(C::NumpyDtype),
            ("", "ndarray") => Some(C::NumpyArray),
            (".core.multiarray" | "._core.multiarray", "_reconstruct") => Some(C::NumpyReconstruct),
            (".core.multiarray" | "._core.multiarray", "scalar") => Some(C::NumpyScalar),
            (".core.numeric" | "._core.numeric", "_frombuffer") => Some(C::NumpyFromBuffer),
            (".dtypes", n) if n.ends_with("DType") => Some(C::Opaque),
            _ => None,
        };
    }
    Some(match (module, name) {
        ("torch_utils.persistence", "_reconstruct_persistent_obj") => C::PersistentObject,
        ("dnnlib.tflib.network" | "tfutil" | "dnnlib.tflib", "Network") => C::TfNetwork,
        ("dnnlib.util" | "dnnlib", "EasyDict") => C::Mapping,
        ("collections", "OrderedDict" | "defaultdict") => C::Mapping,
        ("builtins" | "__builtin__", "dict") => C::Mapping,
        ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple") => C::Sequence,
        ("torch", "Size") => C::Sequence,
        ("builtins" | "__builtin__", "bytearray" | "bytes") => C::Bytes,
        ("builtins" | "__builtin__", "object") => C::Object,
        ("builtins" | "__builtin__", "int" | "float" | "str" | "bool" | "complex" | "slice") => {
            C::Opaque
        }
        ("copyreg" | "copy_reg", "_reconstructor") => C::Reconstructor,
        ("_codecs", "encode") => C::Encode,
        ("argparse", "Namespace") | ("types", "SimpleNamespace") => C::Attributes,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => C::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => C::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            C::RebuildParameter
        }
        ("torch.storage", "_load_from_bytes") => C::LoadFromBytes,
        ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => C::UntypedStorage,
        ("torch" | "torch.cuda", n) if n.ends_with("Storage") => C::Storage(match n {
            "DoubleStorage" => DType::F64,
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            "LongStorage" => DType::I64,
            "IntStorage" => DType::I32,
            "ShortStorage" => DType::I16,
            "CharStorage" => DType::I8,
            "ByteStorage" => DType::U8,
            "BoolStorage" => DType::Bool,
            _ => return None,
        }),
        ("torch", "float64" | "double") => C::Dtype(DType::F64),
        ("torch", "float32" | "float") => C::Dtype(DType::F32),
        ("torch", "float16" | "half") => C::Dtype(DType::F16),
        ("torch", "bfloat16") => C::Dtype(DType::BF16),
        ("torch", "int64" | "long") => C::Dtype(DType::I64),
        ("torch", "int32" | "int") => C::Dtype(DType::I32),
        ("torch", "int16" | "short") => C::Dtype(DType::I16),
        ("torch", "int8") => C::Dtype(DType::I8),
        ("torch", "uint8") => C::Dtype(DType::U8),
        ("torch", "bool") => C::Dtype(DType::Bool),
        ("torch", "device") | ("torch.torch_version", "TorchVersion") => C::Opaque,
        ("torch.serialization", "_get_layout") => C::Opaque,
        ("pathlib", "PosixPath" | "WindowsPath" | "Path" | "PurePosixPath") => C::Opaque,
        ("torch.jit._pickle", n) if n.starts_with("build_") || n == "restore_type_tag" => {
            C::JitBuild
        }
        _ => return None,
    })
}

/// Returns the probable kind of a file that refers to an unknown global in the Python module `module`, and advice for
/// the user.
pub(crate) fn hint(module: &str) -> &'static str {
    let root = module.split('.').next().unwrap_or(module);
    match root {
        "os" | "posix" | "nt" | "subprocess" | "builtins" | "__builtin__" | "sys" | "shutil"
        | "socket" | "runpy" | "importlib" | "pty" | "commands" | "webbrowser" | "ctypes"
        | "code" | "operator" | "functools" => {
            "this is no checkpoint content but a call into the system; do not open the file with Python either"
        }
        "torch" if module.starts_with("torch.nn") => {
            "a whole PyTorch module was pickled; save its state_dict() with torch.save and read that"
        }
        "torch" if module.starts_with("torch.optim") => {
            "an optimizer was pickled; save its state_dict() instead"
        }
        "torch_utils" | "training" | "models" | "dnnlib" => {
            "it may come from another program of the StyleGAN family; only StyleGAN2 and StyleGAN2-ADA are read"
        }
        "pandas" | "sklearn" | "scipy" | "joblib" | "xgboost" => {
            "it looks like a data-science pickle, not a network"
        }
        "tensorflow" | "keras" | "jax" | "flax" => "it looks like a pickle of another framework",
        "pytorch_lightning" | "lightning" | "omegaconf" | "diffusers" | "transformers" => {
            "it looks like a training checkpoint of another program; save the plain state_dict() and read that"
        }
        _ => {
            "if you trust its source, save the plain state_dict() as safetensors with Python and read that"
        }
    }
}
