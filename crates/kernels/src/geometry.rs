//! Sizes and strides of a convolution.

use crate::simd::Isa;

/// Sizes of a grouped 2-D convolution.
///
/// # Shapes
/// - input `x`: `[n, groups * ci, h, w]`
/// - weights: `[groups * co, ci, kh, kw]`, or `[groups * ci, co, kh, kw]` when `swapped`
/// - result `y`: `[n, groups * co, oh, ow]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvGeometry {
    /// Number of images.
    pub n: usize,
    /// Input channels of one group.
    pub ci: usize,
    /// Output channels of one group.
    pub co: usize,
    /// Height of the input in pixels.
    pub h: usize,
    /// Width of the input in pixels.
    pub w: usize,
    /// Height of the kernel in pixels.
    pub kh: usize,
    /// Width of the kernel in pixels.
    pub kw: usize,
    /// Input pixels from one result to the next, along both axes.
    pub stride: usize,
    /// Rows and columns of zeros added on each side of the input.
    pub padding: usize,
    /// Number of channel groups, which are convolved independently.
    pub groups: usize,
    /// Whether the weights of each group are stored as `[ci, co, kh, kw]` instead of `[co, ci, kh, kw]`.
    pub swapped: bool,
    /// Factor that the weights are multiplied by.
    pub gain: f64,
}

/// Batch strides of the two image tensors of a convolution: the number of elements from the start of one image to the
/// start of the next. A batch stride spans the channels of all groups, while a call of a kernel handles the channels of
/// one group only.
#[derive(Clone, Copy)]
pub(crate) struct BatchStrides {
    pub x: usize,
    pub y: usize,
}

/// The pass of a convolution for which weights are packed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// The convolution itself.
    Forward,
    /// The gradient with respect to the input: a convolution with the kernel transposed and flipped.
    InputGradient,
}

/// Optional factors for each image and channel, applied to the input and to the result of a convolution.
///
/// Each list is `[n, channels]`, where `channels` is the number of channels of one group rounded up to a multiple of
/// [`Isa::lanes`]; the factors of the added channels may have any value. All groups use the same factors.
#[derive(Clone, Copy, Default)]
pub struct Scales<'a> {
    /// Factors of the input's channels.
    pub input: Option<&'a [f32]>,
    /// Factors of the result's channels.
    pub output: Option<&'a [f32]>,
}

impl Scales<'_> {
    /// Panics unless each list has one factor per image and channel, with the number of channels rounded up for `isa`.
    pub(crate) fn check(&self, isa: Isa, n: usize, channels_in: usize, channels_out: usize) {
        let len = |channels: usize| n * channels.next_multiple_of(isa.lanes());
        assert!(self.input.is_none_or(|s| s.len() == len(channels_in)));
        assert!(self.output.is_none_or(|s| s.len() == len(channels_out)));
    }
}

impl ConvGeometry {
    /// Panics when a size other than `n` is 0, the kernel exceeds the padded input, or a tensor is too large to
    /// address.
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
        // Upper bounds for the padded input and the result, and for the weights.
        let is_addressable = product(&[n, groups, channels, padded(self.h), padded(self.w)])
            && product(&[groups, channels, channels, Some(self.kh), Some(self.kw)]);
        assert!(is_addressable, "{self:?}");
    }

    /// Height of the result, `oh`.
    pub fn out_height(&self) -> usize {
        (self.h + 2 * self.padding - self.kh) / self.stride + 1
    }

    /// Width of the result, `ow`.
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

    /// Index of the first weight of the kernel for one output and one input channel, in the weights of one group.
    pub(crate) fn kernel_at(&self, output: usize, channel: usize) -> usize {
        let index = if self.swapped {
            channel * self.co + output
        } else {
            output * self.ci + channel
        };
        index * self.kh * self.kw
    }

    /// Shape of the input, all groups: `(n, groups * ci, h, w)`.
    pub fn x_shape(&self) -> (usize, usize, usize, usize) {
        (self.n, self.ci * self.groups, self.h, self.w)
    }

    /// Shape of the result, all groups: `(n, groups * co, oh, ow)`.
    pub fn y_shape(&self) -> (usize, usize, usize, usize) {
        let channels = self.co * self.groups;
        (self.n, channels, self.out_height(), self.out_width())
    }

    /// Shape of the weights, all groups: `(groups * co, ci, kh, kw)`, or `(groups * ci, co, kh, kw)` when `swapped`.
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

    /// Sizes of the convolution that computes the input gradient of this convolution, which must have stride 1: input
    /// and result are exchanged.
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
