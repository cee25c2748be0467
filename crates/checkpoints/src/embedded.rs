//! Networks that ship inside the programs.

use architecture::Pretrained;

/// Generator, discriminator and moving average for drawn faces at 64 px, in f16; `networks/drawn64.md` is its model card.
const DRAWN64: &[u8] = include_bytes!("../networks/drawn64.safetensors");

/// The file of a network that ships.
pub(crate) fn find(pretrained: &Pretrained) -> Option<&'static [u8]> {
    match pretrained.name {
        "drawn64" => Some(DRAWN64),
        _ => None,
    }
}
