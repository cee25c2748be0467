//! The weights of the Inception network: their names and shapes, reading them from a file, and generating them from a
//! seed.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::convolutions::convolutions;
use super::torchscript;
use crate::error::{Error, Result};
use crate::seeded_weights::uniform;
use crate::weight_files::{self, NamedTensors};

/// Number of classes of the Inception network's classifier.
pub const CLASSES: usize = 1008;

/// Name of the file with the converted weights in the cache.
pub const FILE_NAME: &str = "inception-2015-12-05.safetensors";

/// Address of the PyTorch state dict that pytorch-fid publishes.
pub const STATE_DICT_URL: &str = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";

/// The first 8 hexadecimal digits of the SHA-256 of the file at [`STATE_DICT_URL`].
pub const STATE_DICT_SHA256_START: &str = "6726825d";

/// The name and shape of every tensor of the Inception network, with the names of pytorch-fid's state dict.
pub fn tensor_names() -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    for (name, s) in convolutions() {
        all.push((
            format!("{name}.conv.weight"),
            vec![s.outputs, s.inputs, s.height, s.width],
        ));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            all.push((format!("{name}.bn.{part}"), vec![s.outputs]));
        }
    }
    all.push(("fc.weight".to_owned(), vec![CLASSES, 2048]));
    all.push(("fc.bias".to_owned(), vec![CLASSES]));
    all
}

/// The tensors of the network under the names of [`tensor_names`].
pub(crate) type Tensors = HashMap<String, Tensor>;

/// Whether a file contains an Inception network under pytorch-fid's or NVIDIA's tensor names.
pub(crate) fn is_inception(file: &NamedTensors) -> bool {
    torchscript::is_torchscript(file)
        || file
            .keys()
            .any(|name| name.ends_with("Conv2d_1a_3x3.conv.weight"))
}

/// Selects the weights from the tensors of a file, which have the names of pytorch-fid's state dict (possibly with the
/// prefix of a wrapper module) or of NVIDIA's TorchScript archive. `path` is the path of the file for error messages.
///
/// # Errors
/// `Weights` when tensors are missing or have the wrong shape.
pub(crate) fn pick(path: &Path, file: &NamedTensors) -> Result<Tensors> {
    let failed = |reason: String| Error::Weights {
        path: path.to_owned(),
        reason,
    };
    let renamed;
    let file = if torchscript::is_torchscript(file) {
        renamed = torchscript::renamed(file);
        &renamed
    } else {
        file
    };
    let mut tensors = HashMap::new();
    for (name, shape) in tensor_names() {
        let key = ["", "inception.", "model.", "net.", "base."]
            .into_iter()
            .map(|prefix| format!("{prefix}{name}"))
            .find(|key| file.contains_key(key));
        let Some(tensor) = key.and_then(|key| file.get(&key)) else {
            return Err(failed(format!(
                "there is no tensor `{name}`: these are not the weights of inception-2015-12-05; the files that fit are \
                 pt_inception-2015-12-05-6726825d.pth from {STATE_DICT_URL} and NVIDIA's inception-2015-12-05.pt"
            )));
        };
        if tensor.shape != shape {
            return Err(failed(format!(
                "tensor `{name}` is {:?} where {shape:?} is wanted: another Inception (torchvision's has 1000 classes)",
                tensor.shape
            )));
        }
        let values = tensor.to_f32();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
    }
    Ok(tensors)
}

/// Reads the weights from a file.
///
/// # Errors
/// `Checkpoint` when the file cannot be read, and the errors of [`pick`].
pub(crate) fn read(path: &Path) -> Result<Tensors> {
    pick(path, &weight_files::read(path)?)
}

/// Writes the weights to the safetensors file `to`.
///
/// # Errors
/// `Cache` when the file cannot be written.
pub(crate) fn write(tensors: &Tensors, to: &Path) -> Result<()> {
    let tensors = tensor_names()
        .into_iter()
        .map(|(name, _)| {
            let tensor = tensors[&name].clone();
            (name, tensor)
        })
        .collect::<Vec<_>>();
    weight_files::write(to, &tensors, &[])
}

/// Settings of deterministic random weights for the Inception network, which are equal on every machine.
///
/// Element `i` of a tensor depends only on the seed, the name of the tensor and `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeededWeights {
    /// The seed. Each seed gives different weights; `None` gives weights that differ from those of every seed.
    pub seed: Option<u32>,
    /// Whether the parameters of the batch normalizations are random too. Otherwise the batch normalizations change
    /// nothing.
    pub normalization: bool,
}

impl SeededWeights {
    /// Generates all tensors of the network, under the names of [`tensor_names`].
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tensors(self) -> Result<Tensors> {
        let mut tensors = HashMap::new();
        for (name, shape) in tensor_names() {
            let values = self.values(&name, &shape);
            tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        }
        Ok(tensors)
    }

    /// Generates the values of the tensor with this name and shape, in row-major order.
    pub fn values(self, name: &str, shape: &[usize]) -> Vec<f32> {
        let fan_in: usize = shape.iter().skip(1).product();
        let (scale, shift) = match name.rsplit_once('.') {
            Some((_, "running_var")) if self.normalization => (0.25, 1.0),
            Some((owner, "weight")) if owner.ends_with("bn") && self.normalization => (0.1, 1.0),
            Some((_, "running_var")) => (0.0, 1.0),
            Some((owner, "weight")) if owner.ends_with("bn") => (0.0, 1.0),
            Some(("fc", "weight")) => ((3.0 / fan_in as f64).sqrt(), 0.0),
            Some((_, "weight")) => ((6.0 / fan_in as f64).sqrt(), 0.0),
            _ if self.normalization || name == "fc.bias" => (0.1, 0.0),
            _ => (0.0, 0.0),
        };
        let seeded = match self.seed {
            Some(seed) => format!("{seed}:{name}"),
            None => name.to_owned(),
        };
        let n: usize = shape.iter().product();
        uniform(&seeded)
            .take(n)
            .map(|s| (s * scale + shift) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_weights_as_in_the_published_file() {
        let names = tensor_names();
        // 94 convolutions with 5 tensors each, and the classifier. The file also has a batch counter for each
        // convolution.
        assert_eq!(names.len(), 94 * 5 + 2);
        let elements: usize = names.iter().map(|(_, s)| s.iter().product::<usize>()).sum();
        assert_eq!(elements + 94, 23_885_486);
    }

    #[test]
    fn a_converted_file_holds_the_same_weights_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            folder.path().join("a.safetensors"),
            folder.path().join("b.safetensors"),
        );
        let seeded = SeededWeights {
            seed: Some(1),
            normalization: true,
        };
        let tensors = seeded.tensors().unwrap();
        let wrapped = tensors
            .iter()
            .map(|(name, t)| (format!("inception.{name}"), t.clone()));
        candle_core::safetensors::save(&wrapped.collect(), &a).unwrap();
        write(&read(&a).unwrap(), &b).unwrap();
        let again = read(&b).unwrap();
        for name in [
            "Mixed_6c.branch7x7_2.conv.weight",
            "Mixed_7c.branch1x1.bn.running_var",
            "fc.bias",
        ] {
            let of = |t: &Tensors| t[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(of(&again), of(&tensors));
        }
        assert_eq!(
            weight_files::checksum(&again).unwrap(),
            weight_files::checksum(&tensors).unwrap()
        );
        let one: HashMap<String, Tensor> =
            [("fc.bias".to_owned(), tensors["fc.bias"].clone())].into();
        candle_core::safetensors::save(&one, &a).unwrap();
        let error = read(&a).unwrap_err().to_string();
        assert!(
            error.contains("Conv2d_1a_3x3.conv.weight") && error.contains("github.com"),
            "{error}"
        );
    }

    #[test]
    fn seeded_weights_are_their_test_vectors() {
        let seeded = SeededWeights {
            seed: None,
            normalization: true,
        };
        let first = seeded.values("Conv2d_1a_3x3.conv.weight", &[32, 3, 3, 3]);
        assert_eq!(first[0].to_bits(), 0xbe1b_a1d0);
        assert_eq!(first[7].to_bits(), 0xbd7f_5ff8);
        let var = seeded.values("Conv2d_1a_3x3.bn.running_var", &[32]);
        assert_eq!(var[1].to_bits(), 0x3f51_6669);
        assert_eq!(
            seeded.values("fc.bias", &[CLASSES])[3].to_bits(),
            0xbd29_9a1a
        );
    }
}
