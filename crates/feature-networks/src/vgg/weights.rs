//! The weights of VGG16 and LPIPS: their names in published files, the converted file in the cache, and generating them
//! from a seed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::shape::VggShape;
use crate::error::{Error, Result};
use crate::seeded_weights::uniform;
use crate::weight_files::{self, ConvertedWeights, NamedTensors};

/// Name of the file with the converted weights in the cache.
pub const FILE_NAME: &str = "vgg16.safetensors";

/// Address of NVIDIA's TorchScript archive `vgg16.pt`, which contains convolutions, dense layers and the linear weights
/// of LPIPS.
pub const TORCHSCRIPT_URL: &str =
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/vgg16.pt";

/// SHA-256 in hexadecimal of the file at [`TORCHSCRIPT_URL`].
pub const TORCHSCRIPT_SHA256: &str =
    "b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3";

/// Address of torchvision's VGG16, which contains convolutions and dense layers.
pub const TORCHVISION_URL: &str = "https://download.pytorch.org/models/vgg16-397923af.pth";

/// Address of the linear weights of LPIPS 0.1 for torchvision's VGG16.
pub const LPIPS_URL: &str =
    "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth";

/// The origin of the weights of a [`Vgg16`](super::Vgg16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VggSource {
    /// NVIDIA's `vgg16.pt`, which the metrics of NVIDIA's StyleGAN2-ADA use.
    Nvidia,
    /// torchvision's VGG16. LPIPS is equal to that of NVIDIA's weights within 1e-5, but precision and recall differ
    /// (for FFHQ, 67.7 % instead of 62.9 %).
    Torchvision,
    /// Deterministic random weights.
    Seed,
}

impl VggSource {
    /// The name in weight files and in results: `nvidia`, `torchvision` or `seed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Torchvision => "torchvision",
            Self::Seed => "seed",
        }
    }
}

/// The tensors of the network under the names of NVIDIA's `vgg16.pt`, which the file in the cache uses too:
/// `layers.conv1.weight`, `layers.fc1.bias`, `lpips0`, ...
pub(crate) type Tensors = HashMap<String, Tensor>;

/// Indices of the 13 convolutions in the module `features` of torchvision's VGG16.
const FEATURES: [usize; 13] = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];

/// For each tensor of the network: NVIDIA's name, its names in other files, its shape.
fn slots(shape: &VggShape) -> Vec<(String, Vec<String>, Vec<usize>)> {
    let mut all = Vec::new();
    let mut inputs = 3;
    for (i, outputs) in shape.convolutions().enumerate() {
        for (part, dims) in [
            ("weight", vec![outputs, inputs, 3, 3]),
            ("bias", vec![outputs]),
        ] {
            let other = format!("features.{}.{part}", FEATURES[i]);
            all.push((format!("layers.conv{}.{part}", i + 1), vec![other], dims));
        }
        inputs = outputs;
    }
    let last = shape.side / 32;
    let mut inputs = inputs * last * last;
    for (i, at) in [0, 3].into_iter().enumerate() {
        for (part, dims) in [
            ("weight", vec![shape.hidden, inputs]),
            ("bias", vec![shape.hidden]),
        ] {
            let other = format!("classifier.{at}.{part}");
            all.push((format!("layers.fc{}.{part}", i + 1), vec![other], dims));
        }
        inputs = shape.hidden;
    }
    for (i, channels) in shape.channels.into_iter().enumerate() {
        let others = vec![
            format!("lin{i}.model.1.weight"),
            format!("lins.{i}.model.1.weight"),
        ];
        all.push((format!("lpips{i}"), others, vec![channels]));
    }
    all
}

/// Whether a file contains VGG16 or the linear weights of LPIPS, judged by tensor names.
pub(crate) fn is_part(file: &NamedTensors) -> bool {
    [
        "layers.conv1.weight",
        "features.0.weight",
        "lin0.model.1.weight",
        "lins.0.model.1.weight",
    ]
    .iter()
    .any(|name| file.contains_key(*name))
}

/// Selects the tensors of the network from published files. Tensors that no file has are taken from `earlier`, the
/// content of the file in the cache.
///
/// # Errors
/// `Weights` when a tensor has the wrong shape, or convolutions are missing.
pub(crate) fn gather(
    parts: &[(PathBuf, NamedTensors)],
    earlier: Option<(Tensors, VggSource)>,
    shape: &VggShape,
) -> Result<(Tensors, VggSource)> {
    let (mut tensors, mut source) = match earlier {
        Some((tensors, source)) => (tensors, Some(source)),
        None => (Tensors::new(), None),
    };
    for (path, file) in parts {
        if file.contains_key("layers.conv1.weight") {
            source = Some(VggSource::Nvidia);
        } else if file.contains_key("features.0.weight") {
            source = Some(VggSource::Torchvision);
        }
        for (name, others, dims) in slots(shape) {
            let Some(tensor) = [&name].into_iter().chain(&others).find_map(|n| file.get(n)) else {
                continue;
            };
            if tensor.len() != dims.iter().product::<usize>()
                || (dims.len() > 1 && tensor.shape != dims)
            {
                return Err(Error::Weights {
                    path: path.clone(),
                    reason: format!(
                        "tensor `{name}` is {:?} where {dims:?} is wanted: not VGG16",
                        tensor.shape
                    ),
                });
            }
            let values = Tensor::from_vec(tensor.to_f32(), dims, &Device::Cpu)?;
            tensors.insert(name, values);
        }
    }
    match source {
        Some(source) if has(&tensors, "layers.conv", shape) => Ok((tensors, source)),
        _ => {
            let (path, _) = &parts[0];
            Err(Error::Weights {
                path: path.clone(),
                reason: format!(
                    "the convolutions of VGG16 are missing: give them in the same call, beside {} (vgg16.pth, \
                     {TORCHVISION_URL})",
                    path.display()
                ),
            })
        }
    }
}

/// Whether all tensors of the network whose names begin with `prefix` are among `tensors`.
fn has(tensors: &Tensors, prefix: &str, shape: &VggShape) -> bool {
    slots(shape)
        .iter()
        .filter(|(name, ..)| name.starts_with(prefix))
        .all(|(name, ..)| tensors.contains_key(name))
}

/// Selects the tensors of the network from published files and, for those that are missing there, from the file
/// `target` if it exists ([`gather`]). Writes them to `target`.
///
/// # Errors
/// The errors of [`gather`]; `Cache` when the file cannot be written.
pub(crate) fn convert(
    parts: &[(PathBuf, NamedTensors)],
    target: &Path,
    shape: &VggShape,
) -> Result<ConvertedWeights> {
    let earlier = target.is_file().then(|| read(target)).transpose()?;
    let (tensors, source) = gather(parts, earlier, shape)?;
    let mut missing = Vec::new();
    if !has(&tensors, "layers.fc", shape) {
        missing.push("the dense layers, which precision and recall need".to_owned());
    }
    if !has(&tensors, "lpips", shape) {
        missing.push(format!(
            "the linear weights of LPIPS, which path lengths need: {LPIPS_URL}"
        ));
    }
    let mut sorted: Vec<(String, Tensor)> = tensors.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    weight_files::write(target, &sorted, &[("source", source.name())])?;
    Ok(ConvertedWeights {
        network: "vgg16",
        path: target.to_path_buf(),
        missing,
    })
}

/// Reads the converted file in the cache.
///
/// # Errors
/// `Weights` when the file cannot be read, is damaged, or does not record the origin of the weights.
pub(crate) fn read(path: &Path) -> Result<(Tensors, VggSource)> {
    let bytes = files::read_input(path, u64::MAX).map_err(|error| Error::Weights {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let source = match weight_files::fact(&bytes, "source").as_deref() {
        Some("nvidia") => VggSource::Nvidia,
        Some("torchvision") => VggSource::Torchvision,
        _ => {
            return Err(Error::Weights {
                path: path.to_owned(),
                reason: "damaged: make it anew with `eval weights --from FILE`".into(),
            });
        }
    };
    let file = weight_files::parse(path, &bytes)?;
    drop(bytes);
    let tensors = file
        .into_iter()
        .map(|(name, tensor)| {
            let values = Tensor::from_vec(tensor.to_f32(), &tensor.shape[..], &Device::Cpu)?;
            Ok((name, values))
        })
        .collect::<Result<_>>()?;
    Ok((tensors, source))
}

/// Generates deterministic random weights: uniform with the standard deviation of He initialization for weights, from
/// -0.1 to 0.1 for biases, from 0 to 1 for the linear weights of LPIPS.
pub(crate) fn seeded(shape: &VggShape, seed: u32) -> Result<Tensors> {
    let mut tensors = Tensors::new();
    for (name, _, dims) in slots(shape) {
        let fan_in: usize = dims.iter().skip(1).product();
        let (scale, shift) = match dims.len() {
            1 if name.starts_with("lpips") => (0.5, 0.5),
            1 => (0.1, 0.0),
            _ => ((6.0 / fan_in as f64).sqrt(), 0.0),
        };
        let n: usize = dims.iter().product();
        let values: Vec<f32> = uniform(&format!("{seed}:{name}"))
            .take(n)
            .map(|s| (s * scale + shift) as f32)
            .collect();
        tensors.insert(name, Tensor::from_vec(values, dims, &Device::Cpu)?);
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: VggShape = VggShape::SMALL;

    /// The tensors of a published file with weights generated from `seed`. `other` returns the name of each tensor in
    /// the file, given NVIDIA's name and the other names, or `None` to leave it out.
    fn file(seed: u32, other: impl Fn(&str, &[String]) -> Option<String>) -> NamedTensors {
        let tensors = seeded(&SHAPE, seed).unwrap();
        slots(&SHAPE)
            .into_iter()
            .filter_map(|(name, others, mut dims)| {
                let values: Vec<f32> = tensors[&name].flatten_all().unwrap().to_vec1().unwrap();
                let to = other(&name, &others)?;
                if name.starts_with("lpips") {
                    // The shape that published files have.
                    dims = vec![1, dims[0], 1, 1];
                }
                Some((to, interop::Tensor::from_f32(dims, &values).unwrap()))
            })
            .collect()
    }

    fn is_equal(a: &Tensors, b: &Tensors) -> bool {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        a.len() == b.len() && a.iter().all(|(name, t)| values(t) == values(&b[name]))
    }

    #[test]
    fn files_of_nvidia_and_of_torchvision_with_lpips_give_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let want = seeded(&SHAPE, 3).unwrap();
        let nvidia = file(3, |name, _| Some(name.to_owned()));
        let done = convert(&[(path("vgg16.pt"), nvidia)], &path("a"), &SHAPE).unwrap();
        assert!(done.missing.is_empty());
        let (read_back, source) = read(&path("a")).unwrap();
        assert!(is_equal(&read_back, &want));
        assert_eq!(source, VggSource::Nvidia);

        let torchvision = file(3, |name, others| {
            (!name.starts_with("lpips")).then(|| others[0].clone())
        });
        let lpips = || {
            file(3, |name, others| {
                name.starts_with("lpips").then(|| others[0].clone())
            })
        };
        assert!(is_part(&torchvision) && is_part(&lpips()));
        // The linear weights alone are refused; after torchvision's VGG16 they complete it.
        let alone = convert(&[(path("vgg.pth"), lpips())], &path("b"), &SHAPE).unwrap_err();
        assert!(alone.to_string().contains("vgg16-397923af.pth"), "{alone}");
        let done = convert(&[(path("tv.pth"), torchvision)], &path("b"), &SHAPE).unwrap();
        assert!(done.missing[0].contains("LPIPS"), "{:?}", done.missing);
        let done = convert(&[(path("vgg.pth"), lpips())], &path("b"), &SHAPE).unwrap();
        assert!(done.missing.is_empty());
        let (read_back, source) = read(&path("b")).unwrap();
        assert!(is_equal(&read_back, &want));
        assert_eq!(source, VggSource::Torchvision);
    }

    #[test]
    fn a_flipped_bit_in_the_cache_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let source = folder.path().join("vgg16.pt");
        let weights = file(3, |name, _| Some(name.to_owned()));
        convert(&[(source, weights)], &path, &SHAPE).unwrap();
        read(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(files::check_safetensors(&whole), Ok(true));
        let mut random = rng::RandomState::new(3);
        for _ in 0..40 {
            let bit = random.randint(0, 8 * whole.len() as i64) as usize;
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains(FILE_NAME) && error.contains("eval weights --from"),
                "bit {bit}: {error}"
            );
        }
    }

    #[test]
    fn other_networks_and_damage_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg19.pth");
        let mut wide = file(3, |name, _| Some(name.to_owned()));
        let odd = interop::Tensor::from_f32(vec![2, 3, 3, 3], &[0.0; 54]).unwrap();
        wide.insert("layers.conv1.weight".into(), odd);
        let error = convert(&[(path.clone(), wide)], &folder.path().join("x"), &SHAPE)
            .unwrap_err()
            .to_string();
        assert!(error.contains("layers.conv1.weight") && error.contains("not VGG16"));
        std::fs::write(&path, "nothing").unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("eval weights")
        );
    }
}
