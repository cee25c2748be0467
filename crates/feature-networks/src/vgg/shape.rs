//! Widths and depth of the network.

/// Number of convolutions of each stage; stages are separated by a pooling by 2.
pub(super) const STAGES: [usize; 5] = [2, 2, 3, 3, 3];

/// Widths of the network, and the image size of its dense features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VggShape {
    /// Channels of each stage.
    pub channels: [usize; 5],
    /// Width of the dense layers.
    pub hidden: usize,
    /// The size that images are resized to for dense features; a multiple of 32.
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
    /// An eighth of the width, at 64 px: for deterministic random weights.
    pub const SMALL: Self = Self {
        channels: [8, 16, 32, 64, 64],
        hidden: 256,
        side: 64,
    };

    /// Channels of each convolution.
    pub(crate) fn convolutions(&self) -> impl Iterator<Item = usize> {
        let stages = self.channels.into_iter().zip(STAGES);
        stages.flat_map(|(channels, n)| std::iter::repeat_n(channels, n))
    }
}
