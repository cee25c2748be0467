//! The layers of the embedded detector's network, used for training and for inference.
//!
//! A small fully convolutional network with three output levels, of one cell per 8, 16 and 32 pixels. Each cell
//! predicts the logit of a face around it and the distances to the sides of the face's box. Features of coarse levels
//! are added to finer ones, as in a feature pyramid network (Lin et al., arXiv:1612.03144); boxes are distances from
//! the cell, as in FCOS (Tian et al., arXiv:1904.01355).

/// One layer of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Name of the layer and of its result; the weights of a convolution are named `NAME.weight` and `NAME.bias`.
    pub name: &'static str,
    /// The operation and its inputs.
    pub operation: Operation,
}

/// The operation of a layer, on the results of earlier layers or on [`INPUT`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// A convolution with bias, and ReLU if [`Convolution::is_rectified`].
    Convolution(Convolution),
    /// ReLU of the sum of two different layers of the same shape.
    Add {
        /// Names of the two layers.
        inputs: [&'static str; 2],
    },
    /// Sum of a layer and one of half its height and width, which is upsampled by nearest neighbor.
    AddCoarse {
        /// Name of the layer of full size.
        fine: &'static str,
        /// Name of the layer of half the size.
        coarse: &'static str,
    },
}

/// A convolution with a square kernel and a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution {
    /// Name of the layer that is convolved, or [`INPUT`].
    pub input: &'static str,
    /// Number of input channels, then number of output channels.
    pub channels: [usize; 2],
    /// Side of the kernel in pixels.
    pub kernel: usize,
    /// Input pixels from one output pixel to the next.
    pub stride: usize,
    /// Whether ReLU is applied to the result.
    pub is_rectified: bool,
}

impl Convolution {
    /// Shape of the weights, `[out, in, kernel, kernel]`; the bias is `[out]`.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.channels[1], self.channels[0], self.kernel, self.kernel]
    }

    /// Rows and columns of zeros added on each side of the input.
    pub fn padding(&self) -> usize {
        // An even kernel overlaps its neighbors by the same amount on both sides.
        (self.kernel - self.stride.min(self.kernel)).div_ceil(2)
    }
}

impl Operation {
    /// Names of the layers that the operation reads.
    pub(super) fn inputs(&self) -> Vec<&'static str> {
        match *self {
            Self::Convolution(Convolution { input, .. }) => vec![input],
            Self::Add { inputs } => inputs.to_vec(),
            Self::AddCoarse { fine, coarse } => vec![fine, coarse],
        }
    }
}

/// Name of the input image, `[batch, 3, height, width]`: red, green, blue in `-1..=1`.
pub const INPUT: &str = "image";

/// One of the network's outputs, `[batch, 5, height / stride, width / stride]`, a grid of cells.
///
/// The five values of a cell are the logit of a face, then the logarithms of the distances from the center of the cell
/// to the left, upper, right and lower side of the face's box. Distances are in units of [`Level::unit`] pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Name of the layer that computes this output.
    pub layer: &'static str,
    /// Pixels of the input image from one cell to the next.
    pub stride: usize,
}

impl Level {
    /// The unit of the predicted distances: the distance in pixels whose predicted logarithm is 0, twice the stride.
    pub fn unit(self) -> f32 {
        2.0 * self.stride as f32
    }
}

/// The outputs of the network, fine to coarse.
pub const LEVELS: [Level; 3] = [
    Level {
        layer: "head8",
        stride: 8,
    },
    Level {
        layer: "head16",
        stride: 16,
    },
    Level {
        layer: "head32",
        stride: 32,
    },
];

/// Number of values of a cell of a [`Level`].
pub const CELL_VALUES: usize = 5;

const fn convolution(
    name: &'static str,
    input: &'static str,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    is_rectified: bool,
) -> Layer {
    Layer {
        name,
        operation: Operation::Convolution(Convolution {
            input,
            channels,
            kernel,
            stride,
            is_rectified,
        }),
    }
}

const fn add(name: &'static str, inputs: [&'static str; 2]) -> Layer {
    Layer {
        name,
        operation: Operation::Add { inputs },
    }
}

const fn add_coarse(name: &'static str, fine: &'static str, coarse: &'static str) -> Layer {
    Layer {
        name,
        operation: Operation::AddCoarse { fine, coarse },
    }
}

/// Number of channels at strides 4, 8, 16 and 32.
const C4: usize = 32;
const C8: usize = 48;
const C16: usize = 96;
const C32: usize = 128;

/// The layers in the order in which they are computed.
pub const LAYERS: [Layer; 22] = [
    convolution("stem", INPUT, [3, C4], 6, 4, true),
    convolution("down8", "stem", [C4, C8], 3, 2, true),
    convolution("block8a", "down8", [C8, C8], 3, 1, true),
    convolution("block8b", "block8a", [C8, C8], 3, 1, false),
    add("block8", ["down8", "block8b"]),
    convolution("down16", "block8", [C8, C16], 3, 2, true),
    convolution("block16a", "down16", [C16, C16], 3, 1, true),
    convolution("block16b", "block16a", [C16, C16], 3, 1, false),
    add("block16", ["down16", "block16b"]),
    convolution("down32", "block16", [C16, C32], 3, 2, true),
    convolution("block32a", "down32", [C32, C32], 3, 1, true),
    convolution("block32b", "block32a", [C32, C32], 3, 1, false),
    add("block32", ["down32", "block32b"]),
    convolution("lateral32", "block32", [C32, C8], 1, 1, false),
    convolution("lateral16", "block16", [C16, C8], 1, 1, false),
    add_coarse("sum16", "lateral16", "lateral32"),
    convolution("mix16", "sum16", [C8, C8], 3, 1, true),
    add_coarse("sum8", "block8", "mix16"),
    convolution("mix8", "sum8", [C8, C8], 3, 1, true),
    convolution("head8", "mix8", [C8, CELL_VALUES], 1, 1, false),
    convolution("head16", "mix16", [C8, CELL_VALUES], 1, 1, false),
    convolution("head32", "block32", [C32, CELL_VALUES], 1, 1, false),
];

/// The convolutions among [`LAYERS`], each with the name of its layer.
///
/// Their weights are named `NAME.weight` and `NAME.bias`.
pub fn convolutions() -> impl Iterator<Item = (&'static str, Convolution)> {
    LAYERS
        .into_iter()
        .filter_map(|layer| match layer.operation {
            Operation::Convolution(convolution) => Some((layer.name, convolution)),
            Operation::Add { .. } | Operation::AddCoarse { .. } => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_use_what_was_computed_before() {
        let mut channels = std::collections::HashMap::from([(INPUT, (3, 1))]);
        for layer in LAYERS {
            let result = match layer.operation {
                Operation::Convolution(convolution) => {
                    let Convolution {
                        input,
                        channels: [from, to],
                        stride,
                        kernel,
                        ..
                    } = convolution;
                    assert_eq!(channels[input].0, from, "{}", layer.name);
                    // A side that is a multiple of the stride shrinks by exactly the stride.
                    assert_eq!(
                        (64 * stride + 2 * convolution.padding() - kernel) / stride + 1,
                        64
                    );
                    (to, channels[input].1 * stride)
                }
                Operation::Add { inputs: [a, b] } => {
                    assert_ne!(a, b, "{}", layer.name);
                    assert_eq!(channels[a], channels[b], "{}", layer.name);
                    channels[a]
                }
                Operation::AddCoarse { fine, coarse } => {
                    let (c, stride) = channels[coarse];
                    assert_eq!(channels[fine], (c, stride / 2), "{}", layer.name);
                    channels[fine]
                }
            };
            assert_eq!(channels.insert(layer.name, result), None);
        }
        for level in LEVELS {
            assert_eq!(channels[level.layer], (CELL_VALUES, level.stride));
        }
    }
}
