//! Perceptual hashes of a [`Thumb`]: one bit for each low-frequency DCT coefficient, set if the coefficient is above
//! their median.
//!
//! The DCT and the median are those of the `img_hash` crate. This module passes luma of exactly the size that the DCT
//! needs, so that the crate never resizes it; the resizing here is exact integer arithmetic. So a hash depends on the
//! pixels alone.

use crate::thumb::Thumb;
use image::GrayImage;
use img_hash::{HashAlg, Hasher, HasherConfig};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Version of the hash function (thumb, luma, DCT, bit order); changes whenever the same pixels would hash differently.
pub const HASH_VERSION: u8 = 1;

/// 64-bit hash: one bit for each of the 8 x 8 lowest DCT coefficients of 16 x 16 luma, set above their median.
pub type Hash64 = u64;
/// 256-bit hash: one bit for each of the 16 x 16 lowest DCT coefficients of 32 x 32 luma, set above their median.
pub type Hash256 = [u64; 4];

/// An image with fewer clear coefficients than this (of 63, see [`NOISE`]) has too little content for its hash to be
/// compared.
const MIN_CLEAR_COEFFICIENTS: u32 = 12;
/// A DCT coefficient is clear (not noise) when its magnitude exceeds this value, for the orthonormal DCT of 32 x 32
/// luma in 8-bit levels. JPEG compression at quality 60 changes coefficients by 2 to 6.
const NOISE: f32 = 8.0;

/// All hashes of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageHash {
    /// 64-bit hash of the image.
    pub plain: Hash64,
    /// 64-bit hash of the image mirrored left to right.
    pub mirrored: Hash64,
    /// 64-bit hashes of four crops of the image, each without 4 % of its width and height. They are near the hash of a
    /// copy that was cropped by about that much.
    ///
    /// In units of 1/96 of the image's width and height, the crops are 92 wide and high and begin at (left, top) =
    /// (1, 1), (3, 1), (1, 3) and (3, 3).
    pub trimmed: [Hash64; 4],
    /// Like `trimmed`, for the mirrored image.
    pub trimmed_mirrored: [Hash64; 4],
    /// 256-bit hash of the image.
    pub wide: Hash256,
    /// Number of DCT coefficients whose magnitude exceeds the noise of compression, among the 63 lowest (8 x 8 without
    /// the mean) of 32 x 32 luma. A low number means that the image has little content.
    pub clear_coefficients: u32,
}

impl ImageHash {
    /// Computes all hashes of a thumb.
    pub fn new(thumb: &Thumb) -> Self {
        thread_local! {
            static HASHERS: (Hasher<[u8; 8]>, Hasher<[u8; 32]>) = (
                HasherConfig::with_bytes_type().hash_size(8, 8).hash_alg(HashAlg::Median).preproc_dct().to_hasher(),
                HasherConfig::with_bytes_type().hash_size(16, 16).hash_alg(HashAlg::Median).preproc_dct().to_hasher(),
            );
        }
        let luma32 = thumb.luma(32);
        let clear_coefficients = clear_coefficients(&luma32);
        let mirrored = thumb.mirrored();
        let (small, small_mirrored) = (gray(thumb.luma(16), 16), gray(mirrored.luma(16), 16));
        let trimmed = thumb.trimmed_lumas().map(|luma| gray(luma, 16));
        let trimmed_mirrored = mirrored.trimmed_lumas().map(|luma| gray(luma, 16));
        let large = gray(luma32, 32);
        HASHERS.with(|(hasher64, hasher256)| {
            let bytes = |image| {
                let hash = hasher64.hash_image(image);
                u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
            };
            let wide = hasher256.hash_image(&large);
            Self {
                plain: bytes(&small),
                mirrored: bytes(&small_mirrored),
                trimmed: trimmed.each_ref().map(bytes),
                trimmed_mirrored: trimmed_mirrored.each_ref().map(bytes),
                wide: std::array::from_fn(|w| {
                    u64::from_le_bytes(std::array::from_fn(|i| wide.as_bytes()[w * 8 + i]))
                }),
                clear_coefficients,
            }
        })
    }

    /// Whether the image has too little content for its hash to be compared: blank paper, a flat color, a single
    /// gradient.
    pub fn is_low_information(&self) -> bool {
        self.clear_coefficients < MIN_CLEAR_COEFFICIENTS
    }

    /// The hash `plain` as 16 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        format!("{:016x}", self.plain)
    }
}

fn gray(luma: Vec<u8>, side: u32) -> GrayImage {
    GrayImage::from_raw(side, side, luma).expect("a thumb has side * side bytes")
}

/// Computes [`ImageHash::clear_coefficients`] from luma `[32, 32]`.
fn clear_coefficients(luma: &[u8]) -> u32 {
    const N: usize = 32;
    const LOW: usize = 8;
    static BASIS: LazyLock<[[f32; N]; LOW]> = LazyLock::new(|| {
        std::array::from_fn(|k| {
            let scale = if k == 0 {
                (1.0 / N as f64).sqrt()
            } else {
                (2.0 / N as f64).sqrt()
            };
            std::array::from_fn(|i| {
                let angle = std::f64::consts::PI * (2 * i + 1) as f64 * k as f64 / (2 * N) as f64;
                (scale * angle.cos()) as f32
            })
        })
    });
    let basis = &*BASIS;
    let mut rows = [[0f32; N]; LOW];
    for (y, line) in luma.chunks_exact(N).enumerate() {
        for k in 0..LOW {
            rows[k][y] = line
                .iter()
                .zip(&basis[k])
                .map(|(&v, b)| f32::from(v) * b)
                .sum();
        }
    }
    let mut clear = 0;
    for (u, row) in rows.iter().enumerate() {
        for (v, base) in basis.iter().enumerate() {
            let coefficient: f32 = row.iter().zip(base).map(|(a, b)| a * b).sum();
            clear += u32::from((u, v) != (0, 0) && coefficient.abs() > NOISE);
        }
    }
    clear
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(f: impl Fn(usize, usize) -> [u8; 3]) -> Thumb {
        let rgb: Vec<u8> = (0..192 * 192).flat_map(|i| f(i % 192, i / 192)).collect();
        Thumb::new(&rgb, 192, 192)
    }

    fn blobs(x: usize, y: usize) -> [u8; 3] {
        let (x, y) = (x as f32 / 30.0, y as f32 / 25.0);
        let wave = |a: f32, b: f32| {
            (127.5 + 60.0 * (a * x + b * y).sin() + 60.0 * (b * x - a * y * 1.3).cos()) as u8
        };
        [wave(1.0, 0.3), wave(0.2, 1.4), wave(0.9, 0.7)]
    }

    /// Expected hashes were computed when version 1 was fixed. When this fails, increase `HASH_VERSION`.
    #[test]
    fn version_1_is_frozen() {
        // The test image uses integers only, so that it does not depend on a library's sine.
        let hash = ImageHash::new(&image(|x, y| {
            let v = (x * x / 40 + 3 * y) % 256 / 2 + (x * y / 97) % 128;
            [v as u8, (255 - v) as u8, (x + y / 2) as u8]
        }));
        assert_eq!(HASH_VERSION, 1);
        assert_eq!(hash.to_hex(), FROZEN_PLAIN);
        assert_eq!(format!("{:016x}", hash.mirrored), FROZEN_MIRRORED);
        assert_eq!(format!("{:016x}", hash.wide[0]), FROZEN_WIDE);
    }
    const FROZEN_PLAIN: &str = "a04ac18f1dbb45bd";
    const FROZEN_MIRRORED: &str = "01d07f257711ed17";
    const FROZEN_WIDE: &str = "2bddadbb0947adbd";

    #[test]
    fn the_mirrored_hash_is_the_hash_of_the_mirror() {
        let (a, b) = (image(blobs), image(|x, y| blobs(191 - x, y)));
        let (a, b) = (ImageHash::new(&a), ImageHash::new(&b));
        assert_eq!(a.mirrored, b.plain);
        assert_eq!(a.plain, b.mirrored);
        assert!((a.plain ^ b.plain).count_ones() > 16);
    }

    #[test]
    fn brightness_and_gray_keep_the_hash() {
        let a = ImageHash::new(&image(blobs));
        let darker = ImageHash::new(&image(|x, y| {
            blobs(x, y).map(|v| (f32::from(v) * 0.8) as u8)
        }));
        assert!((a.plain ^ darker.plain).count_ones() <= 4);
        let gray = ImageHash::new(&image(|x, y| {
            let [r, g, b] = blobs(x, y).map(f32::from);
            [(0.299 * r + 0.587 * g + 0.114 * b).round() as u8; 3]
        }));
        assert!((a.plain ^ gray.plain).count_ones() <= 2);
    }

    #[test]
    fn flat_images_carry_no_information() {
        assert!(ImageHash::new(&image(|_, _| [200, 180, 190])).is_low_information());
        assert!(ImageHash::new(&image(|x, _| [(x / 2) as u8; 3])).is_low_information());
        assert!(
            ImageHash::new(&image(|x, y| [(250 + (x * 7 + y * 13) % 5) as u8; 3]))
                .is_low_information()
        );
        assert!(!ImageHash::new(&image(blobs)).is_low_information());
    }
}
