//! The networks that NVIDIA offers to start from, by name.
//!
//! The files are NVIDIA's, under the Nvidia Source Code License (non-commercial); they are fetched from its server to
//! the cache of the user, never shipped.

use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::config::NetworkConfig;
use crate::download::{Download, Progress, Remote, cache_name, fetch};
use crate::error::{Error, Result, layout};

/// Folder of the files on NVIDIA's server.
const BASE: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets";

/// A network to start training from, and what it must be trained with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// The name that users type.
    pub name: &'static str,
    /// File name on the server and in the cache.
    pub file: &'static str,
    /// Picture side in pixels.
    pub resolution: usize,
    /// Layers of its mapping network.
    pub mapping_layers: usize,
    /// `channel_base` of both networks.
    pub channel_base: usize,
    /// The configurations (`--cfg`) with this architecture.
    pub cfgs: &'static [&'static str],
    /// SHA-256 in hex, where it was published. Without one, the first download is remembered and later uses are
    /// compared with it.
    pub sha256: Option<&'static str>,
}

/// All of them.
pub const PRESETS: [Preset; 5] = [
    Preset {
        name: "ffhq256",
        file: "ffhq-res256-mirror-paper256-noaug.pkl",
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        cfgs: &["paper256"],
        sha256: None,
    },
    Preset {
        name: "ffhq512",
        file: "ffhq-res512-mirror-stylegan2-noaug.pkl",
        resolution: 512,
        mapping_layers: 8,
        channel_base: 32768,
        cfgs: &["paper512", "stylegan2"],
        sha256: None,
    },
    Preset {
        name: "ffhq1024",
        file: "ffhq-res1024-mirror-stylegan2-noaug.pkl",
        resolution: 1024,
        mapping_layers: 8,
        channel_base: 32768,
        cfgs: &["paper1024", "stylegan2"],
        sha256: None,
    },
    Preset {
        name: "celebahq256",
        file: "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl",
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        cfgs: &["paper256"],
        sha256: None,
    },
    Preset {
        name: "lsundog256",
        file: "lsundog-res256-paper256-kimg100000-noaug.pkl",
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        cfgs: &["paper256"],
        sha256: None,
    },
];

/// The preset of a name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// A file on this machine for what a user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The file.
    pub path: PathBuf,
    /// The preset whose file it is.
    pub preset: Option<&'static Preset>,
}

/// Turns the name of a preset, an `http(s)` address or a path into a file on this machine, fetching it when needed.
///
/// `options` is asked for only when something may have to be fetched.
///
/// # Errors
/// As [`fetch`]; `Layout` listing the presets for a text that is none of the three.
pub fn resolve(
    source: impl AsRef<Path>,
    options: impl FnOnce() -> Result<Download>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Resolved> {
    let path = source.as_ref();
    // Names and addresses are text; a path need not be.
    let text = path.to_str().unwrap_or_default();
    if let Some(preset) = find(text) {
        return Ok(Resolved {
            path: preset.fetch(&options()?, progress)?,
            preset: Some(preset),
        });
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        let remote = Remote {
            url: text,
            name: &cache_name(text),
            sha256: None,
            check: &is_readable,
        };
        let path = fetch(&remote, &options()?, progress)?;
        return Ok(Resolved { path, preset: None });
    }
    let path = path.to_owned();
    if path.is_file() {
        return Ok(Resolved { path, preset: None });
    }
    if path.exists() && !path.is_dir() {
        // Tells what it is.
        if let Err(error) = files::open_input(&path) {
            return Err(Error::Io { path, error });
        }
    }
    let names = PRESETS.map(|preset| preset.name).join(", ");
    Err(layout!(
        "{}: neither a file, nor an http(s) address, nor one of the presets {names}",
        path.display()
    ))
}

/// Whether a file holds networks or at least named tensors, whole.
fn is_readable(path: &Path) -> std::result::Result<(), String> {
    let data = files::read_input(path, crate::file::MAX_BYTES).map_err(|e| e.to_string())?;
    let Err(error) = crate::read_checkpoint_bytes(&data, "") else {
        return Ok(());
    };
    match crate::read_tensors_bytes(&data) {
        Ok(_) => Ok(()),
        Err(_) => Err(error.to_string()),
    }
}

impl Preset {
    /// Where the file is, on NVIDIA's server or on the mirror that takes its place.
    pub fn url(&self, options: &Download) -> String {
        options.mirrored(&format!("{BASE}/{}", self.file))
    }

    /// The file in the cache, fetched first when it is not there.
    ///
    /// # Errors
    /// As [`fetch`].
    pub fn fetch(&self, options: &Download, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
        let remote = Remote {
            url: &self.url(options),
            name: self.file,
            sha256: self.sha256,
            check: &is_readable,
        };
        fetch(&remote, options, progress)
    }

    /// Checks that a checkpoint is what this preset promises.
    ///
    /// # Errors
    /// `Layout` naming the first difference: the file is another one under this name.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        for key in ["G", "D", "G_ema"] {
            let network = checkpoint.networks().find(|(k, _)| *k == key);
            let (_, network) =
                network.ok_or_else(|| layout!("the file for preset {} has no {key}", self.name))?;
            let differs = |what: &str, found: usize, wanted: usize| {
                if found == wanted {
                    return Ok(());
                }
                let name = self.name;
                Err(Error::Layout(format!(
                    "the file for preset {name}: {key} has {what} {found}, not {wanted}"
                )))
            };
            differs(
                "img_resolution",
                network.config.img_resolution(),
                self.resolution,
            )?;
            match &network.config {
                NetworkConfig::Generator(g) => {
                    differs("mapping layers", g.mapping.num_layers, self.mapping_layers)?;
                    differs("channel_base", g.channel_base, self.channel_base)?;
                }
                NetworkConfig::Discriminator(d) => {
                    differs("channel_base", d.channel_base, self.channel_base)?
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_urls_and_mirrors() {
        assert!(find("ffhq512").is_some() && find("ffhq2048").is_none());
        let mut options = Download::new(PathBuf::new());
        let preset = find("ffhq512").unwrap();
        assert!(
            preset
                .url(&options)
                .starts_with("https://nvlabs-fi-cdn.nvidia.com/")
        );
        options.mirror = Some("http://localhost:1/nets/".into());
        assert_eq!(
            preset.url(&options),
            "http://localhost:1/nets/ffhq-res512-mirror-stylegan2-noaug.pkl"
        );
    }

    #[test]
    fn another_file_under_the_name_is_refused() {
        let checkpoint =
            crate::read_checkpoint_bytes(include_bytes!("../tests/data/official.pkl"), "x")
                .unwrap();
        let error = find("ffhq256")
            .unwrap()
            .check(&checkpoint)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ffhq256") && error.contains("img_resolution 8, not 256"),
            "{error}"
        );
        let same = Preset {
            name: "own",
            file: "own.pkl",
            resolution: 8,
            mapping_layers: 2,
            channel_base: 16,
            cfgs: &[],
            sha256: None,
        };
        same.check(&checkpoint).unwrap();
    }
}
