//! The size of the VGG16 network.

/// Number of convolutions of each of the five stages. Between stages, a max pooling halves the resolution.
pub(super) const STAGES: [usize; 5] = [2, 2, 3, 3, 3];

/// Widths of the layers of a [`Vgg16`](super::Vgg16), and the image size for its dense layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VggShape {
    /// Number of channels of each of the five stages.
    pub channels: [usize; 5],
    /// Number of outputs of each of the two dense layers.
    pub hidden: usize,
    /// Side in pixels that images are resized to when features of the dense layers are computed; a multiple of 32.
    pub side: usize,
}

impl Default for VggShape {
    fn default() -> Self {
        Self {
            channels: [64, 128, 256, 512, 512],
            hidden: 4096,
            side: 224,
        }
    }
}

impl VggShape {
    /// A small network for deterministic random weights: an eighth of the convolution channels, a sixteenth of the
    /// dense width, images of 64 px.
    pub const SMALL: Self = Self {
        channels: [8, 16, 32, 64, 64],
        hidden: 256,
        side: 64,
    };

    /// The number of channels of each of the 13 convolutions.
    pub(crate) fn convolutions(&self) -> impl Iterator<Item = usize> {
        let stages = self.channels.into_iter().zip(STAGES);
        stages.flat_map(|(channels, n)| std::iter::repeat_n(channels, n))
    }
}
