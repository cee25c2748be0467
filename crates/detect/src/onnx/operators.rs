//! The table of supported operators: their attributes and the inference of their output shapes.
//!
//! A file with an operator or attribute that is not in the table is refused. The allowed ranges are small enough that
//! products of several attributes cannot overflow; conditions on shapes are checked in `infer`.

use std::ops::RangeInclusive;

use rten::{OpRegistry, op_types};

use super::graph::{Attribute, Node};
use super::infer::{Infer, elementwise, grow, layout, pieces, reduce, window};

/// A supported operator: allowed numbers of inputs and outputs, allowed attributes, and shape inference.
pub(super) struct Operator {
    pub name: &'static str,
    inputs: RangeInclusive<usize>,
    outputs: RangeInclusive<usize>,
    attributes: &'static [(&'static str, Rule)],
    pub infer: Infer,
    /// Whether the operator may overwrite its input; the runtime prefers to run other nodes first, if their inputs
    /// exist.
    pub is_in_place: bool,
}

/// The kind and allowed values of an attribute.
enum Rule {
    Int(RangeInclusive<i64>),
    Ints(RangeInclusive<i64>),
    /// Any finite number.
    Float,
    Floats,
    OneOf(&'static [&'static str]),
    /// A tensor of one element.
    Scalar,
    /// The attribute has no effect and is removed.
    Ignored,
}

use Rule::{Float, Floats, Ignored, Int, Ints, OneOf, Scalar};

const AXIS: RangeInclusive<i64> = -8..=7;
/// Allowed window sizes, strides and dilations; known models have global pooling over 64 pixels and strides of 128.
const WINDOW: RangeInclusive<i64> = 1..=1024;
const PADS: RangeInclusive<i64> = 0..=1024;
const FLAG: RangeInclusive<i64> = 0..=1;
const ANY: RangeInclusive<i64> = i64::MIN..=i64::MAX;
const AUTO_PAD: &[&str] = &["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"];

const NONE: &[(&str, Rule)] = &[];
const WITH_AXIS: &[(&str, Rule)] = &[("axis", Int(AXIS))];
const CONV: &[(&str, Rule)] = &[
    ("auto_pad", OneOf(AUTO_PAD)),
    ("dilations", Ints(WINDOW)),
    ("group", Int(1..=65_536)),
    ("kernel_shape", Ints(WINDOW)),
    ("pads", Ints(PADS)),
    ("strides", Ints(WINDOW)),
];
const CONV_TRANSPOSE: &[(&str, Rule)] = &[
    ("auto_pad", OneOf(AUTO_PAD)),
    ("dilations", Ints(WINDOW)),
    ("group", Int(1..=65_536)),
    ("kernel_shape", Ints(WINDOW)),
    ("output_padding", Ints(PADS)),
    ("pads", Ints(PADS)),
    ("strides", Ints(WINDOW)),
];
const POOL: &[(&str, Rule)] = &[
    ("auto_pad", OneOf(AUTO_PAD)),
    ("ceil_mode", Int(FLAG)),
    ("count_include_pad", Int(FLAG)),
    ("dilations", Ints(1..=1)),
    ("kernel_shape", Ints(WINDOW)),
    ("pads", Ints(PADS)),
    ("storage_order", Int(0..=0)),
    ("strides", Ints(WINDOW)),
];
const REDUCE: &[(&str, Rule)] = &[
    ("axes", Ints(AXIS)),
    ("keepdims", Int(FLAG)),
    ("noop_with_empty_axes", Int(FLAG)),
];
const RESIZE: &[(&str, Rule)] = &[
    ("antialias", Int(0..=0)),
    (
        "coordinate_transformation_mode",
        OneOf(&[
            "asymmetric",
            "half_pixel",
            "align_corners",
            "pytorch_half_pixel",
        ]),
    ),
    ("cubic_coeff_a", Float),
    ("exclude_outside", Int(0..=0)),
    ("extrapolation_value", Float),
    ("keep_aspect_ratio_policy", OneOf(&["stretch"])),
    ("mode", OneOf(&["nearest", "linear", "cubic"])),
    (
        "nearest_mode",
        OneOf(&["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    ),
];

macro_rules! operators {
    ($($name:ident: $inputs:expr, $outputs:expr, $attributes:expr, $infer:path, $in_place:expr;)*) => {
        static OPERATORS: &[Operator] = &[$(Operator {
            name: stringify!($name),
            inputs: $inputs,
            outputs: $outputs,
            attributes: $attributes,
            infer: $infer,
            is_in_place: $in_place,
        }),*];

        /// The runtime's implementations of the operators in the table, and no others.
        pub(super) fn registry() -> OpRegistry {
            OpRegistry::with_ops(&[$(&op_types::$name),*])
        }
    };
}

operators! {
    // Sliding windows.
    Conv: 2..=3, 1..=1, CONV, window::conv, false;
    ConvTranspose: 2..=3, 1..=1, CONV_TRANSPOSE, window::conv_transpose, false;
    MaxPool: 1..=1, 1..=1, POOL, window::pool, false;
    AveragePool: 1..=1, 1..=1, POOL, window::pool, false;
    GlobalAveragePool: 1..=1, 1..=1, NONE, window::global_pool, false;
    // Elementwise.
    Abs: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Cast: 1..=1, 1..=1, &[("to", Int(1..=11)), ("saturate", Int(1..=1))], elementwise::cast, true;
    Ceil: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Clip: 1..=3, 1..=1, &[("min", Float), ("max", Float)], elementwise::clip, true;
    Elu: 1..=1, 1..=1, &[("alpha", Float)], elementwise::unary, true;
    Erf: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Exp: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Floor: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Gelu: 1..=1, 1..=1, &[("approximate", OneOf(&["none", "tanh"]))], elementwise::unary, true;
    HardSigmoid: 1..=1, 1..=1, &[("alpha", Float), ("beta", Float)], elementwise::unary, true;
    HardSwish: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Identity: 1..=1, 1..=1, NONE, elementwise::unary, true;
    LeakyRelu: 1..=1, 1..=1, &[("alpha", Float)], elementwise::unary, true;
    Log: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Neg: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Not: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Reciprocal: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Relu: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Round: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Sigmoid: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Sign: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Softplus: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Sqrt: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Tanh: 1..=1, 1..=1, NONE, elementwise::unary, true;
    Add: 2..=2, 1..=1, NONE, elementwise::binary, true;
    Div: 2..=2, 1..=1, NONE, elementwise::binary, true;
    Mod: 2..=2, 1..=1, &[("fmod", Int(FLAG))], elementwise::binary, true;
    Mul: 2..=2, 1..=1, NONE, elementwise::binary, true;
    Pow: 2..=2, 1..=1, NONE, elementwise::binary, true;
    PRelu: 2..=2, 1..=1, NONE, elementwise::binary, true;
    Sub: 2..=2, 1..=1, NONE, elementwise::binary, true;
    And: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    Equal: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    Greater: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    GreaterOrEqual: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    Less: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    LessOrEqual: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    Or: 2..=2, 1..=1, NONE, elementwise::comparison, false;
    Max: 1..=64, 1..=1, NONE, elementwise::variadic, false;
    Min: 1..=64, 1..=1, NONE, elementwise::variadic, false;
    Sum: 1..=64, 1..=1, NONE, elementwise::variadic, false;
    Where: 3..=3, 1..=1, NONE, elementwise::choose, false;
    // Products and reductions.
    BatchNormalization: 5..=5, 1..=1, &[
        ("epsilon", Float), ("momentum", Ignored), ("spatial", Int(1..=1)), ("training_mode", Int(0..=0)),
    ], reduce::batch_normalization, true;
    Gemm: 2..=3, 1..=1, &[
        ("alpha", Float), ("beta", Float), ("transA", Int(FLAG)), ("transB", Int(FLAG)),
    ], reduce::gemm, false;
    LogSoftmax: 1..=1, 1..=1, WITH_AXIS, reduce::softmax, true;
    MatMul: 2..=2, 1..=1, NONE, reduce::matmul, false;
    ReduceL2: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    ReduceMax: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    ReduceMean: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    ReduceMin: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    ReduceProd: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    ReduceSum: 1..=2, 1..=1, REDUCE, reduce::reduce, false;
    Softmax: 1..=1, 1..=1, WITH_AXIS, reduce::softmax, true;
    // Values rearranged to another shape, and the shape itself.
    DepthToSpace: 1..=1, 1..=1, &[("blocksize", Int(1..=64)), ("mode", OneOf(&["DCR", "CRD"]))],
        layout::depth_to_space, false;
    Flatten: 1..=1, 1..=1, &[("axis", Int(-8..=8))], layout::flatten, true;
    Reshape: 1..=2, 1..=1, &[("allowzero", Int(FLAG)), ("shape", Ints(-1..=i32::MAX as i64))], layout::reshape, true;
    Shape: 1..=1, 1..=1, &[("start", Int(AXIS)), ("end", Int(-8..=8))], layout::shape, false;
    Size: 1..=1, 1..=1, NONE, layout::size, false;
    Squeeze: 1..=2, 1..=1, &[("axes", Ints(AXIS))], layout::squeeze, true;
    Transpose: 1..=1, 1..=1, &[("perm", Ints(0..=7))], layout::transpose, false;
    Unsqueeze: 1..=2, 1..=1, &[("axes", Ints(AXIS))], layout::unsqueeze, true;
    // Splitting, indexing and joining.
    Concat: 1..=64, 1..=1, WITH_AXIS, pieces::concat, true;
    Gather: 2..=2, 1..=1, WITH_AXIS, pieces::gather, false;
    ScatterND: 3..=3, 1..=1, &[("reduction", OneOf(&["none"]))], pieces::scatter_nd, true;
    Slice: 1..=5, 1..=1, &[("axes", Ints(AXIS)), ("starts", Ints(ANY)), ("ends", Ints(ANY))], pieces::slice, true;
    Split: 1..=2, 1..=64, &[
        ("axis", Int(AXIS)), ("num_outputs", Int(1..=64)), ("split", Ints(1..=i32::MAX as i64)),
    ], pieces::split, false;
    // Larger tensors from small ones.
    ConstantOfShape: 1..=1, 1..=1, &[("value", Scalar)], grow::constant_of_shape, false;
    Expand: 2..=2, 1..=1, NONE, grow::expand, true;
    Pad: 1..=3, 1..=1, &[
        ("mode", OneOf(&["constant", "reflect", "edge", "wrap"])), ("pads", Ints(-1024..=1024)), ("value", Float),
    ], grow::pad, false;
    Range: 3..=3, 1..=1, NONE, grow::range, false;
    Resize: 1..=4, 1..=1, RESIZE, grow::resize, true;
    Tile: 2..=2, 1..=1, NONE, grow::tile, false;
    Upsample: 1..=2, 1..=1, &[("mode", OneOf(&["nearest", "linear"])), ("scales", Floats)], grow::upsample, false;
}

/// Finds the operator of a node in the table and checks the node against it.
///
/// Removes omitted inputs at the end and attributes without effect. The error names the operator or attribute that is
/// not supported.
pub(super) fn check(node: &mut Node) -> Result<&'static Operator, String> {
    let operator = OPERATORS
        .iter()
        .find(|operator| operator.name == node.operator);
    let operator = operator.ok_or_else(|| {
        let why = match node.operator.as_str() {
            "If" | "Loop" | "Scan" => " (control flow)",
            "NonMaxSuppression" | "TopK" | "EfficientNMS_TRT" => " (export it without NMS)",
            name if name.contains("Sequence") => " (sequences)",
            name if name.to_ascii_lowercase().contains("quantize") || name.contains("Integer") => {
                " (quantized: export it with float32 or float16)"
            }
            _ => "",
        };
        format!(
            "uses the operator {}{why}, which is not supported for face models",
            node.operator
        )
    })?;
    let wrong = |message: String| format!("has a {} {} {message}", node.operator, node.name);
    let trailing = node.inputs.iter().rposition(|input| !input.is_empty());
    node.inputs.truncate(trailing.map_or(0, |last| last + 1));
    for (range, arguments, what) in [
        (&operator.inputs, &node.inputs, "inputs"),
        (&operator.outputs, &node.outputs, "outputs"),
    ] {
        if !range.contains(&arguments.len()) {
            return Err(wrong(format!("with {} {what}", arguments.len())));
        }
    }
    for (name, value) in &node.attributes {
        let rule = operator.attributes.iter().find(|(known, _)| known == name);
        let (_, rule) = rule
            .ok_or_else(|| wrong(format!("with the attribute {name}, which is not supported")))?;
        if !rule.allows(value) {
            return Err(wrong(format!(
                "with {name} {}, {}",
                value.shown(),
                rule.shown()
            )));
        }
    }
    node.attributes.retain(|(name, _)| {
        let mut rules = operator.attributes.iter();
        !rules.any(|(known, rule)| known == name && matches!(rule, Ignored))
    });
    Ok(operator)
}

impl Rule {
    fn allows(&self, value: &Attribute) -> bool {
        match (self, value) {
            (Int(range), Attribute::Int(value)) => range.contains(value),
            (Ints(range), Attribute::Ints(values)) => {
                values.iter().all(|value| range.contains(value))
            }
            (Float, Attribute::Float(value)) => value.is_finite(),
            (Floats, Attribute::Floats(values)) => values.iter().all(|value| value.is_finite()),
            (OneOf(texts), Attribute::Text(text)) => texts.contains(&text.as_str()),
            (Scalar, Attribute::Tensor(tensor)) => {
                tensor.dims.len() <= 1 && tensor.dims.iter().all(|&size| size == 1)
            }
            (Ignored, _) => true,
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Int(range) | Ints(range) if *range == ANY => "which is no whole number".into(),
            Int(range) | Ints(range) => {
                format!("which is not within {} to {}", range.start(), range.end())
            }
            Float | Floats => "which is no finite number".into(),
            OneOf(texts) => format!("which is none of {}", texts.join(", ")),
            Scalar => "which is not a single number".into(),
            Ignored => String::new(),
        }
    }
}

impl Attribute {
    fn shown(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => format!("{value:?}"),
            Self::Ints(values) => format!("{values:?}"),
            Self::Floats(values) => format!("{values:?}"),
            Self::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.dims),
            Self::Other(what) => (*what).into(),
        }
    }
}
