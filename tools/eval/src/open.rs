//! Networks by name.

use std::path::Path;

use anyhow::Context;
use candle_core::Device;
use checkpoints::Opened;
use ops::device::DeviceName;

/// The device of a name.
///
/// # Errors
/// When this build or this machine does not have it.
pub fn device(name: &str) -> anyhow::Result<Device> {
    let opened = name.parse().and_then(DeviceName::open);
    opened.with_context(|| format!("--device {name}"))
}

/// Opens the generator of a file, an address, or a published network, without its other networks.
///
/// # Errors
/// When it cannot be found, fetched or read.
pub fn open(path_or_preset: &Path) -> anyhow::Result<Opened> {
    open_on(path_or_preset, &Device::Cpu)
}

/// [`open`] with the generator on a device.
///
/// # Errors
/// As [`open`].
pub fn open_on(path_or_preset: &Path, device: &Device) -> anyhow::Result<Opened> {
    files::protect_input(path_or_preset);
    let mut bar: Option<cli::Progress> = None;
    let opened = checkpoints::open_generator(path_or_preset, None, device, &mut |progress| {
        let bar =
            bar.get_or_insert_with(|| cli::Progress::new("fetching", progress.total, "bytes"));
        bar.set_position(progress.done);
    })?;
    tell_notes(&opened);
    Ok(opened)
}

/// [`open_on`] of a file, whose name need not be text.
///
/// # Errors
/// As [`open`].
pub fn open_file_on(path: &Path, device: &Device) -> anyhow::Result<Opened> {
    files::protect_input(path);
    let opened = checkpoints::open_generator_file(path, device)?;
    tell_notes(&opened);
    Ok(opened)
}

fn tell_notes(opened: &Opened) {
    for note in &opened.provenance.notes {
        tracing::warn!("{}: {note}", opened.provenance.source);
    }
}
