//! Reads and writes `.pt` files of rosinality/stylegan2-pytorch.
//!
//! That program supports one architecture (skip generator, residual discriminator, no labels), so its tensor names map
//! one to one to NVIDIA's. Some tensors differ in shape: for example, the weights of modulated convolutions have a
//! leading axis of 1, and `noise_strength` has shape `[1]`. The program also stores its fixed blur kernels, multiplied
//! by a gain: 4 in the generator, for upsampling by 2, and 1 in the discriminator.

mod read;
mod write;

use indexmap::IndexMap;

pub(crate) use read::{discriminator, generator};
pub(crate) use write::write;

use crate::error::{Error, Result, layout};
use crate::tensor::Tensor;

type Tensors = IndexMap<String, Tensor>;

/// Top-level key of the average of `w` of `g_ema`, in files of rosinality/stylegan2-pytorch.
pub(crate) const LATENT_AVG: &str = "latent_avg";
/// Top-level key of the average of `w` of `g` in `.pt` files written here. rosinality's program does not read it.
pub(crate) const LATENT_AVG_OF_G: &str = "latent_avg_of_g";

fn unknown(name: &str) -> Error {
    layout!(
        "`{}` is no tensor of rosinality/stylegan2-pytorch",
        name.chars().take(80).collect::<String>()
    )
}

/// The blur kernel as rosinality's program stores it: the normalized outer product of `[1, 3, 3, 1]`, times `gain`.
fn kernel(gain: f32) -> Result<Tensor> {
    let (shape, values) = architecture::filter_buffer(&architecture::DEFAULT_FILTER);
    Tensor::from_f32(shape, &values.iter().map(|v| v * gain).collect::<Vec<_>>())
}
