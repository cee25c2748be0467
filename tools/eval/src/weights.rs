//! `eval weights`: installs the weights of the feature networks in the cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use downloads::{DownloadOptions, Remote};
use evaluator::cache_folder;
use feature_networks::inception::{self, STATE_DICT_SHA256_START, STATE_DICT_URL};
use feature_networks::{ConvertedWeights, vgg};
use serde_json::json;
use sha2::{Digest, Sha256};
use tool_support::DownloadBar;

use crate::args::{FeatureWeights, WeightsArgs};

pub fn weights(args: &WeightsArgs) -> anyhow::Result<()> {
    let cache = cache_folder().context("no cache folder is known: set KAOGAN_CACHE")?;
    let converted = match args.download {
        Some(network) => feature_networks::convert_weights(&[download(network)?], &cache)?,
        None if !args.from.is_empty() => feature_networks::convert_weights(&args.from, &cache)?,
        None => {
            let there: Vec<ConvertedWeights> = [
                ("inception-2015-12-05", inception::FILE_NAME),
                ("vgg16", vgg::FILE_NAME),
            ]
            .into_iter()
            .map(|(network, name)| ConvertedWeights {
                network,
                path: cache.join(name),
                missing: Vec::new(),
            })
            .filter(|weights| weights.path.is_file())
            .collect();
            if there.is_empty() {
                bail!(
                    "there are no weights in '{}'; for FID, KID and the like fetch {STATE_DICT_URL}, for precision and \
                     recall and path lengths {}, and type `eval weights --from FILE`; or `eval weights --download`",
                    cache.display(),
                    vgg::TORCHSCRIPT_URL
                );
            }
            there
        }
    };
    cli::report(&json!({ "weights": converted }), |_| describe(&converted));
    Ok(())
}

fn describe(converted: &[ConvertedWeights]) -> String {
    let mut text = String::new();
    for weights in converted {
        text += &format!("{:<22} {}\n", weights.network, weights.path.display());
        for missing in &weights.missing {
            text += &format!("{:<22} without {missing}\n", "");
        }
    }
    text
}

/// Downloads a published file to the download cache, and checks its checksum.
fn download(network: FeatureWeights) -> anyhow::Result<PathBuf> {
    let (title, url, sha256_start) = match network {
        FeatureWeights::Inception => (
            "fetching Inception",
            STATE_DICT_URL,
            STATE_DICT_SHA256_START,
        ),
        FeatureWeights::Vgg16 => (
            "fetching VGG16",
            vgg::TORCHSCRIPT_URL,
            vgg::TORCHSCRIPT_SHA256,
        ),
    };
    let mut bar = DownloadBar::titled(title);
    let options = DownloadOptions::from_env()?;
    let remote = Remote {
        url: &options.mirrored(url),
        name: &downloads::cache_name(url),
        sha256: None,
        check: &|path| check_sha256(path, sha256_start),
    };
    let path = downloads::fetch(&remote, &options, &mut |at| bar.show(at))?;
    bar.finish();
    Ok(path)
}

/// Checks that the SHA-256 of a file, in hexadecimal, begins with `start`.
fn check_sha256(path: &Path, start: &str) -> Result<(), String> {
    let bytes = files::read_input(path, u64::MAX).map_err(|e| e.to_string())?;
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    match sha256.starts_with(start) {
        true => Ok(()),
        false => Err(format!(
            "it has SHA-256 {sha256}, which does not start with {start}"
        )),
    }
}
