//! The pretrained networks that are embedded in this project's programs.

use architecture::Pretrained;

/// A safetensors file with `G`, `D` and `G_ema` in f16, trained on drawn faces at 64 px. Its model card is
/// `networks/drawn64.md`.
const DRAWN64: &[u8] = include_bytes!("../networks/drawn64.safetensors");

/// The bytes of the file of an embedded network; `None` for a network that is not embedded.
pub(crate) fn find(pretrained: &Pretrained) -> Option<&'static [u8]> {
    match pretrained.name {
        "drawn64" => Some(DRAWN64),
        _ => None,
    }
}
