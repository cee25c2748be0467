//! The distance between images that a projection minimizes.

use std::path::PathBuf;

use anyhow::{Context, bail};
use candle_core::{Device, Tensor};
use downloads::DownloadOptions;
use feature_networks::vgg::{
    FILE_NAME, LPIPS_URL, StageFeatures, TORCHSCRIPT_URL, Vgg16, average_down, without_alpha,
};
use feature_networks::{Placement, cache_folder};

use super::pyramid::Pyramid;

/// Weight of the distance of pixels and edges when it is added to LPIPS. LPIPS alone is nearly blind to colors.
const PIXELS: f64 = 0.1;

/// Opens VGG16 with LPIPS from the user's files; without such files from the cache of `eval weights`, or `None` when it
/// has none.
///
/// # Errors
/// When a file is damaged or does not contain VGG16.
pub fn perceptual_network(files: &[PathBuf], device: &Device) -> anyhow::Result<Option<Vgg16>> {
    let network = if files.is_empty() {
        let download = DownloadOptions::from_env().ok();
        let path = download.map(|download| cache_folder(&download.cache).join(FILE_NAME));
        match path.filter(|path| path.is_file()) {
            Some(path) => Vgg16::open(&path)?,
            None => return Ok(None),
        }
    } else {
        Vgg16::from_files(files).context("--perceptual")?
    };
    Ok(Some(network.on(&Placement::f32(device))?))
}

/// The distance of images from a target: LPIPS plus 0.1 times the distance of pixels and edges ([`Pyramid::distance`]);
/// without a perceptual network, only the distance of pixels and edges.
pub struct TargetDistance {
    pyramid: Pyramid,
    perceptual: Option<(Vgg16, StageFeatures)>,
}

impl TargetDistance {
    /// The distance from the image `target`, `[1, channels, side, side]`, values -1 to 1. LPIPS is used if there is a
    /// `network`.
    ///
    /// # Errors
    /// When `network` has no LPIPS weights.
    pub fn new(target: &Tensor, network: Option<Vgg16>) -> anyhow::Result<Self> {
        let perceptual = match network {
            Some(network) if network.has_lpips() => {
                let features = network.stage_features(&network_input(target)?)?;
                Some((network, features))
            }
            Some(_) => bail!(
                "the weights of VGG16 lack those of LPIPS: add them to the cache with `eval weights --from vgg.pth` \
                 ({LPIPS_URL}), or give both files, each with --perceptual; NVIDIA's vgg16.pt has all ({TORCHSCRIPT_URL})"
            ),
            None => None,
        };
        Ok(Self {
            pyramid: Pyramid::new(target)?,
            perceptual,
        })
    }

    /// The distance of `images`, which must have the shape of the target, as a scalar that candle can differentiate.
    pub fn of(&self, images: &Tensor) -> anyhow::Result<Tensor> {
        let pixels = Pyramid::new(images)?.distance(&self.pyramid)?;
        let Some((network, target)) = &self.perceptual else {
            return Ok(pixels);
        };
        let features = network.stage_features(&network_input(images)?)?;
        let lpips = network.distance(&features, target)?.sum_all()?;
        Ok((lpips + (pixels * PIXELS)?)?)
    }

    /// A description of the distance for users.
    pub fn name(&self) -> &'static str {
        match self.perceptual {
            Some(_) => "LPIPS by VGG16, and a little of pixels and edges",
            None => "pixels and edges over a pyramid of sizes, no perceptual network",
        }
    }
}

/// Converts images from -1 to 1 to the input of VGG16: RGB, 0 to 255, reduced to 256 px if they are larger.
fn network_input(images: &Tensor) -> candle_core::Result<Tensor> {
    average_down(&without_alpha(images)?, images.dim(3)?)?.affine(127.5, 127.5)
}

#[cfg(test)]
mod tests {
    use feature_networks::vgg::VggShape;

    use super::super::target::to_tensor;
    use super::*;
    use crate::output_image::OutputImage;

    #[test]
    fn both_distances_are_named_and_zero_at_the_target() {
        let target = to_tensor(&OutputImage::blank(16, 1), &Device::Cpu).unwrap();
        let other = (&target + 0.5).unwrap();
        let vgg = || Vgg16::seeded(VggShape::SMALL, 0).unwrap();
        for network in [None, Some(vgg())] {
            let is_perceptual = network.is_some();
            let distance = TargetDistance::new(&target, network).unwrap();
            assert_eq!(distance.name().contains("LPIPS"), is_perceptual);
            let at = |x: &Tensor| distance.of(x).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(at(&target), 0.0);
            assert!(at(&other) > 0.01, "{}", at(&other));
        }
    }

    #[test]
    fn files_that_are_not_vgg16_are_refused_by_name() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/network.safetensors"
        );
        let error = perceptual_network(&[path.into()], &Device::Cpu)
            .err()
            .unwrap();
        let text = format!("{error:#}");
        assert!(
            text.contains("--perceptual") && text.contains("network.safetensors"),
            "{text}"
        );
    }
}
