//! Measures one input: read, decode, measure, detect, crop. Every failure is an outcome.

use super::measured::{BlobIndex, Measured};
use super::{blank_share, blur, chroma, effective_resolution, round4, text_share};
use crate::config::CurationConfig;
use crate::inputs::Entry;
use crate::memory::{Memory, MemoryBudget};
use crate::record::{CropRecord, FaceRecord, ImageRecord, Reason};
use decode::{DecodeError, Decoded, decode, memory_needed};
use dedup::{ImageHash, Thumb};
use detect::crop::{Crop, CropOptions, crop};
use detect::{DetectOptions, Detector, DetectorSpec, Face, NamedImage};
use files::hex;
use image::RgbImage;
use sha2::{Digest, Sha256};

/// Why an input could not be measured: the reason and its description in words.
type Failure = (Reason, String);

/// Measures inputs. The results depend only on the settings in [`Measurer::fingerprint`], not on the limits of the
/// filters.
pub struct Measurer<'a> {
    detector: &'a dyn Detector,
    config: &'a CurationConfig,
    detect: DetectOptions,
    crop: CropOptions,
    /// Faces whose shorter side has fewer pixels than this get no crop; a run with a smaller `min_face` measures them
    /// again.
    min_crop: f32,
    budget: MemoryBudget,
    /// Images that need more than this number of bytes of memory are not decoded; `None` for no limit.
    max_memory: Option<u64>,
}

/// Largest number of faces in one image. Their crops are held in memory together; images of crowds have some hundreds.
const MAX_FACES: usize = 1000;

impl<'a> Measurer<'a> {
    /// Crops are made up to this enlargement even if `max_upscale` is smaller, so that a run with a larger
    /// `max_upscale` needs no new measurement.
    const SPARE_UPSCALE: f32 = 2.0;

    pub fn new(detector: &'a dyn Detector, config: &'a CurationConfig, memory: Memory) -> Self {
        let default = detector.default_threshold();
        // Thresholds are looser than in the settings where that costs little time, so that a run with other thresholds
        // can use the same measurements.
        let detect = DetectOptions {
            threshold: Some(config.detect.threshold.map_or(default, |t| t.min(default))),
            // Faces that are too small are recorded and then dropped, so that the manifest names them.
            min_face: 0.0,
            max_faces: 0,
            ..config.detect.clone()
        };
        let crop = CropOptions {
            max_upscale: if config.crop.upscaled_ok {
                f32::MAX
            } else {
                config.crop.max_upscale.max(Self::SPARE_UPSCALE)
            },
            upscaled_ok: false,
            ..framing(config)
        };
        Self {
            detector,
            config,
            detect,
            crop,
            min_crop: config
                .detect
                .min_face
                .min(DetectOptions::default().min_face),
            budget: MemoryBudget::new(match memory {
                Memory::Preferred(bytes) | Memory::AtMost(bytes) => bytes,
            }),
            max_memory: match memory {
                Memory::Preferred(_) => None,
                Memory::AtMost(bytes) => Some(bytes),
            },
        }
    }

    /// Computes the SHA-256, in hexadecimal, of everything that measurements depend on. Measurements with another
    /// fingerprint cannot be reused. `model` is the content of the detector's file.
    pub fn fingerprint(config: &CurationConfig, detector: &dyn Detector, model: &[u8]) -> String {
        let measurer = Measurer::new(detector, config, Memory::default());
        let crop = CropOptions {
            max_reflect: 0.0,
            max_upscale: 0.0,
            ..measurer.crop
        };
        let text = serde_json::json!({
            "measurements": 4,
            "hash_version": dedup::HASH_VERSION,
            "detector": config.detector,
            "model": hex(&Sha256::digest(model)),
            "detect": measurer.detect,
            "crop": crop,
            "decode": config.decode,
        })
        .to_string();
        hex(&Sha256::digest(text))
    }

    /// Measures one entry. Errors and panics of decoders are part of the result.
    pub fn measure(&self, entry: &Entry) -> Measured {
        if let Some(failed) = self.lack_of_memory(entry.size) {
            return failed;
        }
        let mut share = self.budget.take(entry.size);
        let bytes = match entry.read() {
            Ok(bytes) => bytes,
            Err(error) => return Measured::unread(&error),
        };
        let needed = memory_needed(&bytes, &self.config.decode);
        if let Some(failed) = self.lack_of_memory(entry.size.saturating_add(needed)) {
            return failed;
        }
        share.grow(needed);
        self.measure_content(&entry.source, &bytes)
    }

    /// Measures the bytes of an entry called `source`. Errors and panics of decoders are part of the result.
    pub fn measure_content(&self, source: &str, bytes: &[u8]) -> Measured {
        let sha256 = hex(&Sha256::digest(bytes));
        // A decoder that panics on a hostile file must cost that file only.
        let guarded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.measure_bytes(source, bytes)
        }));
        match guarded {
            Ok(Ok((image, blobs))) => Measured::image(sha256, image, blobs),
            Ok(Err((reason, detail))) => Measured::failed(sha256, reason, detail),
            Err(_) => Measured::failed(
                sha256,
                Reason::DecodeError,
                "the decoder gave up on this file".to_owned(),
            ),
        }
    }

    /// The result for an input that needs `bytes` of memory, when that is more than this run may use.
    fn lack_of_memory(&self, bytes: u64) -> Option<Measured> {
        let max = self.max_memory.filter(|max| bytes > *max)?;
        Some(Measured::out_of_memory(format!(
            "it takes up to {} MiB to decode, more than the {} MiB of --memory",
            bytes.div_ceil(1 << 20),
            max >> 20
        )))
    }

    fn measure_bytes(
        &self,
        source: &str,
        bytes: &[u8],
    ) -> Result<(ImageRecord<BlobIndex>, Vec<Vec<u8>>), Failure> {
        let decoded = decode(bytes, &self.config.decode).map_err(|e| {
            let reason = match e {
                DecodeError::Empty => Reason::Empty,
                DecodeError::NotAnImage(_) => Reason::NotAnImage,
                DecodeError::TooLarge { .. } => Reason::TooLarge,
                DecodeError::Truncated(_) => Reason::Truncated,
                DecodeError::Broken(_) => Reason::DecodeError,
            };
            let way_out = match e {
                DecodeError::TooLarge { .. } => " (raise --max-pixels to accept it)",
                _ => "",
            };
            (reason, format!("{e}{way_out}"))
        })?;
        let Decoded {
            image,
            format,
            jpeg,
            is_lossless,
        } = decoded;
        let (width, height) = image.dimensions();
        let thumb = Thumb::new(image.as_raw(), width as usize, height as usize);
        let mut blobs = Vec::new();
        let thumb_blob = BlobIndex::push(&mut blobs, thumb.as_bytes().to_vec());

        let found = self
            .detector
            .detect(
                &NamedImage {
                    image: &image,
                    name: source,
                },
                &self.detect,
            )
            .map_err(|e| (Reason::DetectError, e.to_string()))?;
        if found.len() > MAX_FACES {
            let message = format!(
                "{} faces in one image, and at most {MAX_FACES} are measured: is the detector's file sound, or \
                 --threshold too low?",
                found.len()
            );
            return Err((Reason::DetectError, message));
        }
        let mut faces = Vec::with_capacity(found.len());
        for face in found {
            let face = framed(face, &self.config.detector, width, height);
            let is_small = face.width().min(face.height()) < self.min_crop;
            let made = (!is_small).then(|| crop(&image, face.rect, &self.crop).ok());
            let record = match made.flatten() {
                Some(made) => Some(self.crop_record(&image, made, &mut blobs)?),
                None => None,
            };
            faces.push(FaceRecord {
                rect: face.rect,
                score: face.score,
                crop: record,
            });
        }
        let record = ImageRecord {
            width,
            height,
            format,
            jpeg,
            is_lossless,
            chroma: chroma(&thumb),
            blank: blank_share(&thumb),
            text: text_share(&image),
            effective_resolution: effective_resolution(&image, [0, 0, width, height]),
            hash: ImageHash::new(&thumb),
            mean_rgb: thumb.mean_rgb(),
            thumb: thumb_blob,
            faces,
        };
        Ok((record, blobs))
    }

    fn crop_record(
        &self,
        image: &RgbImage,
        Crop {
            image: result,
            plan,
        }: Crop,
        blobs: &mut Vec<Vec<u8>>,
    ) -> Result<CropRecord<BlobIndex>, Failure> {
        let side = result.width() as usize;
        let thumb = Thumb::new(result.as_raw(), side, side);
        // The part of the square inside the image.
        let (width, height) = image.dimensions();
        let clip = |from: i32, length: u32| -> (u32, u32) {
            let start = from.max(0).unsigned_abs().min(length);
            let end =
                (i64::from(from) + i64::from(plan.affine.side)).clamp(0, i64::from(length)) as u32;
            (start, end.saturating_sub(start))
        };
        let ((x, w), (y, h)) = (clip(plan.affine.x, width), clip(plan.affine.y, height));
        let blur = blur(&result);
        // At the compression level of the zip, so that packing copies these bytes.
        let png_level = self.config.png_level;
        let pixels = dataset::Image {
            width: side,
            height: side,
            channels: 3,
            pixels: result.into_raw(),
        };
        let png = dataset::encode_png(&pixels, png_level)
            .map_err(|e| (Reason::DecodeError, e.to_string()))?;
        Ok(CropRecord {
            plan,
            blur,
            effective_resolution: round4(effective_resolution(image, [x, y, w, h])),
            hash: ImageHash::new(&thumb),
            mean_rgb: thumb.mean_rgb(),
            thumb: BlobIndex::push(blobs, thumb.as_bytes().to_vec()),
            png: BlobIndex::push(blobs, png.into_bytes()),
            png_level,
        })
    }
}

/// Options of the crop for the configured detector. Without a detector each image is taken for a face, whose square is
/// neither expanded nor shifted.
pub fn framing(config: &CurationConfig) -> CropOptions {
    match config.detector {
        DetectorSpec::None => CropOptions {
            expand: 1.0,
            shift_up: 0.0,
            ..config.crop
        },
        _ => config.crop,
    }
}

/// Returns the face as the detector found it; without a detector, the largest square in the middle of the image of
/// `width` x `height` pixels.
fn framed(face: Face, detector: &DetectorSpec, width: u32, height: u32) -> Face {
    if *detector != DetectorSpec::None {
        return face;
    }
    let side = width.min(height);
    let (x, y) = (((width - side) / 2) as f32, ((height - side) / 2) as f32);
    Face {
        rect: [x, y, x + side as f32, y + side as f32],
        ..face
    }
}
