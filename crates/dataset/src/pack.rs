//! Packs a folder or zip of images into a dataset zip, as NVIDIA's `dataset_tool.py` does, but without stopping at bad
//! files.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::encode::{EncodedImage, encode_png};
use crate::error::Error;
use crate::labels::Labels;
use crate::resample::Filter;
use crate::source::Source;
use crate::transform::Transform;
use crate::writer::{DatasetWriter, WriteSummary, WriterOptions};
use decode::decode_stored;

/// Options of packing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackOptions {
    /// Crop of each image before it is resized.
    pub transform: Transform,
    /// Width and height of a sample in pixels; `None` keeps those of the image after the crop.
    pub size: Option<(usize, usize)>,
    /// Filter for resizing.
    pub filter: Filter,
    /// Take only this many images, the first by name.
    pub max_images: Option<usize>,
    /// Whether gray images stay gray. All others become RGB, with alpha composited on white.
    pub keep_gray: bool,
    /// Options of the written zip.
    pub writer: WriterOptions,
}

/// The result of packing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// Summary of the written dataset.
    pub written: WriteSummary,
    /// Name of each image that is not in the zip, and the reason.
    pub dropped: Vec<(String, String)>,
}

/// Packs all images of `source` into a zip at `out`, in the order of their names and with their labels.
///
/// The position of an image in that order is its number in the zip, so that dropped images leave gaps. The same images
/// give the same bytes, whatever the number of threads. `on_image` is called once for each image, from many threads.
///
/// # Errors
/// When `options.size` does not suit the crop, samples differ in shape (`options.size` gives them one), no image is
/// left, `dataset.json` is damaged, or the disk reports an error. Images that cannot be decoded are in the report
/// instead.
pub fn pack(
    source: &Source,
    out: impl AsRef<Path>,
    options: &PackOptions,
    on_image: impl Fn() + Sync,
) -> Result<PackReport, Error> {
    if options.transform == Transform::CenterCropWide && options.size.is_none_or(|(w, h)| h > w) {
        return Err(Error::Write(
            "a wide crop needs a size that is not higher than wide".to_owned(),
        ));
    }
    if let Some((width, height)) = options
        .size
        .filter(|&(w, h)| w == 0 || h == 0 || w > 1 << 15 || h > 1 << 15)
    {
        return Err(Error::Write(format!(
            "{width} x {height} is no size for a sample"
        )));
    }
    let labels = match source.read_labels()? {
        Some(bytes) => Labels::parse(&bytes).map_err(|reason| Error::Labels {
            path: source.path().to_path_buf(),
            reason,
        })?,
        None => Labels::default(),
    };
    let names = source.names();
    let names = &names[..options.max_images.unwrap_or(names.len()).min(names.len())];
    let mut writer = DatasetWriter::create(out, &options.writer)?;
    let mut dropped = Vec::new();
    // Images are packed in groups, so that memory is bounded and the order is that of the names.
    let round = rayon::current_num_threads() * 8;
    for (i, names) in names.chunks(round).enumerate() {
        let samples: Vec<Result<EncodedImage, String>> = names
            .par_iter()
            .map(|name| {
                let sample = make_sample(source, name, options);
                on_image();
                sample
            })
            .collect();
        for ((j, name), sample) in names.iter().enumerate().zip(samples) {
            match sample {
                Ok(sample) => {
                    writer
                        .add_encoded(
                            i * round + j,
                            &sample,
                            labels.of(name, source.aliases()).cloned(),
                        )
                        .map_err(|e| Error::Write(format!("image '{name}': {e}")))?;
                }
                Err(reason) => dropped.push((name.clone(), reason)),
            }
        }
    }
    Ok(PackReport {
        written: writer.finish()?,
        dropped,
    })
}

fn make_sample(source: &Source, name: &str, options: &PackOptions) -> Result<EncodedImage, String> {
    let bytes = source
        .read_limited(name, u64::MAX)
        .map_err(|e| e.to_string())?;
    let mut image = decode_stored(&bytes).map_err(|e| e.to_string())?;
    if image.channels != 1 || !options.keep_gray {
        image = image.into_rgb();
    }
    let (width, height) = options.size.unwrap_or(match options.transform {
        Transform::Scale => (image.width, image.height),
        _ => (image.width.min(image.height), image.width.min(image.height)),
    });
    let sample = options
        .transform
        .apply(&image, width, height, options.filter);
    let sample = sample
        .ok_or_else(|| format!("too small for the crop: {} x {}", image.width, image.height))?;
    encode_png(&sample, options.writer.png_level).map_err(|e| e.to_string())
}
