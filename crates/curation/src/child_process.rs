//! Measures an input in a child process, so that an input that crashes the program ends only the child.
//!
//! When a run was killed, the next one cannot know whether the input that was being measured was to blame (memory ran
//! out, a decoder corrupted memory) or somebody stopped the program. It measures that input again in a child process
//! and sees how the child ends.

use crate::config::CurationConfig;
use crate::measure::{Measured, Measurer};
use crate::memory::Memory;
use detect::DetectError;
use serde::{Deserialize, Serialize};
use std::io;

/// The end of a child process that was to measure an input.
#[derive(Debug)]
pub enum Ending {
    /// It finished; the bytes are the result of [`measure_in_child`].
    Measured(Vec<u8>),
    /// It crashed; the text describes the signal or exit code.
    Crashed(String),
    /// It ran out of memory, so a later run with more memory may succeed; the text describes the signal or exit code.
    OutOfMemory(String),
}

/// A function that starts a child process that calls [`measure_in_child`] with the given bytes, and waits for its end.
pub type MeasureInChild<'a> = dyn Fn(&[u8]) -> io::Result<Ending> + Sync + 'a;

/// The first line of a request to the child, in JSON. The bytes of the input follow it.
#[derive(Serialize, Deserialize)]
struct Request {
    source: String,
    config: CurationConfig,
}

/// Why a child could not measure an input.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The bytes from the parent are malformed.
    #[error("this is not a request to measure: {0}")]
    Request(String),
    /// The detector that the settings name cannot be loaded.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The result cannot be written as JSON.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Builds the request to a child process to measure `bytes`, the content of the input called `source`.
///
/// # Errors
/// When the settings hold a path that is not UTF-8.
pub(crate) fn request(source: &str, bytes: &[u8], config: &CurationConfig) -> io::Result<Vec<u8>> {
    let mut request = serde_json::to_vec(&Request {
        source: source.to_owned(),
        config: config.clone(),
    })?;
    request.push(b'\n');
    request.extend_from_slice(bytes);
    Ok(request)
}

/// Runs in the child: measures the input of a request and returns the result in the form that the parent reads.
///
/// # Errors
/// When the request is malformed or the detector cannot be loaded.
pub fn measure_in_child(request: &[u8]) -> Result<Vec<u8>, ChildError> {
    let wrong = |message: &str| ChildError::Request(message.to_owned());
    let end = request.iter().position(|&byte| byte == b'\n');
    let (line, bytes) = request.split_at(end.ok_or_else(|| wrong("it has no first line"))?);
    let Request { source, config } =
        serde_json::from_slice(line).map_err(|e| wrong(&e.to_string()))?;
    let detector = config.detector.load()?;
    let measurer = Measurer::new(detector.as_ref(), &config, Memory::default());
    Ok(measurer.measure_content(&source, &bytes[1..]).to_bytes()?)
}

/// Runs in the parent: reads the bytes of [`Ending::Measured`].
///
/// # Errors
/// When the bytes are not a result of [`measure_in_child`].
pub(crate) fn measured(bytes: &[u8]) -> io::Result<Measured> {
    Measured::from_bytes(bytes)
        .ok_or_else(|| io::Error::other("a child process wrote no measurement"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_progress::InProgress;
    use crate::inputs::walk;
    use crate::{RunOptions, Summary, run};
    use detect::DetectorSpec;
    use image::{Rgb, RgbImage};
    use std::path::Path;

    /// Runs the curation on the image that [`dump`] wrote; an earlier run is recorded to have died while it measured
    /// this image.
    fn run_after_death(folder: &Path, in_child: &MeasureInChild<'_>) -> Summary {
        let mut config = CurationConfig {
            detector: DetectorSpec::None,
            ..CurationConfig::default()
        };
        config.crop.resolution = 32;
        let options = RunOptions {
            in_child: Some(in_child),
            ..RunOptions::default()
        };
        let inputs = [folder.join("dump")];
        run(&inputs, &folder.join("x.zip"), &config, options, &|_| {}).unwrap()
    }

    /// Writes a dump of one image, and a journal according to which the measurement of this image began and did not
    /// end.
    fn dump(folder: &Path) {
        std::fs::create_dir_all(folder.join("dump")).unwrap();
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 4) as u8, (y * 4) as u8, 90]));
        image.save(folder.join("dump/a.png")).unwrap();
        let entries = walk(&[folder.join("dump")], &[]).unwrap();
        std::fs::create_dir_all(folder.join("x.journal")).unwrap();
        let in_progress = InProgress::open(&folder.join("x.journal")).unwrap();
        in_progress
            .begin(&entries[0].source, &entries[0].stamp)
            .unwrap();
    }

    fn n_crashed(summary: &Summary) -> usize {
        summary.images_dropped.get("crashed").copied().unwrap_or(0)
    }

    #[test]
    fn a_crash_is_final_and_a_lack_of_memory_is_not() {
        let crash = |_: &[u8]| Ok(Ending::Crashed("signal 11".to_owned()));
        let no_memory = |_: &[u8]| Ok(Ending::OutOfMemory("signal 9".to_owned()));
        let well = |request: &[u8]| Ok(Ending::Measured(measure_in_child(request).unwrap()));
        let never = |_: &[u8]| panic!("nothing is left to be measured apart");

        let folder = tempfile::tempdir().unwrap();
        dump(folder.path());
        assert_eq!(n_crashed(&run_after_death(folder.path(), &crash)), 1);
        assert_eq!(n_crashed(&run_after_death(folder.path(), &never)), 1);

        let folder = tempfile::tempdir().unwrap();
        dump(folder.path());
        for _ in 0..2 {
            assert_eq!(n_crashed(&run_after_death(folder.path(), &no_memory)), 1);
        }
        let summary = run_after_death(folder.path(), &well);
        assert_eq!((n_crashed(&summary), summary.n_measured), (0, 1));
        assert_eq!(run_after_death(folder.path(), &never).n_measured, 0);
    }
}
