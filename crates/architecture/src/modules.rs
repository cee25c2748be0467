//! The modules of NVIDIA's PyTorch networks as data: Python classes, attributes, tensor names and shapes.

use crate::activation::Activation;
use crate::filter::filter_buffer;

/// A Python value: an attribute of a module, or an argument of its constructor.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`
    Float(f64),
    /// `str`
    Str(String),
    /// `tuple`
    Tuple(Vec<Attr>),
    /// `list`
    List(Vec<Attr>),
    /// `dict` with text keys, in the order of insertion
    Dict(Vec<(String, Attr)>),
}

macro_rules! attr_from {
    ($($ty:ty => |$v:ident| $make:expr;)*) => {
        $(impl From<$ty> for Attr { fn from($v: $ty) -> Self { $make } })*
    };
}
attr_from! {
    bool => |v| Attr::Bool(v);
    usize => |v| Attr::Int(v as i64);
    f64 => |v| Attr::Float(v);
    &str => |v| Attr::Str(v.to_owned());
    Option<f64> => |v| v.map_or(Attr::None, number);
    Option<usize> => |v| v.map_or(Attr::None, Attr::from);
    Activation => |v| v.name().into();
    Vec<usize> => |v| Attr::List(v.into_iter().map(Attr::from).collect());
}

/// A float as a Python value; a whole number becomes an `int`, as NVIDIA's code has it (`conv_clamp=256`,
/// `lr_multiplier=1`).
pub(crate) fn number(v: f64) -> Attr {
    if v.fract() == 0.0 && v.abs() < 1e15 {
        Attr::Int(v as i64)
    } else {
        Attr::Float(v)
    }
}

/// Role of a tensor in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// A weight that is trained.
    Trainable,
    /// A weight of a frozen layer (`freeze_layers`), which is not trained. NVIDIA's code registers it as a buffer.
    Frozen,
    /// A tensor that is not a weight: `w_avg`, `noise_const`, `resample_filter`.
    Buffer,
}

/// The initial values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Random numbers from the standard normal distribution, times this factor.
    Normal(f64),
    /// All elements have this value.
    Constant(f64),
    /// These values, which follow from the configuration, in row-major order (resampling filters).
    Fixed(Vec<f32>),
}

/// Name, shape, role and initialization of a tensor of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Name in NVIDIA's `state_dict()`, for example `mapping.fc0.weight`.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Role in training.
    pub kind: TensorKind,
    /// Initial values.
    pub init: Init,
}

/// Name, shape and initialization of a tensor of one module.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleTensor {
    /// Name without the path of the module: `weight`, `bias`, ...
    pub name: &'static str,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Initial values.
    pub init: Init,
}

/// A module (`torch.nn.Module`) of NVIDIA's PyTorch code: its class, constructor arguments, attributes, tensors and
/// submodules.
#[derive(Debug, Clone)]
pub struct Module {
    /// Name of the attribute of the parent module that holds this one; empty for the network itself.
    pub name: String,
    /// Name of the Python class.
    pub class: &'static str,
    /// Positional arguments of the constructor.
    pub init_args: Vec<Attr>,
    /// Keyword arguments of the constructor.
    pub init_kwargs: Vec<(String, Attr)>,
    /// Attributes of the object other than tensors and submodules.
    pub attrs: Vec<(String, Attr)>,
    /// The parameters of this module, without those of its submodules.
    pub params: Vec<ModuleTensor>,
    /// The buffers of this module, without those of its submodules.
    pub buffers: Vec<ModuleTensor>,
    /// The submodules.
    pub children: Vec<Module>,
    /// Whether the parameters of this module are frozen, that is, not trained.
    pub is_frozen: bool,
}

/// Named Python values in a fixed order.
pub(crate) type Pairs = Vec<(String, Attr)>;

/// `pairs! { name: value, ... }` builds [`Pairs`] from identifiers and values that convert to [`Attr`].
macro_rules! pairs {
    ($($key:ident : $value:expr),* $(,)?) => {
        vec![$((stringify!($key).to_owned(), $crate::modules::Attr::from($value))),*]
    };
}
pub(crate) use pairs;

impl ModuleTensor {
    pub(crate) fn new(name: &'static str, shape: &[usize], init: Init) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            init,
        }
    }
}

impl Module {
    pub(crate) fn new(name: impl Into<String>, class: &'static str, attrs: Pairs) -> Self {
        Self {
            name: name.into(),
            class,
            init_args: Vec::new(),
            init_kwargs: Vec::new(),
            attrs,
            params: Vec::new(),
            buffers: Vec::new(),
            children: Vec::new(),
            is_frozen: false,
        }
    }

    pub(crate) fn init(mut self, args: &[usize], kwargs: Pairs) -> Self {
        self.init_args = args.iter().map(|&a| a.into()).collect();
        self.init_kwargs = kwargs;
        self
    }

    /// Adds the buffer `resample_filter` for these taps, before the other buffers.
    pub(crate) fn filter(mut self, taps: &[f64]) -> Self {
        let (shape, values) = filter_buffer(taps);
        let buffer = ModuleTensor::new("resample_filter", &shape, Init::Fixed(values));
        self.buffers.insert(0, buffer);
        self
    }

    /// All tensors of this module and its submodules, in the order of `state_dict()` in NVIDIA's PyTorch code: module
    /// by module, parameters before buffers. In a frozen module, the parameters come after its other buffers.
    pub fn state_dict(&self) -> Vec<TensorSpec> {
        let mut tensors = Vec::new();
        self.visit("", &mut |module, prefix| {
            let params = module.specs(prefix, false);
            let buffers = module.specs(prefix, true);
            let (first, second) = match module.is_frozen {
                true => (buffers, params),
                false => (params, buffers),
            };
            tensors.extend(first);
            tensors.extend(second);
        });
        tensors
    }

    /// All tensors of this module and its submodules: first the parameters of all modules, frozen or not, then the
    /// buffers of all modules.
    pub fn params_and_buffers(&self) -> Vec<TensorSpec> {
        let (mut params, mut buffers) = (Vec::new(), Vec::new());
        self.visit("", &mut |module, prefix| {
            params.extend(module.specs(prefix, false));
            buffers.extend(module.specs(prefix, true));
        });
        params.extend(buffers);
        params
    }

    /// The buffers (if `is_buffer`) or parameters of this module without its submodules; `prefix` is put before their
    /// names.
    fn specs(&self, prefix: &str, is_buffer: bool) -> Vec<TensorSpec> {
        let (tensors, kind) = match (is_buffer, self.is_frozen) {
            (true, _) => (&self.buffers, TensorKind::Buffer),
            (false, true) => (&self.params, TensorKind::Frozen),
            (false, false) => (&self.params, TensorKind::Trainable),
        };
        let specs = tensors.iter().map(|tensor| TensorSpec {
            name: format!("{prefix}{}", tensor.name),
            shape: tensor.shape.clone(),
            kind,
            init: tensor.init.clone(),
        });
        specs.collect()
    }

    /// Calls `f` for this module and all modules inside it, parents first. `f` gets the module and the prefix of its
    /// tensor names, such as `synthesis.b4.`.
    fn visit(&self, prefix: &str, f: &mut impl FnMut(&Module, &str)) {
        f(self, prefix);
        for child in &self.children {
            child.visit(&format!("{prefix}{}.", child.name), f);
        }
    }
}
