//! The table of pretrained networks that users can refer to by name: those that NVIDIA publishes for transfer learning,
//! and one that is embedded in this project's programs.

use crate::error::{Error, Result};
use crate::network::NetworkConfig;

/// Address of the folder with the files on NVIDIA's server.
///
/// The files are under the Nvidia Source Code License (non-commercial). They are downloaded to the user's cache when
/// needed and are not part of this project.
const FOLDER: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets";

/// A pretrained network that users can refer to by name: its file and its architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pretrained {
    /// The name that users type, for example `ffhq512`.
    pub name: &'static str,
    /// Name of its file, on the server and in the cache, or in this project if it is embedded.
    pub file: &'static str,
    /// Whether the file is embedded in this project's programs. Otherwise it is downloaded from NVIDIA's server.
    pub is_embedded: bool,
    /// Image side in pixels.
    pub resolution: usize,
    /// Number of layers of its mapping network.
    pub mapping_layers: usize,
    /// `channel_base` of its generator and its discriminator.
    pub channel_base: usize,
    /// Published SHA-256 of the file in hexadecimal. If `None`, the checksum of the first download is recorded, and
    /// later uses are compared with that.
    pub sha256: Option<&'static str>,
}

/// All pretrained networks that have a name.
pub const PRETRAINED: [Pretrained; 6] = [
    Pretrained {
        name: "drawn64",
        file: "drawn64.safetensors",
        is_embedded: true,
        resolution: 64,
        mapping_layers: 2,
        channel_base: 1024,
        sha256: None,
    },
    Pretrained {
        name: "ffhq256",
        file: "ffhq-res256-mirror-paper256-noaug.pkl",
        is_embedded: false,
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        sha256: None,
    },
    Pretrained {
        name: "ffhq512",
        file: "ffhq-res512-mirror-stylegan2-noaug.pkl",
        is_embedded: false,
        resolution: 512,
        mapping_layers: 8,
        channel_base: 32768,
        sha256: None,
    },
    Pretrained {
        name: "ffhq1024",
        file: "ffhq-res1024-mirror-stylegan2-noaug.pkl",
        is_embedded: false,
        resolution: 1024,
        mapping_layers: 8,
        channel_base: 32768,
        sha256: None,
    },
    Pretrained {
        name: "celebahq256",
        file: "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl",
        is_embedded: false,
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        sha256: None,
    },
    Pretrained {
        name: "lsundog256",
        file: "lsundog-res256-paper256-kimg100000-noaug.pkl",
        is_embedded: false,
        resolution: 256,
        mapping_layers: 8,
        channel_base: 16384,
        sha256: None,
    },
];

impl Pretrained {
    /// Address of the file on NVIDIA's server; for an embedded network, its name.
    pub fn address(&self) -> String {
        match self.is_embedded {
            true => self.name.to_owned(),
            false => format!("{FOLDER}/{}", self.file),
        }
    }

    /// Checks that a network of the downloaded file has the published architecture: resolution, number of mapping
    /// layers (of a generator) and `channel_base`. `key` (`G`, `D` or `G_ema`) names the network in the message.
    ///
    /// # Errors
    /// `Config`, naming the first difference.
    pub fn check(&self, key: &str, config: &NetworkConfig) -> Result<()> {
        let (mapping_layers, channel_base) = match config {
            NetworkConfig::Generator(g) => (g.mapping.num_layers, g.channel_base),
            NetworkConfig::Discriminator(d) => (self.mapping_layers, d.channel_base),
        };
        for (what, found, wanted) in [
            ("img_resolution", config.img_resolution(), self.resolution),
            ("mapping layers", mapping_layers, self.mapping_layers),
            ("channel_base", channel_base, self.channel_base),
        ] {
            if found != wanted {
                return Err(Error::config(format!(
                    "the file for {}: {key} has {what} {found}, not {wanted}",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

/// Finds a pretrained network by its name in [`PRETRAINED`].
pub fn find(name: &str) -> Option<&'static Pretrained> {
    PRETRAINED.iter().find(|network| network.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stylegan2::{DiscriminatorConfig, GeneratorConfig};

    #[test]
    fn another_file_under_the_name_is_refused() {
        let ffhq256 = find("ffhq256").unwrap();
        assert!(find("ffhq2048").is_none());
        let mut g = GeneratorConfig::new(256, 3);
        g.channel_base = 16_384;
        ffhq256.check("G", &g.clone().into()).unwrap();
        g.mapping.num_layers = 2;
        let error = ffhq256.check("G_ema", &g.into()).unwrap_err().to_string();
        assert_eq!(
            error,
            "the file for ffhq256: G_ema has mapping layers 2, not 8"
        );
        let d = DiscriminatorConfig::new(512, 3);
        assert!(ffhq256.check("D", &d.into()).is_err());
    }
}
