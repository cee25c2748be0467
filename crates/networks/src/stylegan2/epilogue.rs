//! The last layers of the discriminator.

use architecture::{Architecture, DiscriminatorConfig};
use candle_nn::VarBuilder;
use ops::Dual;

use super::minibatch_stddev::minibatch_stddev;
use crate::conv::{Conv, ConvOptions};
use crate::dense::{Dense, DenseOptions};
use crate::error::Result;

/// The last layers of a discriminator, at 4 px. In the `skip` architecture, and in a discriminator for images of 4 px,
/// they also read the image.
pub(crate) struct DiscriminatorEpilogue {
    from_rgb: Option<Conv>,
    mbstd: Option<(Option<usize>, usize)>,
    conv: Conv,
    fc: Dense,
    out: Dense,
}

impl DiscriminatorEpilogue {
    pub fn new(vb: &VarBuilder<'_>, config: &DiscriminatorConfig) -> Result<Self> {
        let channels = config.channels(4);
        let activation = config.epilogue_activation;
        // At a resolution of 4 px there is no other block, so the epilogue reads the image.
        let reads_image = config.architecture == Architecture::Skip || config.img_resolution == 4;
        let from_rgb = reads_image
            .then(|| {
                let options = ConvOptions {
                    kernel_size: 1,
                    activation,
                    ..Default::default()
                };
                Conv::new(&vb.pp("fromrgb"), config.img_channels, channels, &options)
            })
            .transpose()?;
        let options = ConvOptions {
            activation,
            conv_clamp: config.conv_clamp,
            ..Default::default()
        };
        let in_channels = channels + config.mbstd_num_channels;
        let conv = Conv::new(&vb.pp("conv"), in_channels, channels, &options)?;
        let options = DenseOptions {
            activation,
            ..Default::default()
        };
        let fc = Dense::new(&vb.pp("fc"), channels * 16, channels, &options)?;
        let out = Dense::new(
            &vb.pp("out"),
            channels,
            config.cmap_dim.max(1),
            &DenseOptions::default(),
        )?;
        Ok(Self {
            from_rgb,
            mbstd: (config.mbstd_num_channels > 0)
                .then_some((config.mbstd_group_size, config.mbstd_num_channels)),
            conv,
            fc,
            out,
        })
    }

    /// Computes the logits from the features and the image at 4 px. `x` is `None` if there is no other block; `img` is
    /// used only if the epilogue reads the image (see [`DiscriminatorEpilogue`]). `observe` receives the output of the
    /// minibatch standard deviation layer as `b4.mbstd_out`.
    ///
    /// # Shapes
    /// - `x`: `[batch, channels, 4, 4]`
    /// - `img`: `[batch, img_channels, 4, 4]`
    /// - `cmap`: `[batch, cmap_dim]`, or `None` without labels
    /// - result: `[batch, 1]`
    pub fn forward(
        &self,
        x: Option<Dual>,
        img: Option<Dual>,
        cmap: Option<&Dual>,
        observe: &mut dyn FnMut(&str, &Dual),
    ) -> Result<Dual> {
        let y = match (&self.from_rgb, &img) {
            (Some(from_rgb), Some(img)) => Some(from_rgb.forward(img, 1.0)?),
            _ => None,
        };
        let mut x = match (x, y) {
            (Some(x), Some(y)) => x.add(&y)?,
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => unreachable!("features come from a block or from fromrgb"),
        };
        if let Some((group_size, num_channels)) = self.mbstd {
            x = minibatch_stddev(&x, group_size, num_channels)?;
            observe("b4.mbstd_out", &x);
        }
        let x = self.conv.forward(&x, 1.0)?;
        let (batch, channels, height, width) = x.primal.dims4()?;
        let x = x.reshape((batch, channels * height * width))?;
        let x = self.out.forward(&self.fc.forward(&x)?)?;
        match cmap {
            Some(cmap) => {
                let scale = 1.0 / (cmap.primal.dim(1)? as f64).sqrt();
                Ok(x.mul(cmap)?.sum_keepdim(&[1])?.scale(scale)?)
            }
            None => Ok(x),
        }
    }
}
