//! The samples of the dataset: kept faces in order, with their names and labels.

use crate::config::CurationConfig;
use crate::decide::{Decisions, Subject};
use crate::metadata::{Matches, Post};
use crate::record::{Blob, CropRecord, Record};
use std::collections::HashSet;

/// A face in the dataset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub subject: Subject,
    /// Name of the file inside the zip.
    pub name: String,
    /// Class label in `dataset.json`; `None` without labels.
    pub label: Option<u32>,
    /// Location of the crop's PNG file in the journal.
    pub png: Blob,
    /// Compression level of the PNG file.
    pub png_level: u8,
}

/// All samples, and the names of their classes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub list: Vec<Sample>,
    /// Names of the classes, by label; empty without labels.
    pub classes: Vec<String>,
}

impl Samples {
    /// Collects the kept faces, in the order of the inputs.
    ///
    /// # Errors
    /// The indices of the inputs with a kept face that has no crop yet; they have to be measured again.
    pub fn collect(
        sources: &[String],
        records: &[Option<Record>],
        decisions: &Decisions,
        config: &CurationConfig,
        posts: &Matches,
    ) -> Result<Self, HashSet<usize>> {
        let mut crops: Vec<(Subject, &CropRecord)> = Vec::new();
        let mut missing = HashSet::new();
        for (i, decision) in decisions.inputs.iter().enumerate() {
            let Some(image) = records[i].as_ref().and_then(Record::image) else {
                continue;
            };
            for f in (0..decision.faces.len()).filter(|&f| decision.faces[f].drop.is_none()) {
                match &image.faces[f].crop {
                    Some(crop) => crops.push((Subject::face(i, f), crop)),
                    None => _ = missing.insert(i),
                }
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let (labels, classes) = match &config.labels {
            Some(source) => {
                let inputs = crops.iter().map(|(subject, _)| subject.input);
                let (sources, posts): (Vec<&str>, Vec<Option<&Post>>) =
                    inputs.map(|i| (sources[i].as_str(), posts.post(i))).unzip();
                let (labels, classes) = source.classes(&sources, &posts);
                (labels.into_iter().map(Some).collect(), classes)
            }
            None => (vec![None; crops.len()], Vec::new()),
        };
        let list = crops.into_iter().zip(labels).enumerate();
        let list = list.map(|(idx, ((subject, crop), label))| Sample {
            subject,
            name: dataset::sample_name(idx),
            label,
            png: crop.png,
            png_level: crop.png_level,
        });
        Ok(Self {
            list: list.collect(),
            classes,
        })
    }
}
