use anyhow::Context;
use candle_core::Device;
use ops::device::DeviceName;

/// The device of `--device`: `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// When this build or this machine does not have it.
pub fn device(name: &str) -> anyhow::Result<Device> {
    let opened = name.parse().and_then(DeviceName::open);
    opened.with_context(|| format!("--device {name}"))
}
