//! Sizes and strides of a convolution.

use crate::simd::Isa;

/// Sizes of one group of a convolution: `[n, ci, h, w]` with `[co, ci, kh, kw]` to `[n, co, oh, ow]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvGeometry {
    /// Images.
    pub n: usize,
    /// Input channels of a group.
    pub ci: usize,
    /// Output channels of a group.
    pub co: usize,
    /// Height of the input.
    pub h: usize,
    /// Width of the input.
    pub w: usize,
    /// Height of the kernel.
    pub kh: usize,
    /// Width of the kernel.
    pub kw: usize,
    /// Pixels from one result to the next, along both axes.
    pub stride: usize,
    /// Zeros on each side of the input.
    pub padding: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Weights are stored `[ci, co, kh, kw]` in each group.
    pub swapped: bool,
    /// A factor on the weights.
    pub gain: f64,
}

/// Strides of the batches that a convolution reads and writes, so that one group of channels can be a part of them.
#[derive(Clone, Copy)]
pub(crate) struct BatchStrides {
    pub x: usize,
    pub y: usize,
}

/// The convolution that weights are prepared for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From inputs to outputs.
    Forward,
    /// From output gradients to input gradients: transposed and flipped.
    InputGradient,
}

/// Factors for each image and channel, `[n, channels padded to whole blocks]`, applied to inputs and to outputs.
#[derive(Clone, Copy, Default)]
pub struct Scales<'a> {
    /// For the inputs.
    pub input: Option<&'a [f32]>,
    /// For the outputs.
    pub output: Option<&'a [f32]>,
}

impl Scales<'_> {
    /// Panics unless there is a factor for each of `n` images and each channel, padded for `isa`.
    pub(crate) fn check(&self, isa: Isa, n: usize, channels_in: usize, channels_out: usize) {
        let len = |channels: usize| n * channels.next_multiple_of(isa.lanes());
        assert!(self.input.is_none_or(|s| s.len() == len(channels_in)));
        assert!(self.output.is_none_or(|s| s.len() == len(channels_out)));
    }
}

impl ConvGeometry {
    /// Panics unless the result is not empty and all sizes can be addressed.
    pub(crate) fn check(&self) {
        let counts = [self.ci, self.co, self.kh, self.kw, self.stride, self.groups];
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
        let padded = |side: usize| self.padding.checked_mul(2)?.checked_add(side);
        let fits = |side, kernel| padded(side).is_some_and(|padded| padded >= kernel);
        assert!(fits(self.h, self.kh) && fits(self.w, self.kw), "{self:?}");
        let product = |factors: &[Option<usize>]| {
            let counted = factors
                .iter()
                .try_fold(1usize, |product, &factor| product.checked_mul(factor?));
            counted.is_some_and(|product| product < isize::MAX as usize / 64)
        };
        let (n, groups) = (Some(self.n), Some(self.groups));
        let channels = Some(self.ci.max(self.co));
        // As large as input and result are, their padding included, and as the weights.
        let is_addressable = product(&[n, groups, channels, padded(self.h), padded(self.w)])
            && product(&[groups, channels, channels, Some(self.kh), Some(self.kw)]);
        assert!(is_addressable, "{self:?}");
    }

    /// Height of the result.
    pub fn out_height(&self) -> usize {
        (self.h + 2 * self.padding - self.kh) / self.stride + 1
    }

    /// Width of the result.
    pub fn out_width(&self) -> usize {
        (self.w + 2 * self.padding - self.kw) / self.stride + 1
    }

    pub(crate) fn x_strides(&self) -> (usize, usize) {
        let group = self.ci * self.h * self.w;
        (group, group * self.groups)
    }

    pub(crate) fn y_strides(&self) -> (usize, usize) {
        let group = self.co * self.out_height() * self.out_width();
        (group, group * self.groups)
    }

    /// The index of the first weight of one output and one input channel.
    pub(crate) fn kernel_at(&self, output: usize, channel: usize) -> usize {
        let index = if self.swapped {
            channel * self.co + output
        } else {
            output * self.ci + channel
        };
        index * self.kh * self.kw
    }

    /// The shape of the input.
    pub fn x_shape(&self) -> (usize, usize, usize, usize) {
        (self.n, self.ci * self.groups, self.h, self.w)
    }

    /// The shape of the result.
    pub fn y_shape(&self) -> (usize, usize, usize, usize) {
        let channels = self.co * self.groups;
        (self.n, channels, self.out_height(), self.out_width())
    }

    /// The shape of the weights of all groups.
    pub fn weights_shape(&self) -> (usize, usize, usize, usize) {
        let (first, second) = if self.swapped {
            (self.ci, self.co)
        } else {
            (self.co, self.ci)
        };
        (self.groups * first, second, self.kh, self.kw)
    }

    pub(crate) fn weights_len(&self) -> usize {
        self.co * self.ci * self.kh * self.kw
    }

    /// The sizes with input and output exchanged: the input gradient of a stride-1 3x3 convolution as a convolution.
    pub(crate) fn reversed(&self) -> ConvGeometry {
        ConvGeometry {
            ci: self.co,
            co: self.ci,
            h: self.out_height(),
            w: self.out_width(),
            padding: self.kh - 1 - self.padding,
            ..*self
        }
    }
}
