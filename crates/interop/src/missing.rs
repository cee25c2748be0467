//! Fills in the buffers of a generator that a file may lack: `w_avg` (the average of `w`) and `noise_const` (the fixed
//! noise map of each layer).

use architecture::NetworkKind;
use indexmap::IndexMap;

use crate::checkpoint::{NOISE, Network};
use crate::error::Result;
use crate::infer::{self, Stated};
use crate::tensor::Tensor;
use crate::w_avg::{self, SplitMix};

type Tensors = IndexMap<String, Tensor>;

/// Builds a generator. A missing `mapping.w_avg` is estimated (unless the network has labels), and each missing
/// `noise_const` is drawn with a fixed seed; `notes` say so, using `key` as the name of the network, and
/// [`Network::assumed`] records the drawn noise.
///
/// # Errors
/// As [`infer::network`].
pub(crate) fn generator(
    mut tensors: Tensors,
    key: &str,
    notes: &mut Vec<String>,
    stated: Stated<'_>,
) -> Result<Network> {
    let is_generator = tensors.contains_key("mapping.fc0.weight");
    // With labels, w depends on the label, so an average over random z alone would be wrong.
    if is_generator
        && !tensors.contains_key("mapping.w_avg")
        && !tensors.contains_key("mapping.embed.weight")
    {
        let average = w_avg::estimate(&tensors)?;
        tensors.insert("mapping.w_avg".into(), average);
        notes.push(format!(
            "{key} has no average of w (latent_avg): w_avg is the mean of {} mapped latents",
            w_avg::SAMPLES
        ));
    }
    let n_missing = fill_noise(&mut tensors)?;
    let mut network = infer::network(NetworkKind::Generator, tensors, stated)?;
    if n_missing > 0 {
        notes.push(format!(
            "{key} has no stored noise for {n_missing} of its layers: noise maps were drawn with seed 0, as rosinality's \
             program draws them when a file has none, so that images with stored noise (const) differ from those of \
             other programs; without noise (none) and with new noise (random) nothing is missing"
        ));
        network.assumed.push(format!("{NOISE} = drawn with seed 0"));
    }
    Ok(network)
}

/// Inserts `average`, an average of `w` that the file stores outside this network, as the tensor `mapping.w_avg`. If
/// its shape does not fit, it is left out and a note says so, using `key` as the name of the network.
pub(crate) fn add_average(
    tensors: &mut Tensors,
    average: &Tensor,
    key: &str,
    notes: &mut Vec<String>,
) {
    match one_average(average, tensors) {
        Some(row) => {
            tensors.insert("mapping.w_avg".into(), row);
        }
        None => notes.push(format!(
            "the average of w beside {key} has shape {:?} and is not one row of the width of its mapping network: it was \
             left out",
            average.shape
        )),
    }
}

/// Returns `average` as one row `[w_dim]`. `average` must hold this row once, or several times as encoders store it
/// (one copy per layer); otherwise returns `None`.
fn one_average(average: &Tensor, tensors: &Tensors) -> Option<Tensor> {
    let shape = &tensors.get("synthesis.b4.conv1.affine.weight")?.shape;
    let width = *shape.get(1).filter(|width| **width > 0)?;
    let values = average.to_f32();
    let (first, rest) = values.split_at_checked(width)?;
    let is_repeated = rest.chunks(width).all(|row| row == first);
    is_repeated
        .then(|| Tensor::from_f32(vec![width], first).ok())
        .flatten()
}

/// Draws a `noise_const` of standard normal values for each layer that has a `noise_strength` and no `noise_const`.
/// Returns the number of maps drawn.
fn fill_noise(tensors: &mut Tensors) -> Result<usize> {
    let mut missing = Vec::new();
    for name in tensors.keys() {
        let Some(layer) = name.strip_suffix(".noise_strength") else {
            continue;
        };
        // Layers that no generator has get no map; `infer` refuses them later.
        let side = layer
            .strip_prefix("synthesis.b")
            .and_then(|rest| rest.split_once('.'))
            .filter(|(side, conv)| {
                matches!(*conv, "conv0" | "conv1") && !side.starts_with(['0', '+'])
            })
            .and_then(|(side, _)| side.parse::<usize>().ok())
            .filter(|side| side.is_power_of_two() && *side <= 4096);
        let noise = format!("{layer}.noise_const");
        if let (Some(side), false) = (side, tensors.contains_key(&noise)) {
            missing.push((noise, side));
        }
    }
    for (name, side) in &missing {
        // The seed depends only on the layer, so a map does not depend on which others are missing.
        let layer = u64::from(name.contains(".conv1."));
        let mut random = SplitMix((*side as u64) << 32 | layer);
        let values: Vec<f32> = (0..side * side).map(|_| random.normal() as f32).collect();
        tensors.insert(name.clone(), Tensor::from_f32(vec![*side, *side], &values)?);
    }
    Ok(missing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_layers_of_generators_get_noise() {
        let names = [
            "synthesis.b8.conv0",
            "synthesis.b4096.x",
            "synthesis.b04096.conv1",
            "synthesis.b12.conv1",
            "synthesis.b8192.conv1",
        ];
        let mut tensors = Tensors::new();
        for name in names {
            let strength = Tensor::from_f32(Vec::new(), &[1.0]).unwrap();
            tensors.insert(format!("{name}.noise_strength"), strength);
        }
        assert_eq!(fill_noise(&mut tensors).unwrap(), 1);
        let noise = &tensors["synthesis.b8.conv0.noise_const"];
        assert_eq!(noise.shape, [8, 8]);
        assert_eq!(tensors.len(), names.len() + 1);
    }

    #[test]
    fn an_average_is_one_row_or_none() {
        let average = |width: usize, values: &[f32]| {
            let weight = Tensor::from_f32(vec![1, width], &vec![0.0; width]).unwrap();
            let name = "synthesis.b4.conv1.affine.weight".to_owned();
            let values = Tensor::from_f32(vec![values.len()], values).unwrap();
            one_average(&values, &Tensors::from_iter([(name, weight)]))
        };
        let row = average(2, &[1.0, 2.0, 1.0, 2.0]);
        assert_eq!(row, Some(Tensor::from_f32(vec![2], &[1.0, 2.0]).unwrap()));
        assert_eq!(average(2, &[1.0, 2.0, 3.0, 2.0]), None);
        // Shapes that only damaged files have.
        assert_eq!(average(3, &[1.0, 2.0]), None);
        assert_eq!(average(0, &[1.0]), None);
    }
}
