//! The device that `--device` names.

use anyhow::Context;
use candle_core::Device;
use ops::device::DeviceName;

/// Opens the device that `--device` names: `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// When the name is malformed, or when this build or this machine does not have the device.
pub fn device(name: &str) -> anyhow::Result<Device> {
    let opened = name.parse().and_then(DeviceName::open);
    opened.with_context(|| format!("--device {name}"))
}
