//! Quality and chroma subsampling of a JPEG, from its headers.

use super::markers::Structure;
use serde::{Deserialize, Serialize};

/// Quality and chroma subsampling of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JpegFacts {
    /// Estimated IJG quality, 1 to 100.
    pub quality: u8,
    /// Chroma samples per luma sample: 1 (4:4:4), 0.5 (4:2:2), 0.25 (4:2:0).
    pub chroma: f32,
}

/// Estimates the quality from the luma quantization table (75 if there is none), and computes the chroma subsampling
/// from the sampling factors.
pub fn facts(structure: &Structure<'_>) -> JpegFacts {
    let chroma = match structure.frame.components.as_slice() {
        [luma, blue, ..] => {
            let area = |(h, v): (usize, usize)| (h * v) as f32;
            area(blue.sampling) / area(luma.sampling)
        }
        _ => 1.0,
    };
    JpegFacts {
        quality: structure.luma_quantizers.as_ref().map_or(75, luma_quality),
        chroma,
    }
}

/// The luma quantizers of ITU-T T.81, Annex K.1.
const ANNEX_K: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// The IJG quality (1 to 100) at which the scaled Annex K table has the sum nearest to that of `table`.
fn luma_quality(table: &[u16; 64]) -> u8 {
    let sum: u32 = table.iter().map(|&v| u32::from(v)).sum();
    let sum_at = |quality: u32| -> u32 {
        let percent = if quality < 50 {
            5000 / quality
        } else {
            200 - 2 * quality
        };
        ANNEX_K
            .iter()
            .map(|&v| ((u32::from(v) * percent + 50) / 100).clamp(1, 255))
            .sum()
    };
    // The lowest qualities have the same table, since its values are clipped; of equally near qualities the highest is
    // taken.
    (1..=100u32)
        .rev()
        .min_by_key(|&quality| sum_at(quality).abs_diff(sum))
        .map_or(75, |quality| quality as u8)
}
