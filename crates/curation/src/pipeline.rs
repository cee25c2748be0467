//! The run: walk, measure what the journal lacks, decide, pack, record.

use crate::apart::Apart;
use crate::attempts::Attempts;
use crate::config::CurationConfig;
use crate::decide::{DecideError, Decisions, Evidence};
use crate::events::{Event, Stage};
use crate::exclude::{ExcludeError, ExcludeList};
use crate::inputs::{WalkError, walk};
use crate::journal::{Found, Journal};
use crate::manifest::{self, Sample};
use crate::measure::Measurer;
use crate::measuring_pass::MeasuringPass;
use crate::memory::Memory;
use crate::metadata::{Matches, MetadataError, Post};
use crate::pack::{PackError, pack};
use crate::page;
use crate::read_errors::ReadErrors;
use crate::record::{Blob, Outcome, Reason, Record};
use crate::summary::{SmallFaces, Summary};
use detect::embedded::EmbeddedDetector;
use detect::{DetectError, DetectorSpec};
use rayon::prelude::*;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// What a run does besides its settings.
#[derive(Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Write manifest and report, but no zip.
    pub dry_run: bool,
    /// Memory of decoding.
    pub memory: Memory,
    /// Measures an input at which an earlier run died; without it no input is dropped as crashed.
    pub apart: Option<&'a Apart<'a>>,
}

/// Why a run as a whole failed.
#[derive(Debug, thiserror::Error)]
pub enum CurationError {
    /// The inputs.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The detector.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The exclusion list.
    #[error(transparent)]
    Exclude(#[from] ExcludeError),
    /// The search.
    #[error(transparent)]
    Search(#[from] dedup::SearchError),
    /// The zip.
    #[error(transparent)]
    Dataset(#[from] dataset::Error),
    /// Journal, manifest or report.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal is damaged faster than it is mended.
    #[error("the journal '{}' gives back damaged bytes again and again: delete it, and check the disk", .0.display())]
    Journal(PathBuf),
    /// The output name.
    #[error("'{}' must end in .zip", .0.display())]
    Output(PathBuf),
}

/// Runs the whole of it. `out` is the zip; manifest, report and journal lie beside it under its stem.
///
/// # Errors
/// When something that no picture can be blamed for fails: inputs, models, disk. What is wrong with a picture is in the
/// manifest.
pub fn run(
    inputs: &[PathBuf],
    out: &Path,
    config: &CurationConfig,
    options: RunOptions<'_>,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Summary, CurationError> {
    let beside = Beside::new(out)?;
    let detector = config.detector.load()?;
    let exclude = config
        .exclude
        .as_deref()
        .map(ExcludeList::read)
        .transpose()?
        .unwrap_or_default();

    let skip = [
        out.to_owned(),
        beside.manifest.clone(),
        beside.report.clone(),
        beside.journal.clone(),
        out.with_extension("recipe.toml"),
    ];
    let entries = walk(inputs, &skip)?;
    let sources: Vec<String> = entries.iter().map(|entry| entry.source.clone()).collect();
    let posts = Matches::find(&entries, &config.metadata, config.labels.as_ref())?;
    let refused = posts.refused(entries.len(), &config.metadata);
    let fingerprint =
        Measurer::fingerprint(config, detector.as_ref(), &model_bytes(&config.detector)?);
    let (mut journal, found) = Journal::open(&beside.journal, &fingerprint)?;
    let attempts = Attempts::open(&beside.journal)?;
    if found == Found::OtherSettings {
        on_event(Event::OtherSettings);
    }
    if let Found::Records { n_damaged, .. } = found
        && n_damaged > 0
    {
        tracing::warn!(
            "{n_damaged} damaged lines in the journal '{}': their images are measured again",
            beside.journal.display()
        );
    }

    let pass = MeasuringPass {
        measurer: Measurer::new(detector.as_ref(), config, options.memory),
        attempts,
        config,
        apart: options.apart,
    };

    // Measure, decide, pack, report; a crop that a looser threshold asks for, or that the disk lost, sends its picture back.
    let mut again: HashSet<usize> = HashSet::new();
    let mut n_measured = 0;
    for _ in 0..4 {
        n_measured += pass.run(&entries, &refused, &again, &mut journal, on_event)?;
        let records: Vec<Option<Record>> = entries
            .iter()
            .zip(&refused)
            .map(|(e, refused)| {
                if refused.is_some() {
                    None
                } else {
                    journal.get(&e.source, &e.stamp).cloned()
                }
            })
            .collect();

        on_event(Event::Start {
            stage: Stage::Decide,
            total: 0,
            done: 0,
        });
        let read = |blob: &Blob| journal.read(blob);
        let evidence = Evidence {
            records: &records,
            refused: &refused,
            exclude: &exclude,
            config,
            read: &read,
        };
        let decisions = match evidence.decide() {
            Ok(decisions) => decisions,
            Err(DecideError::Damaged(..)) => {
                again = damaged(&journal, &records);
                continue;
            }
            Err(DecideError::Search(error)) => return Err(error.into()),
        };
        on_event(Event::End(Stage::Decide));
        let (samples, blobs, missing) = samples(&sources, &records, &decisions, config, &posts);
        if !missing.is_empty() {
            again = missing;
            continue;
        }

        let read_errors = ReadErrors::of(&entries, &records);
        let is_complete = read_errors.as_ref().is_none_or(|errors| !errors.are_many);
        let mut zip = None;
        if !options.dry_run && !samples.is_empty() && is_complete {
            on_event(Event::Start {
                stage: Stage::Pack,
                total: samples.len(),
                done: 0,
            });
            let step = || {
                on_event(Event::Step {
                    stage: Stage::Pack,
                    failed: None,
                    faces: 0,
                })
            };
            match pack(out, &samples, &blobs, &journal, config.png_level, &step) {
                Ok(()) => zip = Some(out.to_owned()),
                Err(PackError::Damaged(_)) => {
                    again = damaged(&journal, &records);
                    continue;
                }
                Err(PackError::Dataset(error)) => return Err(error.into()),
            }
            on_event(Event::End(Stage::Pack));
        }

        on_event(Event::Start {
            stage: Stage::Record,
            total: 0,
            done: 0,
        });
        let mut lines = manifest::lines(&sources, &records, &decisions, &samples);
        if zip.is_none() {
            // Nothing was written: a plan names no samples.
            lines.iter_mut().for_each(|line| line.sample = None);
        }
        let mut summary = summarise(&decisions, config, n_measured);
        summary.classes = classes(&samples, &sources, config, &posts);
        summary.metadata = posts.summary(&entries);
        summary.read_errors = read_errors;
        summary.zip = zip;
        summary.manifest = beside.manifest.clone();
        summary.report = beside.report.clone();
        let html = match page::build(&summary, &records, &decisions, &lines, config, &journal) {
            Ok(html) => html,
            Err(_) => {
                again = damaged(&journal, &records);
                continue;
            }
        };
        manifest::write(&beside.manifest, &lines)?;
        files::write_bytes(&beside.report, html.as_bytes())?;
        on_event(Event::End(Stage::Record));
        return Ok(summary);
    }
    Err(CurationError::Journal(beside.journal))
}

/// What lies beside the zip.
struct Beside {
    manifest: PathBuf,
    report: PathBuf,
    journal: PathBuf,
}

impl Beside {
    fn new(out: &Path) -> Result<Self, CurationError> {
        let is_zip = out
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("zip"));
        let Some(stem) = out.file_stem().filter(|_| is_zip) else {
            return Err(CurationError::Output(out.to_owned()));
        };
        let name = |ending: &str| {
            let mut name = stem.to_owned();
            name.push(ending);
            out.with_file_name(name)
        };
        Ok(Self {
            manifest: name(".manifest.jsonl"),
            report: name(".report.html"),
            journal: name(".journal"),
        })
    }
}

/// Bytes of a detector's file, as its loader takes them at most.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// The weights or boxes behind the detector: other ones make other measurements.
fn model_bytes(spec: &DetectorSpec) -> io::Result<Vec<u8>> {
    match spec.path() {
        Some(path) => files::read_input(path, MAX_MODEL_BYTES),
        None if *spec == DetectorSpec::Embedded => Ok(EmbeddedDetector::weights().to_vec()),
        None => Ok(Vec::new()),
    }
}

/// The inputs whose blobs do not read back: one damaged blob is seldom alone, and all are measured again in one pass.
fn damaged(journal: &Journal, records: &[Option<Record>]) -> HashSet<usize> {
    let is_damaged = |record: &Option<Record>| {
        record
            .as_ref()
            .is_some_and(|record| !journal.is_whole(record))
    };
    let damaged: HashSet<usize> = (0..records.len())
        .into_par_iter()
        .filter(|&i| is_damaged(&records[i]))
        .collect();
    tracing::warn!(
        "the measurements of {} images are damaged in the journal: they are measured again",
        damaged.len()
    );
    damaged
}

/// The samples in order with their crops, and the inputs whose crops have yet to be made.
fn samples(
    sources: &[String],
    records: &[Option<Record>],
    decisions: &Decisions,
    config: &CurationConfig,
    posts: &Matches,
) -> (Vec<Sample>, Vec<Blob>, HashSet<usize>) {
    let (mut samples, mut blobs, mut missing) = (Vec::new(), Vec::new(), HashSet::new());
    for (i, decision) in decisions.inputs.iter().enumerate() {
        let Some(Record {
            outcome: Outcome::Picture(picture),
            ..
        }) = &records[i]
        else {
            continue;
        };
        for f in (0..decision.faces.len()).filter(|&f| decision.faces[f].drop.is_none()) {
            let Some(crop) = &picture.faces[f].crop else {
                missing.insert(i);
                continue;
            };
            let name = dataset::sample_name(samples.len());
            samples.push(Sample {
                place: (i, Some(f)),
                name,
                label: None,
            });
            blobs.push(crop.png);
        }
    }
    if let Some(labels) = &config.labels {
        let (kept, posts) = kept(&samples, sources, posts);
        let (classes, _) = labels.classes(&kept, &posts);
        for (sample, class) in samples.iter_mut().zip(classes) {
            sample.label = Some(class);
        }
    }
    (samples, blobs, missing)
}

fn classes(
    samples: &[Sample],
    sources: &[String],
    config: &CurationConfig,
    posts: &Matches,
) -> Vec<String> {
    let (kept, posts) = kept(samples, sources, posts);
    config
        .labels
        .as_ref()
        .map(|labels| labels.classes(&kept, &posts).1)
        .unwrap_or_default()
}

/// Source and post of each sample.
fn kept<'a>(
    samples: &[Sample],
    sources: &'a [String],
    posts: &'a Matches,
) -> (Vec<&'a str>, Vec<Option<&'a Post>>) {
    let of = |sample: &Sample| (sources[sample.place.0].as_str(), posts.post(sample.place.0));
    samples.iter().map(of).unzip()
}

fn summarise(decisions: &Decisions, config: &CurationConfig, n_measured: usize) -> Summary {
    let mut summary = Summary {
        n_inputs: decisions.inputs.len(),
        n_measured,
        n_capped: decisions.n_capped,
        ..Summary::default()
    };
    for decision in &decisions.inputs {
        match &decision.drop {
            None => summary.n_pictures_kept += 1,
            Some((reason, _)) => *summary.pictures_dropped.entry(reason.name()).or_default() += 1,
        }
        for face in &decision.faces {
            summary.n_faces += 1;
            match &face.drop {
                None => summary.n_kept += 1,
                Some((reason, _)) => *summary.faces_dropped.entry(reason.name()).or_default() += 1,
            }
        }
    }
    summary.small_faces = small_faces(decisions, config, summary.n_faces);
    summary
}

fn small_faces(
    decisions: &Decisions,
    config: &CurationConfig,
    n_faces: usize,
) -> Option<SmallFaces> {
    let faces = decisions.inputs.iter().flat_map(|input| &input.faces);
    let factors: Vec<f32> = faces
        .filter(|face| matches!(face.drop, Some((Reason::Upscaled, _))))
        .filter_map(|face| face.enlargement)
        .collect();
    let within = |limit: f32| factors.iter().filter(|&&factor| factor <= limit).count();
    (factors.len() * 4 >= n_faces && !factors.is_empty()).then(|| SmallFaces {
        n: factors.len(),
        half_resolution: config.crop.resolution / 2,
        n_at_half_resolution: within(config.crop.max_upscale * 2.0),
        n_at_upscale_2: within(2.0),
    })
}
