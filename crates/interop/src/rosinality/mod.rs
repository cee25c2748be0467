//! `.pt` files of rosinality/stylegan2-pytorch, in both directions.
//!
//! That program supports one architecture (skip generator, residual discriminator, no labels), so names map one to one:
//! convolutions have a leading axis of 1, `noise_strength` has shape `[1]`, blur kernels are scaled by the upsampling.

mod read;
mod write;

use indexmap::IndexMap;

pub(crate) use read::{discriminator, generator};
pub(crate) use write::write;

use crate::error::{Error, Result, layout};
use crate::tensor::Tensor;

type Tensors = IndexMap<String, Tensor>;

/// Key of that program for the average `w` of `g_ema`.
pub(crate) const LATENT_AVG: &str = "latent_avg";
/// Key in our files for the average `w` of `g`, when it is not that of `g_ema`.
pub(crate) const LATENT_AVG_OF_G: &str = "latent_avg_of_g";

fn unknown(name: &str) -> Error {
    layout!(
        "`{}` is no tensor of rosinality/stylegan2-pytorch",
        name.chars().take(80).collect::<String>()
    )
}

/// The blur kernel as that program stores it.
fn kernel(gain: f32) -> Result<Tensor> {
    let (shape, values) = architecture::filter_buffer(&architecture::DEFAULT_FILTER);
    Tensor::from_f32(shape, &values.iter().map(|v| v * gain).collect::<Vec<_>>())
}
