//! The order of copies of one image by quality; the best copy is kept.

use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};

/// Quality of one copy of an image; [`CopyQuality::order`] sorts the best copy first.
///
/// The fields are compared in their order of declaration. The better copy has more effective pixels (an enlarged copy
/// has fewer than its size suggests), a higher JPEG quality, less chroma subsampling, a lossless format, or an earlier
/// position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyQuality {
    /// Number of pixels that carry detail: width x height x (effective resolution)^2.
    ///
    /// An effective resolution of 0.5 means that the image has no more detail than one of half its width and height.
    pub effective_pixels: u64,
    /// Quality setting of the IJG encoder (libjpeg) estimated from the quantization tables, 1 to 100; 100 for other
    /// formats.
    pub jpeg_quality: u8,
    /// Number of chroma samples per luma sample: 1 (4:4:4, or not a JPEG), 0.5 (4:2:2), 0.25 (4:2:0).
    pub chroma: f32,
    /// Whether the file format is lossless: PNG, BMP, TIFF, GIF, lossless WebP.
    pub is_lossless: bool,
    /// Position of the image among the inputs; no two images have the same.
    pub position: u64,
}

impl CopyQuality {
    /// Returns `Less` when `self` is the better copy. The result is never `Equal` for two images, since their positions
    /// differ.
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |q: &Self| {
            (
                Reverse(q.effective_pixels),
                Reverse(q.jpeg_quality),
                Reverse((q.chroma * 100.0) as u32),
                !q.is_lossless,
                q.position,
            )
        };
        key(self).cmp(&key(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_pixels_beat_quality_beats_order() {
        let base = CopyQuality {
            effective_pixels: 1000,
            jpeg_quality: 90,
            chroma: 1.0,
            is_lossless: false,
            position: 5,
        };
        let better = [
            CopyQuality {
                effective_pixels: 1100,
                jpeg_quality: 40,
                ..base
            },
            CopyQuality {
                jpeg_quality: 95,
                chroma: 0.25,
                ..base
            },
            CopyQuality {
                is_lossless: true,
                ..base
            },
            CopyQuality {
                position: 4,
                ..base
            },
        ];
        for b in better {
            assert_eq!(b.order(&base), Ordering::Less, "{b:?}");
            assert_eq!(base.order(&b), Ordering::Greater, "{b:?}");
        }
        assert_eq!(
            CopyQuality {
                chroma: 0.25,
                ..base
            }
            .order(&base),
            Ordering::Greater
        );
    }
}
