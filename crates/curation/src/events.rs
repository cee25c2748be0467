//! Events of a run, for those who show them.

use crate::record::Reason;

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading, decoding, detecting, cropping; counted in inputs.
    Measure,
    /// Comparing and deciding; not counted.
    Decide,
    /// Writing the zip; counted in samples.
    Pack,
    /// Writing manifest and report; not counted.
    Record,
}

/// Progress of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stage begins; `done` of `total` were done by an earlier run.
    Start {
        /// The stage.
        stage: Stage,
        /// Number of items.
        total: usize,
        /// Number of items that need no work.
        done: usize,
    },
    /// One more is done; for inputs that failed the reason, for images the number of faces.
    Step {
        /// The stage.
        stage: Stage,
        /// Why it failed.
        failed: Option<Reason>,
        /// Faces found.
        faces: usize,
    },
    /// A stage is over.
    End(Stage),
    /// Measurements of other settings were thrown away.
    OtherSettings,
}
