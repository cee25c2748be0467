//! Makes latents `z` from seeds, and reads latents `z` and `w` from files.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Device, Tensor};
use networks::GeneratorConfig;
use rng::RandomState;

use crate::npz::{self, Array};

/// The latents of seeds, `[seeds, z_dim]`. Each row is `numpy.random.RandomState(seed).randn(1, z_dim)`.
pub fn z_of_seeds(seeds: &[u32], z_dim: usize, device: &Device) -> anyhow::Result<Tensor> {
    let values: Vec<f32> = seeds
        .iter()
        .flat_map(|&seed| z_of_seed(seed, z_dim))
        .collect();
    Ok(Tensor::from_vec(values, (seeds.len(), z_dim), device)?)
}

/// The latent of one seed, `z_dim` values as in [`z_of_seeds`].
pub fn z_of_seed(seed: u32, z_dim: usize) -> Vec<f32> {
    let z = RandomState::new(seed).randn(z_dim);
    z.into_iter().map(|v| v as f32).collect()
}

/// Reads latents `z` from a file, `[n, z_dim]`; the file may also hold a single one, `[z_dim]`.
pub fn read_z(path: &Path, config: &GeneratorConfig, device: &Device) -> anyhow::Result<Tensor> {
    let z = read(path, &["z"], device)?;
    let z_dim = config.z_dim;
    match *z.dims() {
        [n, dim] if dim == z_dim && n > 0 => Ok(z),
        [dim] if dim == z_dim => Ok(z.reshape((1, z_dim))?),
        _ => bail!(
            "{}: z has shape {:?}; this network takes [n, {z_dim}]",
            path.display(),
            z.dims()
        ),
    }
}

/// Reads latents from a file as `[n, num_ws, w_dim]`. The file may hold one `w` for each layer, or one `w` for all
/// layers, which is then repeated. The dimension `n` may be missing.
pub fn read_ws(path: &Path, config: &GeneratorConfig, device: &Device) -> anyhow::Result<Tensor> {
    let w = read(path, &["w", "ws", "dlatents"], device)?;
    let (num_ws, w_dim) = (config.num_ws(), config.w_dim);
    let w = match *w.dims() {
        [n, layers, dim] if dim == w_dim && n > 0 && (layers == num_ws || layers == 1) => w,
        [layers, dim] if dim == w_dim && layers == num_ws => w.unsqueeze(0)?,
        [n, dim] if dim == w_dim && n > 0 => w.unsqueeze(1)?,
        [dim] if dim == w_dim => w.reshape((1, 1, w_dim))?,
        _ => bail!(
            "{}: w has shape {:?}; this network takes [n, {num_ws}, {w_dim}] or [n, {w_dim}]",
            path.display(),
            w.dims()
        ),
    };
    Ok(w.broadcast_as((w.dim(0)?, num_ws, w_dim))?.contiguous()?)
}

/// Reads an array of a `.npz`, `.npy` or `.safetensors` file as f32. If the file has several arrays, takes the one with
/// the first of `names` that exists.
fn read(path: &Path, names: &[&str], device: &Device) -> anyhow::Result<Tensor> {
    files::protect_input(path);
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let mut arrays: Vec<Array> = match ending.as_deref() {
        Some("npz" | "npy") => npz::read(path)?,
        Some("safetensors") => {
            let file = interop::read_tensors(path)?;
            let tensors = file.tensors.into_iter();
            tensors
                .map(|(name, tensor)| Array {
                    name,
                    values: tensor.to_f32(),
                    shape: tensor.shape,
                })
                .collect()
        }
        _ => bail!(
            "{}: latents are read from .npz, .npy or .safetensors",
            path.display()
        ),
    };
    let at = names
        .iter()
        .find_map(|name| arrays.iter().position(|array| array.name == *name))
        .or((arrays.len() == 1).then_some(0));
    let Array {
        name,
        shape,
        values,
    } = arrays.swap_remove(at.with_context(|| {
        let held: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        format!(
            "{}: no array `{}` among {}",
            path.display(),
            names[0],
            held.join(", ")
        )
    })?);
    ensure!(
        values.iter().all(|v| v.is_finite()),
        "{}: `{name}` has values that are NaN or infinite",
        path.display()
    );
    Ok(Tensor::from_vec(values, shape, device)?.to_dtype(DType::F32)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numpys() {
        // Values of numpy 1.26.4: RandomState(85).randn(1, 512).
        let z = z_of_seeds(&[3, 85], 512, &Device::Cpu).unwrap();
        let z: Vec<Vec<f32>> = z.to_vec2().unwrap();
        assert_eq!(z[1][..2], [0.176_850_72, 2.377_754_2]);
        assert_eq!(z[1][511], 0.821_795_7);
    }

    #[test]
    fn shapes_of_latents() {
        let dir = tempfile::tempdir().unwrap();
        let config = GeneratorConfig {
            w_dim: 3,
            z_dim: 3,
            ..GeneratorConfig::new(8, 3)
        };
        let path_of = |shape: &[usize]| dir.path().join(format!("{shape:?}.npz"));
        let write = |shape: &[usize]| {
            let values = vec![0.5; shape.iter().product()];
            let path = path_of(shape);
            npz::write(&path, "w", shape, &values).unwrap();
            read_ws(&path, &config, &Device::Cpu)
        };
        for shape in [&[3][..], &[1, 3], &[4, 3], &[1, 1, 3], &[1, 4, 3]] {
            assert_eq!(write(shape).unwrap().dims(), [1, 4, 3]);
        }
        assert_eq!(write(&[5, 3]).unwrap().dims(), [5, 4, 3]);
        let error = write(&[1, 4, 2]).unwrap_err().to_string();
        assert!(error.contains("[1, 4, 2]"), "{error}");
        assert!(read_z(&path_of(&[1, 4, 2]), &config, &Device::Cpu).is_err());
    }
}
