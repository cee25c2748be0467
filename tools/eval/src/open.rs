//! Networks by name.

use candle_core::Device;
use checkpoints::Opened;

/// Opens the generator of a file, an address, or a published network, without its other networks.
///
/// # Errors
/// When it cannot be found, fetched or read.
pub fn open(path_or_preset: &str) -> anyhow::Result<Opened> {
    let mut bar: Option<cli::Progress> = None;
    let opened =
        checkpoints::open_generator(path_or_preset, None, &Device::Cpu, &mut |progress| {
            let bar =
                bar.get_or_insert_with(|| cli::Progress::new("fetching", progress.total, "bytes"));
            bar.set_position(progress.done);
        })?;
    Ok(opened)
}
