//! The reference's modules as data: classes, attributes, tensor names and shapes.

use crate::activation::Activation;
use crate::filter::filter_buffer;

/// A Python value: an attribute or an argument of a module.
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
    /// `dict`, in the order of insertion
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

/// A whole number as an int, as the reference writes it (`conv_clamp=256`, `lr_multiplier=1`).
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
    /// Learned.
    Trainable,
    /// A weight of a layer that was frozen (`freeze_layers`). The reference keeps it among the buffers.
    Frozen,
    /// Not learned: `w_avg`, `noise_const`, `resample_filter`.
    Buffer,
}

/// Initial values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Standard normal numbers times this factor.
    Normal(f64),
    /// The same value everywhere.
    Constant(f64),
    /// Values that follow from the configuration (resampling filters).
    Fixed(Vec<f32>),
}

/// A tensor of a network, without its values.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// The reference's name, for example `mapping.fc0.weight`.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Role in training.
    pub kind: TensorKind,
    /// Initial values.
    pub init: Init,
}

/// A tensor of one module, by its name inside the module.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleTensor {
    /// Name inside the module: `weight`, `bias`, ...
    pub name: &'static str,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Initial values.
    pub init: Init,
}

/// One of the reference's modules, with its tensors and the modules inside it.
#[derive(Debug, Clone)]
pub struct Module {
    /// Attribute name in the module above; empty for the network itself.
    pub name: String,
    /// Name of the Python class.
    pub class: &'static str,
    /// Positional arguments of the constructor.
    pub init_args: Vec<Attr>,
    /// Keyword arguments of the constructor.
    pub init_kwargs: Vec<(String, Attr)>,
    /// Plain attributes of the object.
    pub attrs: Vec<(String, Attr)>,
    /// Parameters.
    pub params: Vec<ModuleTensor>,
    /// Buffers.
    pub buffers: Vec<ModuleTensor>,
    /// The modules inside this one.
    pub children: Vec<Module>,
    /// Whether the parameters are frozen in training.
    pub is_frozen: bool,
}

/// Named Python values, in order.
pub(crate) type Pairs = Vec<(String, Attr)>;

/// `pairs! { name: value, ... }`: names and values as [`Pairs`].
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

    /// Adds the `resample_filter` buffer.
    pub(crate) fn filter(mut self, taps: &[f64]) -> Self {
        let (shape, values) = filter_buffer(taps);
        let buffer = ModuleTensor::new("resample_filter", &shape, Init::Fixed(values));
        self.buffers.insert(0, buffer);
        self
    }

    /// All tensors in the order of the reference's `state_dict()`: module by module, parameters before buffers; frozen
    /// parameters count as buffers.
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

    /// All tensors: the parameters of all modules, frozen or not, then the buffers of all modules.
    pub fn params_and_buffers(&self) -> Vec<TensorSpec> {
        let (mut params, mut buffers) = (Vec::new(), Vec::new());
        self.visit("", &mut |module, prefix| {
            params.extend(module.specs(prefix, false));
            buffers.extend(module.specs(prefix, true));
        });
        params.extend(buffers);
        params
    }

    /// The tensors of this module alone.
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

    /// Calls `f` with each module, parents first, and the prefix of its tensor names.
    fn visit(&self, prefix: &str, f: &mut impl FnMut(&Module, &str)) {
        f(self, prefix);
        for child in &self.children {
            child.visit(&format!("{prefix}{}.", child.name), f);
        }
    }
}
