//! Networks with a name to start training from: those that NVIDIA publishes, and one that ships with the project.

use crate::error::{Error, Result};
use crate::network::NetworkConfig;

/// Folder of the files on NVIDIA's server.
///
/// The files are under the Nvidia Source Code License (non-commercial). They are fetched to the cache of the user,
/// never shipped.
const FOLDER: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets";

/// A network with a name, and the architecture that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pretrained {
    /// The name that users type.
    pub name: &'static str,
    /// File name: on the server and in the cache, or of the one that ships.
    pub file: &'static str,
    /// Ships inside the programs: nothing is fetched.
    pub is_embedded: bool,
    /// Image side in pixels.
    pub resolution: usize,
    /// Layers of its mapping network.
    pub mapping_layers: usize,
    /// `channel_base` of both networks.
    pub channel_base: usize,
    /// SHA-256 in hex, where it was published. Without one, the first download is remembered and later uses are
    /// compared with it.
    pub sha256: Option<&'static str>,
}

/// All of them.
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
    /// Address of the file on NVIDIA's server; the name itself of one that ships.
    pub fn address(&self) -> String {
        match self.is_embedded {
            true => self.name.to_owned(),
            false => format!("{FOLDER}/{}", self.file),
        }
    }

    /// Checks that a network of the file, under its key (`G`, `D`, `G_ema`), is what was published.
    ///
    /// # Errors
    /// `Config` naming the first difference: the file is another one under this name.
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

/// The network of a name.
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
