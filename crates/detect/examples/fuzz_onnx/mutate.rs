//! Numbered, reproducible mutations of an ONNX file.

use test_support::fuzz::Rng;

use super::tree::{self, Content, Field};

/// An ONNX file and its messages; no tree when the file could not be parsed.
pub struct Model {
    bytes: Vec<u8>,
    tree: Option<Vec<Field>>,
}

/// A replacement for the number `old`: an extreme value, a power of two, or a value near `old`.
fn number(random: &mut Rng, old: u64) -> u64 {
    let shift = random.below(64) as u32;
    match random.below(12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => i64::MAX as u64,
        4 => i64::MIN as u64,
        5 => 1 << shift,
        6 => (1u64 << shift).wrapping_sub(1),
        7 => (1u64 << shift).wrapping_neg(),
        8 => old.wrapping_add(1),
        9 => old.wrapping_sub(1),
        10 => old.wrapping_mul(2 + random.next_bits() % 1000),
        _ => random.next_bits() % 300,
    }
}

fn float(random: &mut Rng) -> f32 {
    let values = [
        0.0,
        -1.0,
        1e-30,
        1e30,
        0.5,
        2.0,
        1e6,
        f32::NAN,
        f32::INFINITY,
    ];
    values[random.below(values.len())]
}

/// Names that replace operator names: operators that the detector supports, and some that it does not.
const OPERATORS: &[&str] = &[
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "If",
    "Loop",
    "MatMul",
    "Max",
    "MaxPool",
    "Mul",
    "Pad",
    "Pow",
    "QLinearConv",
    "Range",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "ScatterND",
    "Shape",
    "Sigmoid",
    "Size",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
    "Where",
];

impl Model {
    pub fn new(bytes: Vec<u8>) -> Self {
        let tree = tree::read(&bytes);
        Self { bytes, tree }
    }

    /// The file with mutation `index`.
    pub fn mutated(&self, index: u64) -> Vec<u8> {
        let mut random = Rng(index.wrapping_mul(0x5851_f42d_4c95_7f2d));
        random.next_bits();
        match &self.tree {
            Some(tree) if random.below(2) == 0 => {
                let mut tree = tree.clone();
                for _ in 0..1 + random.below(3) {
                    change(&mut tree, &mut random);
                }
                tree::write(&tree)
            }
            _ => self.scrambled(&mut random),
        }
    }

    fn scrambled(&self, random: &mut Rng) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let n = bytes.len();
        // Weights fill most of a file, so half of the positions are chosen near its ends, where the other messages are.
        let place = |random: &mut Rng| match random.below(4) {
            0 => random.below(n.min(20_000)),
            1 => n - 1 - random.below(n.min(20_000)),
            _ => random.below(n),
        };
        match random.below(8) {
            0 => {
                let end = place(random);
                bytes.truncate(end);
            }
            1 => {
                let (from, to) = (place(random), place(random));
                let length = (1 + random.below(64)).min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + length, to);
            }
            2 => {
                let at = place(random);
                let length = (1 + random.below(16)).min(bytes.len() - at);
                bytes.drain(at..at + length);
            }
            3 => {
                let at = place(random);
                bytes[at] = [0x00, 0x7f, 0x80, 0xff][random.below(4)];
            }
            _ => {
                for _ in 0..1 + random.below(8) {
                    let at = place(random);
                    bytes[at] ^= 1 << random.below(8);
                }
            }
        }
        bytes
    }
}

/// Changes one field, found by a random walk down the tree.
fn change(fields: &mut Vec<Field>, random: &mut Rng) {
    if fields.is_empty() {
        return;
    }
    let at = random.below(fields.len());
    let name = |fields: &[Field]| {
        let mut texts = fields.iter().filter(|field| field.number == 1);
        texts.find_map(|field| match &field.content {
            Content::Bytes(text) => Some(text.clone()),
            _ => None,
        })
    };
    let other = name(fields);
    match &mut fields[at].content {
        // In one of 20 cases remove, duplicate or swap a field instead of changing its content.
        _ if random.below(20) == 0 => match random.below(3) {
            0 => drop(fields.remove(at)),
            1 => {
                let copy = fields[at].clone();
                fields.insert(random.below(fields.len()), copy);
            }
            _ => {
                let to = random.below(fields.len());
                fields.swap(at, to);
            }
        },
        Content::Message(inner) => change(inner, random),
        Content::Varint(value) => *value = number(random, *value),
        Content::Packed(values) | Content::Raw(values) if !values.is_empty() => {
            let at = random.below(values.len());
            match random.below(8) {
                0 => drop(values.remove(at)),
                1 => values.insert(at, random.next_bits() % 9),
                _ => values[at] = number(random, values[at]),
            }
        }
        Content::Fixed32(bits) => *bits = float(random).to_le_bytes(),
        Content::Fixed64(bits) => *bits = f64::from(float(random)).to_le_bytes(),
        Content::Bytes(text) if fields_are_texts(text) => {
            let choice = random.below(3);
            *text = match (choice, other) {
                (0, Some(other)) => other,
                (1, _) => Vec::new(),
                _ => OPERATORS[random.below(OPERATORS.len())].into(),
            };
        }
        // Raw floats, such as the scales of a Resize or weights: replace one of them.
        Content::Bytes(data) if data.len() >= 4 => {
            let at = random.below(data.len() / 4) * 4;
            data[at..at + 4].copy_from_slice(&float(random).to_le_bytes());
        }
        _ => {}
    }
}

fn fields_are_texts(text: &[u8]) -> bool {
    !text.is_empty() && text.len() < 200 && text.iter().all(|byte| (b' '..=b'~').contains(byte))
}
