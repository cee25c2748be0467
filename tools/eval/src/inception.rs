//! `eval inception`: weights into the cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use interop::download::{self, Download};
use metrics::inception::{self, FILE_NAME, STATE_DICT_SHA256_START, STATE_DICT_URL};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::args::InceptionArgs;
use crate::measure::cache_folder;

pub fn inception(args: &InceptionArgs) -> anyhow::Result<()> {
    let cache = cache_folder().context("no cache folder is known: set KAOGAN_CACHE")?;
    let target = cache.join(FILE_NAME);
    match (&args.from, args.download) {
        (Some(path), _) => convert(path, &target)?,
        (None, true) => {
            let path = download()?;
            convert(&path, &target)?;
        }
        (None, false) if target.is_file() => {}
        (None, false) => bail!(
            "'{}' is not there; fetch {STATE_DICT_URL} and type `eval inception --from FILE`, or `eval inception --download`",
            target.display()
        ),
    }
    cli::report(&json!({ "inception": target }), |_| {
        format!("weights of the Inception network: {}", target.display())
    });
    Ok(())
}

fn convert(from: &Path, target: &Path) -> anyhow::Result<()> {
    Ok(inception::convert(from, target)?)
}

/// Fetches the published file into the cache of downloads; its name holds the start of its checksum.
fn download() -> anyhow::Result<PathBuf> {
    let bar = cli::Progress::new("fetching Inception", None, "bytes");
    let name = download::cache_name(STATE_DICT_URL);
    let options = Download::from_env()?;
    let path = download::fetch(STATE_DICT_URL, &name, None, &options, &mut |progress| {
        if let Some(total) = progress.total {
            bar.set_total(total);
        }
        bar.set_position(progress.done);
    })?;
    bar.finish();
    let bytes =
        std::fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    ensure!(
        sha256.starts_with(STATE_DICT_SHA256_START),
        "'{}' has SHA-256 {sha256}, which does not start with {STATE_DICT_SHA256_START}: remove it and fetch it again",
        path.display()
    );
    Ok(path)
}
