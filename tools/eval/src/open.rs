//! Opens generators and logs the notes of their checkpoints as warnings.

use std::path::Path;

use candle_core::Device;
use checkpoints::Opened;
use tool_support::DownloadBar;

/// Opens the generator of a file, an address or a published network on a device. The checkpoint's other networks are
/// not loaded.
///
/// # Errors
/// When it cannot be found, downloaded or read.
pub fn open_on(path_or_preset: &Path, device: &Device) -> anyhow::Result<Opened> {
    files::protect_input(path_or_preset);
    let mut bar = DownloadBar::default();
    let opened = checkpoints::open_generator(path_or_preset, None, device, &mut |at| bar.show(at))?;
    tell_notes(&opened);
    Ok(opened)
}

/// Unlike [`open_on`], always takes `path` as a file path, never as an address or a network's name. The path need not
/// be UTF-8.
///
/// # Errors
/// When the file cannot be read.
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
