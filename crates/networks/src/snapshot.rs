//! The networks of a training run in a safetensors file: tensors under NVIDIA's names with the prefix `G.`, `D.` or
//! `G_ema.`, and the configurations in the metadata.

use std::collections::BTreeMap;
use std::path::Path;

use architecture::{GeneratorConfig, NetworkConfig};
use candle_core::{DType, Device, Tensor};
use files::{AtomicFile, TensorEntry};
use safetensors::SafeTensors;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::live_network::LiveNetwork;
use crate::parameters::Parameters;
use crate::stylegan2::Discriminator;

/// Metadata key of the configurations: a JSON object whose keys are `G`, `D`, `G_ema` and whose values are
/// [`NetworkConfig`]s.
const CONFIG: &str = "kaogan.config";

/// The networks of a training run at one moment, and the metadata of their file.
#[derive(Default)]
pub struct Snapshot {
    /// The generator that is trained.
    pub g: Option<Generator>,
    /// The discriminator.
    pub d: Option<Discriminator>,
    /// The exponential moving average of the generator, which is used for generating images.
    pub g_ema: Option<Generator>,
    /// The metadata of the file other than the configurations, for example `kaogan.training_set_kwargs`.
    pub metadata: BTreeMap<String, String>,
}

impl Snapshot {
    /// Reads a file that [`Snapshot::save`] wrote, or one converted to that form. The networks are in f32 on `device`
    /// and are not trainable; see [`Generator::tracked`].
    ///
    /// # Errors
    /// `File` when the file cannot be read, is damaged or is no safetensors file, when its metadata has no
    /// configurations, or when its tensors do not fit the configurations.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        files::read_input(path, u64::MAX)
            .map_err(Into::into)
            .and_then(|bytes| Self::parse(&bytes, device))
            .map_err(|source| Error::File {
                path: path.to_owned(),
                source,
            })
    }

    /// Writes all networks and the metadata to a safetensors file, weights as f32. The file is written under a
    /// temporary name and then renamed, so that there is never an incomplete file at `path`.
    ///
    /// # Errors
    /// `File` when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let write = || -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
            files::write_atomic(path, |file| self.write(file))
        };
        write().map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })
    }

    fn parse(
        bytes: &[u8],
        device: &Device,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        files::check_safetensors(bytes)
            .map_err(|damage| format!("{damage}; take another snapshot, or another copy of it"))?;
        let file = SafeTensors::deserialize(bytes)?;
        let (mut metadata, configs) = metadata(bytes)?;
        metadata.remove(files::CHECKSUM_KEY);
        let mut snapshot = Snapshot {
            metadata,
            ..Default::default()
        };
        for (key, config) in configs {
            let prefix = format!("{key}.");
            let tensors = file
                .tensors()
                .into_iter()
                .filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_owned(), view)))
                .map(|(name, view)| {
                    let tensor = tensor(&prefix, &name, &view)?;
                    Ok((name, tensor))
                })
                .collect::<Result<Vec<_>>>()?;
            let network = LiveNetwork::from_tensors(&config, tensors, DType::F32, device)?;
            match (key.as_str(), network) {
                ("G", LiveNetwork::Generator(g)) => snapshot.g = Some(g),
                ("G_ema", LiveNetwork::Generator(g_ema)) => snapshot.g_ema = Some(g_ema),
                ("D", LiveNetwork::Discriminator(d)) => snapshot.d = Some(d),
                (key, _) => {
                    let text = format!("the settings have a network `{key}` of an unknown kind");
                    return Err(Error::config(text).into());
                }
            }
        }
        Ok(snapshot)
    }

    /// Writes the content of the file. Equal networks and metadata give equal bytes.
    fn write(
        &self,
        file: &mut AtomicFile,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut configs = Map::new();
        let mut networks: Vec<(&str, &Parameters)> = Vec::new();
        for (key, generator) in [("G", &self.g), ("G_ema", &self.g_ema)] {
            if let Some(generator) = generator {
                let config = NetworkConfig::Generator(generator.config().clone());
                configs.insert(key.to_owned(), serde_json::to_value(config)?);
                networks.push((key, generator.parameters()));
            }
        }
        if let Some(d) = &self.d {
            let config = NetworkConfig::Discriminator(d.config().clone());
            configs.insert("D".to_owned(), serde_json::to_value(config)?);
            networks.push(("D", d.parameters()));
        }
        let configs = Value::Object(configs).to_string();
        // Loaders of other programs require the entry `format`.
        let mut metadata = vec![(CONFIG, configs.as_str()), ("format", "pt")];
        let others = self.metadata.iter().filter(|(key, _)| *key != "format");
        metadata.extend(others.map(|(key, text)| (key.as_str(), text.as_str())));
        let names: Vec<String> = networks
            .iter()
            .flat_map(|(key, all)| all.iter().map(move |(name, ..)| format!("{key}.{name}")))
            .collect();
        let vars = || {
            let all = networks.iter().flat_map(|(_, all)| all.iter());
            all.map(|(_, var, _)| var)
        };
        let entries: Vec<TensorEntry<'_>> = std::iter::zip(&names, vars())
            .map(|(name, var)| TensorEntry {
                name,
                dtype: "F32",
                shape: var.dims(),
                n_bytes: var.elem_count() * size_of::<f32>(),
            })
            .collect();
        files::write_safetensors(file, &metadata, &entries, |out| {
            for var in vars() {
                let values = var.as_detached_tensor().flatten_all()?;
                let values = values.to_dtype(DType::F32)?.to_vec1::<f32>()?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                out.write_all(&bytes)?;
            }
            Ok(())
        })
    }
}

/// Reads the configuration of the generator `key` (`G_ema` or `G`) from a file that [`Snapshot::save`] wrote, or one
/// converted to that form.
///
/// # Errors
/// `File` when the file cannot be read or has no such generator.
pub fn read_generator_config(path: impl AsRef<Path>, key: &str) -> Result<GeneratorConfig> {
    let path = path.as_ref();
    let read = || -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let bytes = files::read_input(path, u64::MAX)?;
        let (_, mut configs) = metadata(&bytes)?;
        match configs.remove(key) {
            Some(NetworkConfig::Generator(config)) => Ok(config),
            _ => Err(format!("there is no generator `{key}` in it").into()),
        }
    };
    read().map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Parses the header of the file content `bytes`. Returns the metadata other than the configurations, and the networks'
/// configurations by key (`G`, `D`, `G_ema`).
#[allow(clippy::type_complexity, reason = "used twice")]
fn metadata(
    bytes: &[u8],
) -> std::result::Result<
    (BTreeMap<String, String>, BTreeMap<String, NetworkConfig>),
    Box<dyn std::error::Error + Send + Sync>,
> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let mut metadata: BTreeMap<String, String> = metadata.into_iter().collect();
    let configs = metadata.remove(CONFIG).ok_or_else(|| {
        Error::config(format!(
            "no settings under `{CONFIG}` in the metadata; files of other programs are converted first"
        ))
    })?;
    Ok((metadata, serde_json::from_str(&configs)?))
}

fn tensor(prefix: &str, name: &str, view: &safetensors::tensor::TensorView<'_>) -> Result<Tensor> {
    if !files::is_countable(view.shape()) {
        return Err(Error::config(format!(
            "tensor `{prefix}{name}` has the shape {:?}, which no tensor has: the file is damaged",
            view.shape()
        )));
    }
    let dtype = DType::try_from(view.dtype()).map_err(candle_core::Error::wrap)?;
    Ok(Tensor::from_raw_buffer(
        view.data(),
        dtype,
        view.shape(),
        &Device::Cpu,
    )?)
}

#[cfg(test)]
mod tests {
    use rng::RandomState;

    use super::*;
    use architecture::MappingConfig;

    fn small() -> Generator {
        let config = GeneratorConfig {
            z_dim: 4,
            w_dim: 4,
            channel_base: 32,
            channel_max: 4,
            mapping: MappingConfig {
                num_layers: 2,
                ..MappingConfig::new(4)
            },
            ..GeneratorConfig::new(8, 1)
        };
        Generator::new(&config, &mut RandomState::new(1), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_saved_network_comes_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network-snapshot.safetensors");
        let snapshot = Snapshot {
            g_ema: Some(small()),
            metadata: [("kaogan.note".to_owned(), "7".to_owned())].into(),
            ..Default::default()
        };
        snapshot.save(&path).unwrap();
        let read = Snapshot::load(&path, &Device::Cpu).unwrap();
        assert!(read.g.is_none() && read.d.is_none());
        assert_eq!(read.metadata["kaogan.note"], "7");
        let (old, new) = (snapshot.g_ema.unwrap(), read.g_ema.unwrap());
        assert_eq!(old.config(), new.config());
        for ((name, a), (other, b)) in old.parameters().tensors().zip(new.parameters().tensors()) {
            assert_eq!(name, other);
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(&a), values(&b), "{name}");
        }
    }

    #[test]
    fn shapes_that_no_tensor_has_are_refused_by_name() {
        let huge = usize::MAX / 2;
        let view = |shape: Vec<usize>| {
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &[]).unwrap()
        };
        for shape in [vec![0, huge, huge], vec![huge, 0, huge]] {
            let error = tensor("G.", "a", &view(shape)).unwrap_err().to_string();
            assert!(error.contains("`G.a` has the shape"), "{error}");
        }
        assert_eq!(tensor("G.", "a", &view(vec![0, 3])).unwrap().dims(), [0, 3]);
    }

    #[test]
    fn damage_is_noticed_and_files_without_a_checksum_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network-snapshot-000024.safetensors");
        let snapshot = Snapshot {
            g_ema: Some(small()),
            metadata: [("kaogan.note".to_owned(), "7".to_owned())].into(),
            ..Default::default()
        };
        snapshot.save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // Loading and saving gives the same file.
        Snapshot::load(&path, &Device::Cpu)
            .unwrap()
            .save(&path)
            .unwrap();
        assert!(std::fs::read(&path).unwrap() == whole);
        let mut random = RandomState::new(8);
        for _ in 0..40 {
            let bit = random.randint(0, 8 * whole.len() as i64) as usize;
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            let Err(error) = Snapshot::load(&path, &Device::Cpu) else {
                panic!("bit {bit} was not noticed");
            };
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.to_string().contains("000024"), "{error}");
            assert!(
                source.contains("damaged") && source.contains("another snapshot"),
                "bit {bit}: {source}"
            );
        }
        // A file without a checksum, as earlier versions wrote it.
        let key = br#""kaogan.crc32":"12345678","#;
        let at = whole.windows(13).position(|w| w == &key[..13]).unwrap();
        let header = u64::from_le_bytes(whole[..8].try_into().unwrap());
        let mut older = (header - key.len() as u64).to_le_bytes().to_vec();
        older.extend(&whole[8..at]);
        older.extend(&whole[at + key.len()..]);
        std::fs::write(&path, older).unwrap();
        let read = Snapshot::load(&path, &Device::Cpu).unwrap();
        assert!(read.g_ema.is_some() && read.metadata["kaogan.note"] == "7");
    }

    #[test]
    fn every_wrong_name_is_listed() {
        let g = small();
        let tensors = g.parameters().tensors().filter_map(|(name, tensor)| {
            Some(match name.as_str() {
                "mapping.fc0.weight" | "synthesis.b8.conv0.weight" => return None,
                "mapping.fc1.bias" => ("mapping.fc9.bias".to_owned(), tensor),
                "synthesis.b8.conv1.bias" => (name, tensor.narrow(0, 0, 1).unwrap()),
                "synthesis.b4.resample_filter" => (name, (tensor * 2.0).unwrap()),
                _ => (name, tensor),
            })
        });
        let error = Generator::from_tensors(g.config(), tensors, DType::F32, &Device::Cpu);
        let Err(Error::Weights(mismatch)) = error else {
            panic!("wrong weights were taken");
        };
        let missing = [
            "synthesis.b8.conv0.weight",
            "mapping.fc0.weight",
            "mapping.fc1.bias",
        ];
        assert_eq!(mismatch.missing, missing);
        assert_eq!(mismatch.unexpected, ["mapping.fc9.bias"]);
        assert_eq!(mismatch.mismatched.len(), 2, "{:?}", mismatch.mismatched);
    }
}
