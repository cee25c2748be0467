//! Deterministic random numbers for weights, equal on every machine.

/// An endless sequence of uniform random numbers in `[-1, 1)` that depends only on `name`.
///
/// The FNV-1a hash of the name seeds SplitMix64; the upper 24 bits of each output are used.
pub(crate) fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let u = (mix64(state) >> 40) as f64 / f64::from(1 << 24);
        2.0 * u - 1.0
    })
}

/// The output function of SplitMix64.
fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
